"""Options named by letter or by position: `(b)`, `Option B`, `**B**`, `\\boxed{B}`, "the second one"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from rarl.grading.tables import language, word_set
from rarl.grading.undressing import undress

_WHOLE = re.compile(r"\W*(?:(?:option|choice|answer|letter)\W+(?:is\W+)?)?([A-Za-z])\W*", re.IGNORECASE)
_TOLD = re.compile(
    r"\b(?:[Oo]ption|OPTION|[Cc]hoice|CHOICE|[Aa]nswer|ANSWER|[Ll]etter)s?\s*(?:is\s*|would be\s*)?[:=-]?\s*\(?([A-Za-z])\b(?![\w'-])"
    r"|\b(?:[Cc]hoose|[Ss]elect|[Pp]ick|[Cc]hose|[Gg]o with|[Gg]oing with)\s+\(?([A-Z])\b(?![\w'-])"  # I choose B
)
_DRESSED = re.compile(
    r"\(\s*([A-Za-z])\s*\)"  # (b)
    r"|(?<![\w.'-])([A-Za-z])\s?[).:\]](?=\s|$)"  # b) or b. or b:
    r"|^\W*([A-Z])\s*[-,](?=\s)"  # B - text
    r"|\b[A-Z]\s*(?:,|/|&|\bor\b|\band\b)\s*([A-Z])\b(?!['-])"  # A or B
    r"|(?<=\b[A-J]\s)([A-J])\b(?!['-])"  # A B
)
_BARE = re.compile(r"(?<![\w'.-])([A-Z])\b(?=\s*(?:$|[,.;:!?)/&\]]|(?:and|or|is|are|because|since|as|not|nor|but|[A-J])\b(?!')))")
_DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|\w+n't|never|neither|nor|than|of|except|excluding)\s+"
    r"(?:(?:the|an?|be|option|choice|answer|letter|choose|select|pick|go with)\s+)*\(?(?:[A-J]\s*(?:,|/|or|and|nor)+\s*)*)$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    r"\)?\s*(?:is|are|was)?\s*(?:wrong|incorrect|false|not\b|excluded|ruled out|unlikely)", re.IGNORECASE
)
_LABEL = re.compile(r"\s*\(?([A-Za-z])\s*[).:\]-]\s*(?=\S)")


class Claim(NamedTuple):
    """An option named by letter or position; `end` is where that ends in the undressed text."""

    option: int
    end: int


def claims(raw: str, options: Sequence[str]) -> list[Claim]:
    """The options named and not denied, in order. In an explanation only "the answer is B" names one."""
    text = undress(raw)
    if whole := _WHOLE.fullmatch(text):
        number = _index(whole[1])
        return [Claim(number, whole.end(1))] if number < len(options) else []
    told = [*_found(_TOLD, text), *_positions(text, len(options))]
    spelled = _single_letters(tuple(options))
    bare = [found for found in _found(_BARE, text) if chr(ord("A") + found[0].option) not in spelled]
    others = [*_found(_DRESSED, text), *bare]
    starts = [start for _, start in (*told, *others)]
    reasons = reasons_after(text, min(starts)) if starts else len(text)
    kept = [*told, *(found for found in others if found[1] < reasons)]
    named = [claim for claim, start in kept if claim.option < len(options) and not _denied(text, start, claim.end)]
    return sorted(named, key=lambda claim: claim.end)


def reasons_after(text: str, start: int) -> int:
    """Where, after the answer, an explanation starts, which may well name the other options."""
    found = _reasons().search(text, start)
    return found.start() if found else len(text)


def unlabelled(options: Sequence[str]) -> tuple[str, ...]:
    """The options without letters of their own, where they all have them in order: ["A: liver", "B: spleen"]."""
    labels = [_LABEL.match(option) for option in options]
    if len(options) > 1 and all(label and _index(label[1]) == at for at, label in enumerate(labels)):
        return tuple(option[label.end() :].strip() for option, label in zip(options, labels, strict=True) if label)
    return tuple(options)


def _found(pattern: re.Pattern[str], text: str) -> list[tuple[Claim, int]]:
    return [
        (Claim(_index(match[match.lastindex]), match.end(match.lastindex)), match.start())
        for match in pattern.finditer(text)
        if match.lastindex
    ]


def _positions(text: str, count: int) -> list[tuple[Claim, int]]:
    """ "the second option", "the last one", "option 2"."""
    lower = text.lower()
    if not any(word in lower for word in ("option", "choice", "answer", "alternative", "one", "st", "nd", "rd", "th")):
        return []
    found = []
    for match in _position().finditer(lower):
        word = match[1] or match[2] or match[3]
        number = int(word) if word.isdigit() else language()["positions"][word]
        found.append((Claim(number - 1 if number > 0 else count - 1, match.end()), match.start()))
    return found


@cache
def _position() -> re.Pattern[str]:
    words = "|".join(language()["positions"])
    nouns = "option|choice|answer|alternative|one"
    return re.compile(
        rf"\b({words})\s+(?:{nouns})\b|\b(?:option|choice|alternative)\s*(?:number\s*|no\.?\s*)?(\d)\b(?!\.\d)"
        rf"|\A\W*(?:the\s+)?({words})\W*\Z"
    )


def _denied(text: str, start: int, end: int) -> bool:
    """Whether a denial stands before what names the option, or before its letter, or behind it."""
    before = (start, max(start, end - 1))
    return any(_DENIED_BEFORE.search(text, max(0, at - 30), at) for at in before) or bool(_DENIED_AFTER.match(text, end))


def _index(letter: str) -> int:
    return ord(letter.upper()) - ord("A")


@lru_cache(maxsize=1 << 12)
def _single_letters(options: tuple[str, ...]) -> frozenset[str]:
    """Letters that stand alone in an option's text ("vitamin C"), so that they name none."""
    return frozenset(word.upper() for option in options for word in re.findall(r"\b[A-Za-z]\b", option))


@cache
def _reasons() -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(sorted(word_set('alternatives', 'reasons')))})\b", re.IGNORECASE)
