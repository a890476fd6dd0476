"""Amounts in the base unit of their dimension, where they stand: 3 cm is read as 30 mm."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
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
    out = list(words)
    for at in [at for at, word in enumerate(words) if word in known]:
        if at and NUMBER.fullmatch(words[at - 1]):
            out[at] = ""
            for number in _amounts_before(words, at):
                amount = in_digits(Fraction(words[number]) * known[words[at]].factor)
                out[number] = f"{amount} {base_units()[known[words[at]].dimension]}"
    return " ".join(out).split() if out != words else out


def _amounts_before(words: Sequence[str], unit: int) -> Iterator[int]:
    """Where the numbers stand that share this unit: both of "6 x 7 cm"."""
    at = unit - 1
    while at >= 0 and NUMBER.fullmatch(words[at]):
        yield at
        before = at = at - 1
        while at > 0 and words[at] in JOINS and words[at - 1] != words[at]:
            at -= 1
        if at == before:
            return
