"""Amounts in the base unit of their dimension, where they stand: 3 cm is read as 30 mm."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import NamedTuple

from rarl.grading.numerals import in_digits
from rarl.grading.tables import language

NUMBER = re.compile(r"\d{1,30}(?:\.\d{1,30})?|[1-9]/[1-9]")
JOINS = frozenset(("x", "to", "by", "and", "or"))  # "6 x 7 cm": the unit is both numbers'


class Unit(NamedTuple):
    """A dimension, and how many of its base unit one of this unit is."""

    dimension: str
    factor: Fraction


@cache
def units() -> Mapping[str, Unit]:
    """Every unit as it is read."""
    return {name: Unit(dimension, Fraction(str(factor))) for name, (dimension, factor) in language()["units"].items()}


@cache
def base_units() -> Mapping[str, str]:
    """The unit in which a dimension's amounts are written."""
    bases: dict[str, str] = {}
    for name, unit in units().items():
        if unit.factor == 1:
            bases.setdefault(unit.dimension, name)
    return bases


def in_base_units(words: Sequence[str]) -> list[str]:
    """The words with each amount in its base unit; numbers that share a unit each get it."""
    known = units()
    if known.keys().isdisjoint(words):
        return list(words)
    new: dict[int, tuple[str, ...]] = {}  # place -> what stands there instead
    for place in [at for at, word in enumerate(words) if word in known]:
        at = place - 1
        if at < 0 or not NUMBER.fullmatch(words[at]):
            continue
        unit, new[place] = known[words[place]], ()
        while at >= 0 and NUMBER.fullmatch(words[at]):
            new[at] = (in_digits(Fraction(words[at]) * unit.factor), base_units()[unit.dimension])
            at = _before_joins(words, at)
    out: list[str] = []
    kept = 0  # words before it are in `out`
    for at in sorted(new):
        out += (*words[kept:at], *new[at])
        kept = at + 1
    return [*out, *words[kept:]]


def _before_joins(words: Sequence[str], at: int) -> int:
    """The place before the words that join this one to what stands before; -1 where none do."""
    first = at
    while at > 0 and words[at - 1] in JOINS and words[at - 1] != words[at]:
        at -= 1
    return at - 1 if at < first else -1
