"""What kind of answer a question has, told from the gold answer rather than from a data set's own labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from rarl.grading.lexicon import lexicon
from rarl.grading.quantities import is_quantity
from rarl.grading.reading import MARKS, contains, content, context_of, read
from rarl.grading.spelling import normal_form
from rarl.grading.tables import Words, fillers, language, word_set
from rarl.grading.undressing import undress
from rarl.types import QuestionKind

CLOSED = (QuestionKind.YESNO, QuestionKind.MCQ)  # one answer is right, and the others are known
_LETTER = re.compile(r"\W*([A-Za-z])\W*")
_MEMBER = 4  # words of a list's member at most; longer ones make a sentence


@dataclass(frozen=True, slots=True)
class Alternatives:
    """A question that offers its answers ("left or right?"): the word that tells each from the others."""

    markers: frozenset[str]


def derive_kind(question: str, answer: str, options: Sequence[str] = ()) -> QuestionKind:
    """Yes/no by the gold itself; a choice by options or by a question that offers the gold; number; list; or open."""
    return _kind(question, answer, tuple(options))


@lru_cache(maxsize=1 << 12)
def _kind(question: str, answer: str, options: tuple[str, ...]) -> QuestionKind:
    words = _words(answer)
    if polarity(answer) is not None:
        return QuestionKind.YESNO
    if options and gold_option(answer, options) is not None:
        return QuestionKind.MCQ
    if offers(question, answer) is not None:
        return QuestionKind.MCQ
    if is_quantity(words) or (words == ("no",) and (_is_zero(answer) or _counts(question))):
        return QuestionKind.NUMBER
    if len(members(read(answer))) > 1:
        return QuestionKind.MULTI
    return QuestionKind.OPEN


def polarity(answer: str) -> bool | None:
    """What an answer of one word says: yes, no, or neither. Longer answers say more than that."""
    said = undress(answer).strip(" .,;:!\n").lower()
    if said in word_set("polarity", "yes"):
        return True
    return False if said in word_set("polarity", "no") else None


def gold_option(gold: str, options: Sequence[str]) -> int | None:
    """Which option the gold is: by its text, or else by its letter."""
    words = content(read(gold))
    for number, option in enumerate(options):
        if gold.strip() == option.strip() or (words and content(read(option)) == words):
            return number
    letter = _LETTER.fullmatch(gold)
    number = ord(letter.group(1).upper()) - ord("A") if letter else len(options)
    return number if number < len(options) else None


@lru_cache(maxsize=1 << 12)
def offers(question: str, gold: str) -> Alternatives | None:
    """The alternatives of the question, if it offers some and the gold is among them."""
    context = context_of(question, gold)
    words = set(content(read(gold, context)))
    asked = read(question, context)
    segments = _segments(asked)
    if len(segments) < 2:
        return None
    shared = set.intersection(*map(set, segments))
    own = [[word for word in segment if word not in shared] for segment in segments]
    edges = _opposed(own) or [
        set(found[:1] if at else found[-1:]) for at, found in enumerate(own)
    ]  # nearest to the "or"
    if words in ({"bilateral"}, {"no"}):
        return Alternatives(frozenset().union(*edges))
    at = next((at for at, edge in enumerate(edges) if edge and edge <= words), None)
    if at is None:
        at = next((at for at, segment in enumerate(segments) if words <= set(segment)), None)
    if at is None or not words <= set(asked):
        return None
    mine = edges[at] if edges[at] <= words and "no" not in words else words & set(own[at])
    others = frozenset().union(*edges[:at], *edges[at + 1 :])
    return Alternatives(others - words | mine)


def _opposed(own: list[list[str]]) -> list[set[str]]:
    """The one word of each alternative that excludes the others' ("one lesion or several"), if a slot has them all."""
    for slot in lexicon().slots:
        found = [{word for word in words if word in slot.stands} for words in own]
        if all(len(words) == 1 for words in found) and len({slot.stands[min(words)] for words in found}) == len(own):
            return found
    return []


def _segments(asked: Words) -> list[Words]:
    """The parts of the question between its alternatives, without fillers."""
    between = word_set("alternatives", "words")
    cut = max((at + 1 for at, word in enumerate(asked) if word in ".:;" and set(asked[at:]) & between), default=0)
    asked = asked[cut:]
    if not set(asked) & between:
        return []
    parts: list[list[str]] = [[]]
    for word in asked:
        if word in between or word == ",":
            parts.append([])
        elif word not in MARKS and word not in fillers():
            parts[-1].append(word)
    if asked[0] in word_set("alternatives", "wh") and "," in asked:
        parts = parts[1:]
    return [tuple(part) for part in parts if part]


def members(words: Words) -> list[Words]:
    """The members of a list ("heart, lungs and liver"); fewer than two where it is not one."""
    found: list[list[str]] = [[]]
    for word in words:
        if word == "and" or (word in MARKS and word not in "()?"):
            found.append([])
        elif word not in MARKS:
            found[-1].append(word)
    kept = [content(tuple(member)) for member in found if member]
    return kept if all(len(member) <= _MEMBER for member in kept) else kept[:1]


def _is_zero(answer: str) -> bool:
    return normal_form(undress(answer).strip(" .").lower()) == ("0",)


def _counts(question: str) -> bool:
    asked = read(question)
    return any(contains(asked, phrase) for phrase in _counting())


@cache
def _counting() -> tuple[Words, ...]:
    return tuple(map(read, language()["alternatives"]["counting"]))


def _words(answer: str) -> Words:
    return tuple(word for word in read(answer) if word not in MARKS)
