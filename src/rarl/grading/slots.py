"""Words that exclude each other: which stands a text takes, and where two texts conflict."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache

from rarl.grading.lexicon import lexicon
from rarl.grading.tables import Words

_CUES = frozenset(("no", "not"))


def flip(words: Words) -> Words:
    """Each denied stand of a two-valued slot as the other one: "not normal" is "abnormal"."""
    if _CUES.isdisjoint(words):
        return words
    opposites = two_valued()
    if opposites.keys().isdisjoint(words):
        return words
    out: list[str] = []
    for word in words:
        if word in opposites and out and out[-1] in _CUES:
            out[-1] = opposites[word]
        else:
            out.append(word)
    return tuple(out)


@cache
def two_valued() -> dict[str, str]:
    """The words of two-valued slots, each with what its denial says."""
    opposites = {}
    for slot in lexicon().slots:
        if slot.binary:
            first = {stand: word for word, stand in reversed(list(slot.stands.items()))}
            for word, stand in slot.stands.items():
                opposites[word] = next(first[other] for other in first if other != stand)
    return opposites


def stands(words: Collection[str]) -> dict[str, set[str]]:
    """The stands that the words take: slot -> stands."""
    taken: dict[str, set[str]] = {}
    index = lexicon().stands
    for word in index.keys() & words:
        for slot, stand in index[word]:
            taken.setdefault(slot, set()).add(stand)
    return taken


def conflict(gold: Collection[str], prediction: Collection[str]) -> str | None:
    """The slot in which the prediction takes a stand that the gold, which takes one, does not."""
    taken = stands(gold)
    if not taken:
        return None
    stated = stands(prediction)
    return min((slot for slot in taken if not stated.get(slot, set()) <= taken[slot]), default=None)


@cache
def predicates() -> frozenset[str]:
    """What is said of organs: the adjectives of the slot "state", and not "fracture"."""
    return frozenset(word for word, stand in _states().items() if stand == "sound" or word.endswith("ed"))


@cache
def findings() -> frozenset[str]:
    """The nouns of the slot "state"."""
    return frozenset(_states()) - predicates()


def _states() -> Mapping[str, str]:
    return next(slot.stands for slot in lexicon().slots if slot.name == "state")
