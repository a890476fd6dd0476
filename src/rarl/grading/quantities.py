"""Numbers with their units, compared as amounts: 3.4 cm is 34 mm, "two" is 2."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from rarl.grading.case import Case, Outcome, hedged, plain, right, wrong
from rarl.grading.lexicon import Words, fillers, language, word_set

_NUMBER = re.compile(r"\d{1,30}(?:\.\d{1,30})?")
_JOINS = frozenset(("x", "to", "by", "and", "or"))


@dataclass(frozen=True, slots=True)
class Quantity:
    """An amount in its dimension's base unit; no dimension for a bare count."""

    amount: Fraction
    dimension: str


def is_quantity(words: Words) -> bool:
    """Whether the words are numbers and units and nothing else."""
    rest = [word for word in words if not _NUMBER.fullmatch(word) and word not in fillers() and word not in _JOINS]
    return bool(quantities(words)) and all(word in language()["units"] for word in rest)


def quantities(words: Words) -> frozenset[Quantity]:
    """The amounts in the words; a unit counts for the numbers joined to it ("6 x 7 cm", "10-20 minutes")."""
    units = language()["units"]
    found = set()
    dimension, factor = "", 1
    joined = False
    for at in range(len(words) - 1, -1, -1):
        if words[at] in units and at and _NUMBER.fullmatch(words[at - 1]):
            dimension, factor = units[words[at]]
        elif _NUMBER.fullmatch(words[at]):
            if not joined and not (at + 1 < len(words) and words[at + 1] in units):
                dimension, factor = "", 1
            found.add(Quantity(Fraction(words[at]) * Fraction(factor), dimension))
        joined = bool(_NUMBER.fullmatch(words[at])) or (joined and words[at] in _JOINS)
    return frozenset(found)


def grade_number(case: Case) -> Outcome:
    """Right when the amounts stated are the gold's, all of them and no others."""
    gold = _amounts(plain(case.gold))
    pairs = zip(case.prediction, case.denied, strict=True)
    stated = _amounts(plain(word for word, denied in pairs if not (denied and _NUMBER.fullmatch(word))))
    asked = quantities(plain(case.question)) - gold
    stated = frozenset(_in_unit_of(q, gold, case.question) for q in stated - asked)
    if not stated:
        return wrong("no number")
    if hedged(case, case.prediction):
        return wrong("hedged")
    if _bounded(case.prediction) and not _bounded(case.gold):
        return wrong("a bound, not a number")
    return right("number") if stated == gold else wrong("another number")


def _amounts(words: Words) -> frozenset[Quantity]:
    found = quantities(words)
    return found if found or "no" not in words else frozenset({Quantity(Fraction(0), "")})


def _in_unit_of(stated: Quantity, gold: frozenset[Quantity], question: Words) -> Quantity:
    """A bare number in the unit that the question asks for, and the other way round."""
    dimensions = {quantity.dimension for quantity in gold}
    named = [language()["units"][word] for word in question if word in language()["units"]]
    for dimension, factor in named:
        if not stated.dimension and dimensions == {dimension}:
            return Quantity(stated.amount * Fraction(factor), dimension)
        if stated.dimension == dimension and dimensions == {""}:
            return Quantity(stated.amount / Fraction(factor), "")
    return stated


def _bounded(words: Words) -> bool:
    bounds = word_set("bounds", "words")
    places = [at for at, word in enumerate(words) if _NUMBER.fullmatch(word)]
    return any(set(words[max(0, at - 2) : at]) & bounds for at in places)
