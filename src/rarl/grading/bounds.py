"""Bounds on numbers, however they are worded, as one word before the number: "3 or more" is "at_least 3"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rarl.grading.tables import Words, language
from rarl.grading.units import NUMBER, units

_COMMON = frozenset(("a", "and", "at", "be", "does", "in", "no", "not", "of", "or", "the", "to", "well"))
BOUNDS = frozenset(("more_than", "less_than", "at_least", "at_most"))


class Bounds:
    """The phrases of the tables, as they are read: `before` a number ("up to") and `behind` it ("or more")."""

    __slots__ = ("_before", "_behind", "_longest", "_nearest", "words")

    def __init__(self, read: Callable[[str], Sequence[str]]) -> None:
        """`read` normalises a phrase as the words that are searched are normalised."""
        self._before, self._behind = _table("before", read), _table("behind", read)
        phrases = {*self._before, *self._behind}
        self._nearest = {-1: {phrase[-1] for phrase in self._before}, 1: {phrase[0] for phrase in self._behind}}
        self._longest = max(map(len, phrases))
        self.words = frozenset(word for phrase in phrases for word in phrase) - _COMMON  # one of each phrase at least

    def joined(self, words: list[str]) -> list[str]:
        """The words with each bound as one word before its number."""
        if self.words.isdisjoint(words):
            return words
        out: list[str] = []
        kept = 0  # words before it are in `out`
        for at in [at for at, word in enumerate(words) if word[0].isdecimal() and NUMBER.fullmatch(word)]:
            end = at + 1 + (at + 1 < len(words) and words[at + 1] in units())
            out += words[kept:at]
            kept = end
            size, bound = self._matched(out[: -self._longest - 1 : -1], self._before, -1)
            if size and self._matched(out[: -size - self._longest - 1 : -1][size:], self._before, -1)[0]:
                bound = ""  # "more than >3"
            elif size:
                del out[-size:]
            else:
                size, bound = self._matched(words[end : end + self._longest], self._behind, 1)
                kept += size
            out += [bound, *words[at:end]] if bound else words[at:end]
        return out + words[kept:]

    def _matched(self, words: Sequence[str], table: Mapping[Words, str], step: int) -> tuple[int, str]:
        """The longest phrase that these words start with, read forwards (1) or backwards (-1), and what it says."""
        if not words or words[0] not in self._nearest[step]:
            return 0, ""
        for size in range(len(words), 0, -1):
            if bound := table.get(tuple(words[:size][::step])):
                return size, bound
        return 0, ""


def _table(side: str, read: Callable[[str], Sequence[str]]) -> Mapping[Words, str]:
    rows = language()["bounds"][side]
    return {tuple(read(phrase)): bound for bound, phrases in rows.items() for phrase in phrases}
