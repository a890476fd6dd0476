"""Which number a reasoning leads to: one that it states, or that of what it counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from rarl.grading.denials import denials, questions
from rarl.grading.quantities import Quantity, quantities
from rarl.grading.reading import MARKS, SENTENCE_ENDS, content, read
from rarl.grading.tables import Words, word_set
from rarl.grading.units import NUMBER, units
from rarl.rewards.wording import singular, wording, words

_ORDINAL = re.compile(r"(\d{1,3})(?:st|nd|rd|th)|1/(\d)")  # "a third" is read as a part
_REACH = 4  # so many words on a number's thing may stand: "two small bright nodules"


@dataclass(slots=True)
class _Tally:
    """What a text counts, in order."""

    counts: list[int] = field(default_factory=list)  # of what was asked for: "two nodules"
    loose: list[int] = field(default_factory=list)  # of what is not said: "one on the left"
    closing: int | None = None  # "so three in all"
    singles: int = 0  # "a nodule"
    more: int = 0  # "another"
    ordinals: set[int] = field(default_factory=set)  # "a second"
    none_beyond: int | None = None  # 3 for "no third"
    each: bool = False  # "a nodule in each lung"

    def totals(self) -> set[int]:
        """The numbers that this can come to; empty where nothing is counted."""
        said = self.counts + self.loose
        if self.closing is not None:
            return {self.closing}
        if self.more or self.ordinals:
            return {self._enumerated(said)}
        if self.none_beyond:
            return {self.none_beyond - 1}
        for whole, parts in ((said[:1], said[1:]), (said[-1:], said[:-1])):
            if len(parts) > 1 and whole == [sum(parts)]:
                return set(whole)
        if self.counts:
            return {self.counts[-1], *({sum(said)} if len(said) > 1 else ())}
        return {(sum(said) or self.singles) * (1 + self.each)} - {0}

    def _enumerated(self, said: list[int]) -> int:
        """One by one: "a nodule here, another there and a third behind"."""
        heads = [n for n in said if n > 1]
        ones = len(said) - len(heads) or (0 if heads else max(self.singles, 1))
        listed = ones + self.more + len(self.ordinals)
        if heads[:1] == [listed]:
            return listed  # "two nodules: one here, another there"
        in_a_row = self.ordinals == set(range(2, len(self.ordinals) + 2))
        return max(sum(heads) + listed, max(self.ordinals) if self.ordinals and in_a_row else 0)


def leads_to_number(reasoning: str, answer: str, question: str) -> bool | None:
    """Whether the reasoning states or counts what the answer says; None where it states no number, or too many."""
    given = _given(answer)
    if len(given) != 1:
        return None
    (wanted,) = given
    told = read(reasoning)
    denied = denials(told)
    held_back = tuple(map(max, denied, questions(told)))
    if wanted.dimension or wanted.amount.denominator != 1:
        amounts = _amounts(told, held_back, wanted.dimension)
        return amounts[-1] == wanted if amounts else None
    things = frozenset(content(read(question))) | _alike(question)
    tally = _Tally()
    for at in range(len(told)):
        _take(tally, told, at, held_back, things)
    totals = tally.totals()
    if not totals:
        named = [no for word, no in zip(told, denied, strict=True) if word in things]
        nothing = all(named) if named else "normal" in told
        return wanted.amount == 0 if nothing else None
    if wanted.amount in totals:
        return True
    unsaid = not (tally.counts or tally.loose or tally.more or tally.ordinals or tally.none_beyond)
    return None if unsaid and _speaks_of_several(reasoning, things) else False


def _given(answer: str) -> frozenset[Quantity]:
    """The amounts of the answer; "0" and "none" are read as a denial."""
    told = read(answer)
    return quantities(told) or (frozenset({Quantity(Fraction(0), "")}) if told[:1] == ("no",) else frozenset())


def _amounts(told: Words, held_back: Sequence[bool], dimension: str) -> list[Quantity]:
    """The amounts of this dimension that are stated, in order."""
    found = [quantities(told[at : at + 2]) for at in range(len(told)) if _is_number(told[at]) and not held_back[at]]
    return [amount for each in found for amount in each if amount.dimension == dimension]


def _is_number(word: str) -> bool:
    return NUMBER.fullmatch(word) is not None


def _alike(question: str) -> frozenset[str]:
    """Where a question counts what is abnormal, each of these is one: a lesion, a nodule, a mass."""
    abnormal = frozenset(word for name in wording().abnormal for word in read(name))
    return abnormal if not abnormal.isdisjoint(read(question)) else frozenset()


def _take(tally: _Tally, told: Words, at: int, held_back: Sequence[bool], things: frozenset[str]) -> None:
    """What the word here adds to the tally."""
    word, following = told[at], _clause_after(told, at)
    of_things = not things.isdisjoint(following[:_REACH])
    nth = _ORDINAL.fullmatch(word) if following[:1] != ("of",) else None
    if nth and (told[at - 1 : at] in (("a",), ("an",), ("and",), (",",), ("no",)) or of_things):
        if held_back[at]:
            tally.none_beyond = int(nth[1] or nth[2])
        else:
            tally.ordinals |= {int(nth[1] or nth[2])} - {1}
    elif held_back[at]:
        return
    elif word.isdigit() and len(word) < 4 and _counts(told, at):
        (tally.counts if of_things else tally.loose).append(int(word))
        if _closes(told, at):
            tally.closing = int(word)
    elif word == "another":
        tally.more += 1
    elif word in ("a", "an") and of_things and not any(map(_is_number, following[:_REACH])):
        tally.singles += 1
    elif word in ("each", "either"):
        tally.each = True


def _clause_after(told: Words, at: int) -> Words:
    end = at + 1
    while end < len(told) and told[end] not in MARKS:
        end += 1
    return told[at + 1 : end]


def _counts(told: Words, at: int) -> bool:
    """Whether a number here counts: not an amount with a unit, a grade, a share, or "one" for a person."""
    following = told[at + 1] if at + 1 < len(told) else ""
    before = told[at - 1] if at else ""
    person = told[at] == "1" and following in wording().after_a_person
    return not (
        person or following in units() or following in ("x", "of") or before in ("x", *word_set("numerals", "graded"))
    )


def _closes(told: Words, at: int) -> bool:
    """Whether a number here is a sum: "three in total", "that makes two", "so 2"."""
    start = end = at
    while start > 0 and told[start - 1] not in MARKS:
        start -= 1
    while end < len(told) and told[end] not in SENTENCE_ENDS | {","}:
        end += 1
    return not wording().summing.isdisjoint((*told[start:at], *told[at + 1 : end]))


def _speaks_of_several(reasoning: str, things: frozenset[str]) -> bool:
    return any(singular(word) != word and not things.isdisjoint(read(word)) for word in words(reasoning))
