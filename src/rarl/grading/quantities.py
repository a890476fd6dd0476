"""Numbers with their units, compared as amounts: 3.4 cm is 34 mm, "two" is 2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, lru_cache
from math import inf

from rarl.grading.bounds import BOUNDS
from rarl.grading.case import Case, Outcome, hedged, plain, right, up_to_reasons, wrong
from rarl.grading.tables import Words, fillers, language, word_set
from rarl.grading.units import JOINS, NUMBER, Unit, units


@dataclass(frozen=True, slots=True)
class Quantity:
    """An amount in its dimension's base unit; no dimension for a bare count. `bound`: it is one, and of which kind."""

    amount: Fraction
    dimension: str
    bound: str = ""

    def compared(self, limit: Quantity) -> bool | None:
        """Whether this is within the limit; None where it may be or not ("at least 2" within "more than 3")."""
        (low, high), (least, most) = self._span(), limit._span()
        if low >= least and high <= most:
            return True
        return False if low > most or high < least else None

    def _span(self) -> tuple[tuple[Fraction | float, int], tuple[Fraction | float, int]]:
        """Its lower and upper end, each with 1 or -1 where it only comes near that."""
        upper, near = self.bound in ("at_most", "less_than"), self.bound in ("more_than", "less_than")
        low = (-inf, 0) if upper else (self.amount, int(near))
        high = (inf, 0) if self.bound and not upper else (self.amount, -int(near))
        return low, high


_BOTH = frozenset({Quantity(Fraction(2), "")})


def is_quantity(words: Words) -> bool:
    """Whether the words are numbers and units and nothing else."""
    return bool(quantities(words)) and all(word in _beside() or NUMBER.fullmatch(word) for word in words)


@cache
def _beside() -> frozenset[str]:
    """What may stand beside a number in an answer that is nothing else."""
    return fillers() | JOINS | BOUNDS | units().keys() | {"between", "old", "age", "aged"}


@lru_cache(maxsize=1 << 12)
def quantities(words: Words) -> frozenset[Quantity]:
    """The amounts in the words, which are read: each unit stands behind its number."""
    found = set()
    for at, word in enumerate(words):
        if word[0].isdecimal() and NUMBER.fullmatch(word):
            unit = units().get(words[at + 1]) if at + 1 < len(words) else None
            bound = words[at - 1] if at and words[at - 1] in BOUNDS else ""
            found.add(_counted(Quantity(Fraction(word), unit.dimension if unit else "", bound)))
    return frozenset(found)


def _counted(found: Quantity) -> Quantity:
    """A count above 2 is one of at least 3."""
    if found.dimension or found.amount.denominator > 1 or found.bound not in ("more_than", "less_than"):
        return found
    more = found.bound == "more_than"
    return Quantity(found.amount + (1 if more else -1), "", "at_least" if more else "at_most")


def limit_of(question: Words) -> Quantity | None:
    """The one amount that a question asks about: "more than two nodules", "multiple nodules", "larger than 3 cm"."""
    found = quantities(question) | _several(question)
    return min(found, key=lambda quantity: quantity.amount) if len(found) == 1 else None


def within(limit: Quantity, clause: Words, denied: Sequence[bool]) -> bool | None:
    """Whether the amounts that a clause states are within the limit; None where there are none, or some are."""
    stated = tuple([word for word, no in zip(clause, denied, strict=True) if not no])
    found = {amount for amount in quantities(stated) | _several(stated) if amount.dimension == limit.dimension}
    verdicts = {amount.compared(limit) for amount in found}
    return verdicts.pop() if len(verdicts) == 1 else None


def _several(words: Words) -> frozenset[Quantity]:
    return frozenset({Quantity(Fraction(2), "", "at_least")} if "multiple" in words else ())


def is_measure(word: str) -> bool:
    """Whether a word belongs to an amount: a number, a unit, a bound, "diameter"."""
    return word in units() or word in BOUNDS or word in word_set("bounds", "measures") or bool(NUMBER.fullmatch(word))


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
    if not stated and "bilateral" in told and not gold.isdisjoint(_BOTH):
        stated = _BOTH  # "both kidneys"
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
        return replace(stated, amount=stated.amount * 100, dimension="share")
    for unit in _units_asked(question):
        if not stated.dimension and dimensions == {unit.dimension}:
            return replace(stated, amount=stated.amount * unit.factor, dimension=unit.dimension)
        if stated.dimension == unit.dimension and dimensions == {""}:
            return replace(stated, amount=stated.amount / unit.factor, dimension="")
    return stated


@lru_cache(maxsize=1 << 12)
def _units_asked(question: Words) -> list[Unit]:
    """The units that the question names, or asks in without naming them ("how old")."""
    asked_in = language()["asked_in"]
    named = [asked_in.get(word, word) for word in question]
    return [units()[word] for word in named if word in units()]


def _bounded(words: Words) -> bool:
    """Whether a number is only a bound: "at least 2", "2 or more"."""
    bounds = word_set("bounds", "words")
    places = [at for at, word in enumerate(words) if NUMBER.fullmatch(word)]
    return any(
        set(words[max(0, at - 2) : at]) & bounds
        or ("or" in words[at + 1 : at + 3] and set(words[at + 2 : at + 4]) & bounds)
        for at in places
    )
