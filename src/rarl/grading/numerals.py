"""Numbers however they are written: words and compounds, fractions, Roman numerals. Each becomes digits."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from functools import cache

from rarl.grading.tables import language, word_set

_DIGITS = re.compile(r"\d{1,12}(?:\.\d{1,12})?")
_SIMPLE = re.compile(r"[1-9]/[2-9]")
_HALF = Fraction(1, 2)
_ROMAN = {
    "i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8, "ix": 9, "x": 10, "xi": 11, "xii": 12,
}  # fmt: skip
_SUFFIXED = re.compile(r"(i{1,3}|iv|v)([a-d])")  # stage IIIa
_UNMISTAKABLE = frozenset(("ii", "iii", "vi", "vii", "viii", "ix", "xii", "iia", "iib", "iiia", "iiib", "iiic", "ivb"))


def arabic(tokens: Sequence[str], context: Collection[str]) -> Sequence[str]:
    """The lower-case tokens with every spelled number as digits.

    `context`: words of question and gold; where one of them counts in Roman numerals ("stage"), a lone "IV" is one.
    """
    if _triggers().isdisjoint(tokens):
        return tokens
    starts = _starts()
    out: list[str] = []
    kept = 0  # tokens before it are in `out`
    for at in [at for at, token in enumerate(tokens) if token in starts or token[0].isdecimal()]:
        if at < kept:
            continue
        out += tokens[kept:at]
        if nth := _compound_ordinal(tokens, at):
            out.append(nth)
            kept = at + 2
            continue
        value, kept = _number(tokens, at)
        if value is None or (kept == at + 1 and _DIGITS.fullmatch(tokens[at])):
            number, kept = _roman(tokens, at, context) or tokens[at], at + 1
        else:
            number = in_digits(value)
        if out and number.isdigit() and out[-1] in word_set("numerals", "numbered"):
            out.insert(-1, ordinal(int(number)))  # "rib 3" is the 3rd rib
        else:
            out.append(number)
    return [*out, *tokens[kept:]]


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    last = 0 if number % 100 in (11, 12, 13) else number % 10
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"


def _compound_ordinal(tokens: Sequence[str], at: int) -> str | None:
    """ "twenty-first" as 21st."""
    tens, ordinals = _numbers().get(tokens[at], 0), language()["ordinals"]
    last = ordinals.get(tokens[at + 1], "") if tens >= 20 and at + 1 < len(tokens) else ""
    return ordinal(tens + int(last[0])) if len(last) == 3 else None


def _number(tokens: Sequence[str], at: int) -> tuple[Fraction | None, int]:
    """The number that starts here and where it ends: "twenty-two", "a dozen", "one and a half", "2/3"."""
    multiples = language()["numerals"]["multiples"]
    value, end = _whole(tokens, at)
    ahead = list(tokens[end : end + 3])
    if value is None:
        match ahead:
            case ["half", "a", word] if word in multiples:
                return _HALF * multiples[word], end + 3
            case ["half", word, *_] if word in multiples:
                return _HALF * multiples[word], end + 2
            case ["half", "a" | "an", *_]:
                return _HALF, end + 2
            case ["a", word, *rest] if word in _denominators() and _ends(rest):
                return Fraction(1, _denominators()[word]), end + 2
            case ["a", "half", *_]:
                return _HALF, end + 2
            case ["half", *_]:
                return _HALF, end + 1
            case ["a", word, *_] if word in multiples:
                return _multiplied(tokens, end + 1, Fraction(1))
            case [word, *_] if _SIMPLE.fullmatch(word):
                return Fraction(word), end + 1
        return None, at
    match ahead:
        case [word, *_] if word in multiples:
            return _multiplied(tokens, end, value)
        case ["and", "a", "half"]:
            return value + _HALF, end + 3
        case ["and", "half", *_]:
            return value + _HALF, end + 2
        case ["point", word, *_] if _numbers().get(word, 10) < 10:
            return value + Fraction(_numbers()[word], 10), end + 2
        case [word, *_] if _SIMPLE.fullmatch(word):
            return value + Fraction(word), end + 1
        case [word, *rest] if word in _denominators() and (word.endswith("s") or word == "half" or _ends(rest)):
            return value / _denominators()[word], end + 1
    return value, end


def _ends(rest: Sequence[str]) -> bool:
    """Whether a third is a part here, and no number of an order: "a third of the lung", "one third"."""
    return not rest or rest[0] == "of" or not rest[0].isalpha()


def _whole(tokens: Sequence[str], at: int) -> tuple[Fraction | None, int]:
    numbers = _numbers()
    token = tokens[at]
    if token not in numbers:
        return (Fraction(token), at + 1) if _DIGITS.fullmatch(token) else (None, at)
    units = numbers.get(tokens[at + 1], 0) if at + 1 < len(tokens) and numbers[token] >= 20 else 0
    return (Fraction(numbers[token] + units), at + 2) if 0 < units < 10 else (Fraction(numbers[token]), at + 1)


def _multiplied(tokens: Sequence[str], at: int, value: Fraction) -> tuple[Fraction, int]:
    """ "two | hundred and five": the value times the multiple that stands here, and what is added to it."""
    value *= language()["numerals"]["multiples"][tokens[at]]
    at += 1
    if value < 100:
        return value, at + (tokens[at : at + 1] in (["of"], ("of",)))  # "a couple of"
    rest = at + (at < len(tokens) and tokens[at] == "and")
    if rest < len(tokens) and tokens[rest] in _numbers():
        low, at = _whole(tokens, rest)
        value += low or 0
    return value, at


def _roman(tokens: Sequence[str], at: int, context: Collection[str]) -> str | None:
    token = tokens[at]
    suffixed = None if token in _ROMAN else _SUFFIXED.fullmatch(token)
    if token not in _ROMAN and not suffixed:
        return None
    graded = word_set("numerals", "graded")
    alone = not any(other.isalnum() for other in (*tokens[:at], *tokens[at + 1 :]))
    counted = (at > 0 and tokens[at - 1] in graded) or (alone and not graded.isdisjoint(context))
    if not counted and token not in _UNMISTAKABLE:
        return None
    return f"{_ROMAN[suffixed[1]]}{suffixed[2]}" if suffixed else str(_ROMAN[token])


def in_digits(value: Fraction) -> str:
    """A whole number, a decimal where it ends, or else a fraction."""
    if value.denominator == 1:
        return str(value.numerator)
    decimal = f"{float(value):.9g}"
    return decimal if Fraction(decimal) == value else f"{value.numerator}/{value.denominator}"


@cache
def _starts() -> frozenset[str]:
    """What a number may start with, digits aside."""
    return _triggers() | {"a"}


@cache
def _triggers() -> frozenset[str]:
    """Words without which there is nothing to rewrite."""
    numerals = language()["numerals"]
    suffixed = {f"{roman}{letter}" for roman in ("i", "ii", "iii", "iv", "v") for letter in "abcd"}
    fractions = {f"{n}/{d}" for d in range(2, 10) for n in range(1, 10)}
    named = {*numerals["multiples"], *numerals["denominators"], *numerals["numbered"]}
    return frozenset({*_numbers(), *named, *_ROMAN, *suffixed, *fractions, "half"})


def _numbers() -> Mapping[str, int]:
    numbers: Mapping[str, int] = language()["numbers"]
    return numbers


def _denominators() -> Mapping[str, int]:
    denominators: Mapping[str, int] = language()["numerals"]["denominators"]
    return denominators
