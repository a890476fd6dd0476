"""Sentences that say what is true of a thing in general, and nothing of this image: definitions, textbook knowledge."""

from __future__ import annotations

import re
from collections.abc import Collection

from rarl.rewards.medicine import medicine
from rarl.rewards.wording import stem, wording, words

_FIRST_CLAUSE = re.compile(r"[,;:]|\b(?:so|therefore|thus|hence|because|which)\b", re.IGNORECASE)
_COPULA = frozenset(("is", "are"))
_GOES_ON = frozenset(("it", "they", "its", "their", "such"))
_LONGEST_SUBJECT = 6


def is_lecture(sentence: str, terms: Collection[str], goes_on: bool) -> bool:
    """Whether a sentence speaks of its subject in general: "MRI uses strong magnets", "a cyst is a sac that ...".

    `terms` are the stems of what was asked and answered; `goes_on`: the last sentence that said anything was one.
    """
    known, whole = wording(), words(sentence)
    if known.general.search(" ".join(whole)) or known.of_all.search(" ".join(whole)):
        return True
    tokens = words(_FIRST_CLAUSE.split(sentence, maxsplit=1)[0])
    if not (known.of_this | medicine().conclusive - {"means"}).isdisjoint(tokens):
        return False
    if goes_on and tokens[:1] and tokens[0] in _GOES_ON:
        return known.sides.isdisjoint(whole)
    at = next((i for i, word in enumerate(tokens[: _LONGEST_SUBJECT + 1]) if i and _is_general_verb(word)), 0)
    subject = [word for word in tokens[:at] if word not in ("a", "an")]
    if not subject or not known.definite.isdisjoint(subject):
        return False
    plain = known.function_words | known.looking_words
    named = all(stem(word) in terms or word in plain for word in subject) and not plain.issuperset(subject)
    if tokens[at] not in _COPULA:
        return named
    following = tokens[at + 1 : at + 2]
    return named and bool(following) and following[0] in known.defining


def _is_general_verb(word: str) -> bool:
    return word in _COPULA or word in wording().general_verbs
