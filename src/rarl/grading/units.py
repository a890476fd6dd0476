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
    out: list[str] = []
    unit: Unit | None = None
    joined = False  # whether what stands behind belongs to an amount that goes on here
    for at in range(len(words) - 1, -1, -1):
        word = words[at]
        if word[0].isdecimal() and NUMBER.fullmatch(word):
            if unit and joined:
                out += (base_units()[unit.dimension], in_digits(Fraction(word) * unit.factor))
            else:
                out.append(word)
            joined = at > 0 and words[at - 1] in JOINS
        elif word in known and at and NUMBER.fullmatch(words[at - 1]):
            unit, joined = known[word], True
        else:
            joined = joined and word in JOINS and at > 0 and words[at - 1] != word
            out.append(word)
    return out[::-1]
