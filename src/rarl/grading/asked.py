"""A yes/no question taken apart: what it asks for, and how."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

from rarl.grading.case import outside_parentheses, plain
from rarl.grading.denials import denials, deniers
from rarl.grading.lexicon import lexicon
from rarl.grading.quantities import Quantity, is_measure, limit_of
from rarl.grading.slots import findings, predicates
from rarl.grading.tables import Words, fillers, word_set


@dataclass(frozen=True, slots=True)
class Asked:
    """A yes/no question taken apart: its content, the thing or property asked for (`key`), and how.

    `qualities` are the words of it that have an opposite ("normal", "enlarged", "left" at its end); `place` is where,
    if a place is asked for; `neutral`: it is no abnormality; a clause without any `relevant` word says nothing on it.
    """

    content: frozenset[str]
    key: Words
    qualities: frozenset[str]
    relevant: frozenset[str]
    place: frozenset[str]
    neutral: bool
    existential: bool
    negated: bool
    of_image: bool  # whether it, as a whole, is normal
    limit: Quantity | None  # "more than two", "2"
    rivals: frozenset[str]  # what it is compared with: the right one, in "is the left one smaller than the right one?"
    bounded: bool  # what is asked is the limit, which is no part of `content`


@lru_cache(maxsize=1 << 12)
def asked_of(question: Words) -> Asked:
    words = plain(outside_parentheses(question))
    existential = bool(set(words) & (word_set("polarity", "existential") | word_set("negation", "seen")))
    limit = limit_of(words)
    bounded = limit is not None and limit.bound != "" and "multiple" not in words
    meaning = tuple([word for word in words if _means(word) and not (bounded and is_measure(word))])
    key = tuple([word for word in _thing(words) if word in meaning]) if existential else meaning
    qualities = {word for slot in lexicon().slots if slot.quality for word in meaning if word in slot.stands}
    if not predicates().isdisjoint(meaning[-1:]):
        qualities -= findings()  # "is the fracture displaced?"
    if not qualities and not existential and meaning and meaning[-1] in lexicon().stands:
        qualities = {meaning[-1]}
    if existential and not word_set("polarity", "anything_wrong").isdisjoint(words):
        qualities.add("abnormal")
    last = (key or meaning)[-1:]
    negated = any(no for word, no in zip(words, denials(words), strict=True) if word in last)
    settled = frozenset(qualities)
    relevant = frozenset(meaning) | opposites(settled)
    place = frozenset() if existential else frozenset(_behind_preposition(words)) & frozenset(meaning)
    neutral = not word_set("neutral", "words").isdisjoint(key)
    state = settled & {"normal", "abnormal"}
    of_image = bool(state) and frozenset(meaning) - state <= word_set("polarity", "image") | {"abnormal"}
    content = frozenset(meaning)
    than = words.index("than") if "than" in words else len(words)
    rivals = content.intersection(words[than:]) - set(words[:than])
    return Asked(
        content,
        key or meaning,
        settled,
        relevant,
        place,
        neutral,
        existential,
        negated,
        of_image,
        limit,
        rivals,
        bounded,
    )


def _means(word: str) -> bool:
    return word not in empty() and word not in deniers()


def _behind_preposition(words: Words) -> Words:
    """What stands behind the first preposition that follows a word with a meaning."""
    begun = False
    for at, word in enumerate(words):
        if begun and word in word_set("polarity", "prepositions"):
            return words[at:]
        begun = begun or word not in empty()
    return ()


def _thing(words: Words) -> Words:
    """The thing whose presence is asked: the content words up to the first preposition after one."""
    found: list[str] = []
    for word in words:
        if word in word_set("polarity", "prepositions"):
            if found:
                break
        elif _means(word):
            found.append(word)
    return tuple(found)


@lru_cache(maxsize=1 << 12)
def opposites(qualities: frozenset[str]) -> frozenset[str]:
    """The words that take another stand than these where these take one."""
    found = set()
    for slot in lexicon().slots:
        taken = {slot.stands[word] for word in qualities if word in slot.stands}
        if len(taken) == 1 and (slot.quality or len(qualities) == 1):
            found |= {word for word, stand in slot.stands.items() if stand not in taken}
    return frozenset(found)


@lru_cache(maxsize=1 << 12)
def denied_opposites(qualities: frozenset[str]) -> frozenset[str]:
    """The words that deny what these say, so that their denial affirms it: slots of two stands."""
    found = set()
    for slot in lexicon().slots:
        if slot.binary and (taken := {slot.stands[word] for word in qualities if word in slot.stands}):
            found |= {word for word, stand in slot.stands.items() if stand not in taken}
    return frozenset(found)


@cache
def empty() -> frozenset[str]:
    """Words that say nothing on a question; "abnormality" does, where it is asked for."""
    return fillers() - word_set("polarity", "anything_wrong")
