"""Bounds on numbers, however they are worded, as one word before the number: "3 or more" is "at_least 3"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rarl.grading.tables import Words, language
from rarl.grading.units import NUMBER, units

BOUNDS = frozenset(("more_than", "less_than", "at_least", "at_most"))


class Bounds:
    """The phrases of the tables, as they are read: `before` a number ("up to") and `behind` it ("or more")."""

    __slots__ = ("_before", "_behind", "_longest", "words")

    def __init__(self, read: Callable[[str], Sequence[str]]) -> None:
        """`read` normalises a phrase as the words that are searched are normalised."""
        self._before, self._behind = _table("before", read), _table("behind", read)
        phrases = {*self._before, *self._behind}
        self._longest = max(map(len, phrases))
        self.words = frozenset(word for phrase in phrases for word in phrase) - {"or", "and", "to", "in", "of", "be"}

    def joined(self, words: list[str]) -> list[str]:
        """The words with each bound as one word before its number."""
        if self.words.isdisjoint(words):
            return words
        out: list[str] = []
        at = 0
        while at < len(words):
            word = words[at]
            if not NUMBER.fullmatch(word):
                out.append(word)
                at += 1
                continue
            amount = words[at : at + 1 + (words[at + 1 : at + 2] != [] and words[at + 1] in units())]
            at += len(amount)
            size, bound = self._matched(out[::-1], self._before, -1)
            if size and not self._matched(out[: len(out) - size][::-1], self._before, -1)[0]:  # not "more than >3"
                out[len(out) - size :] = [bound]
            elif not size:
                size, bound = self._matched(words[at:], self._behind, 1)
                out += [bound] if size else []
                at += size
            out += amount
        return out

    def _matched(self, words: Sequence[str], table: Mapping[Words, str], step: int) -> tuple[int, str]:
        """The longest phrase that these words start with, read forwards (1) or backwards (-1), and what it says."""
        for size in range(min(self._longest, len(words)), 0, -1):
            if bound := table.get(tuple(words[:size][::step])):
                return size, bound
        return 0, ""


def _table(side: str, read: Callable[[str], Sequence[str]]) -> Mapping[Words, str]:
    rows = language()["bounds"][side]
    return {tuple(read(phrase)): bound for bound, phrases in rows.items() for phrase in phrases}
