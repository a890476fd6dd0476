"""Numbers with their units, compared as amounts: 3.4 cm is 34 mm, "two" is 2."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from rarl.grading.case import Case, Outcome, hedged, plain, right, up_to_reasons, wrong
from rarl.grading.tables import Words, fillers, word_set
from rarl.grading.units import JOINS, NUMBER, units


@dataclass(frozen=True, slots=True)
class Quantity:
    """An amount in its dimension's base unit; no dimension for a bare count."""

    amount: Fraction
    dimension: str


def is_quantity(words: Words) -> bool:
    """Whether the words are numbers and units and nothing else."""
    rest = [word for word in words if not NUMBER.fullmatch(word) and word not in fillers() and word not in JOINS]
    return bool(quantities(words)) and all(word in units() or word == "between" for word in rest)


def quantities(words: Words) -> frozenset[Quantity]:
    """The amounts in the words, which are read: each unit stands behind its number."""
    found = set()
    for at, word in enumerate(words):
        if word[0].isdecimal() and NUMBER.fullmatch(word):
            unit = units().get(words[at + 1]) if at + 1 < len(words) else None
            found.add(Quantity(Fraction(word), unit.dimension if unit else ""))
    return frozenset(found)


def grade_number(case: Case) -> Outcome:
    """Right when the amounts stated are the gold's, all of them and no others. Amounts of something else (a size beside
    a count) are left out."""
    gold = _amounts(plain(case.gold))
    told = plain(_stated(case))
    stated = _amounts(told) - (quantities(plain(case.question)) - gold)
    joined = {_in_unit_of(amount, gold, case.question) for amount in _joined(told)}
    stated = frozenset(_in_unit_of(amount, gold, case.question) for amount in stated)
    dimensions = {amount.dimension for amount in gold}
    stated = frozenset(amount for amount in stated if amount.dimension in dimensions or amount in joined) or stated
    if not stated:
        return wrong("no number")
    if hedged(case, case.prediction):
        return wrong("hedged")
    if _bounded(case.prediction) and not _bounded(case.gold):
        return wrong("a bound, not a number")
    return right("number") if stated == gold else wrong("another number")


def _stated(case: Case) -> Words:
    """The words up to an explanation, without numbers that are denied or asked."""
    told = up_to_reasons(case.prediction)
    rows = zip(told, case.denied, case.asked, strict=False)
    return tuple([word for word, denied, asked in rows if not ((denied or asked) and NUMBER.fullmatch(word))])


def _joined(words: Words) -> frozenset[Quantity]:
    """Amounts that are offered beside another: "3 cm or 7"."""
    return frozenset().union(
        *(quantities(words[at + 1 : at + 3]) for at, word in enumerate(words[:-1]) if word in JOINS)
    )


def _amounts(words: Words) -> frozenset[Quantity]:
    found = quantities(words)
    return found if found or "no" not in words else frozenset({Quantity(Fraction(0), "")})


def _in_unit_of(stated: Quantity, gold: frozenset[Quantity], question: Words) -> Quantity:
    """A bare number in the unit that the question asks for, and the other way round; a half as 50 %."""
    dimensions = {quantity.dimension for quantity in gold}
    if dimensions == {"share"} and not stated.dimension and stated.amount < 1:
        return Quantity(stated.amount * 100, "share")
    for unit in (units()[word] for word in question if word in units()):
        if not stated.dimension and dimensions == {unit.dimension}:
            return Quantity(stated.amount * unit.factor, unit.dimension)
        if stated.dimension == unit.dimension and dimensions == {""}:
            return Quantity(stated.amount / unit.factor, "")
    return stated


def _bounded(words: Words) -> bool:
    """Whether a number is only a bound: "at least 2", "2 or more"."""
    bounds = word_set("bounds", "words")
    places = [at for at, word in enumerate(words) if NUMBER.fullmatch(word)]
    return any(
        set(words[max(0, at - 2) : at]) & bounds
        or ("or" in words[at + 1 : at + 3] and set(words[at + 2 : at + 4]) & bounds)
        for at in places
    )
