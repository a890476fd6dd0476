"""Which words of a text are denied, and which are asked rather than stated: by cues, their reach, and parity."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from rarl.grading.reading import MARKS, SENTENCE_ENDS
from rarl.grading.slots import predicates
from rarl.grading.tables import Words, fillers, word_set

_CUES = frozenset(("no", "not"))
_OPEN = frozenset(("?", "whether", "if"))
_PLURAL = (("are",), ("were",), ("be",), ("been",))
_MEMBER = 3  # words of a list's member at most


def denials(words: Words) -> tuple[bool, ...]:
    """For each word, whether the text denies it. A denial of a denial affirms: "it is false that there is no mass"."""
    deny = deniers()
    if deny.isdisjoint(words):
        return (False,) * len(words)
    denied = [False] * len(words)
    seen = word_set("negation", "seen")
    turns = []
    for at in [at for at, found in enumerate(words) if found in deny]:
        found = words[at]
        if found not in _CUES:
            turns.append(at)
        elif not _cancelled(words, at):
            for place in _scope(words, at):
                denied[place] = True
            following = beyond_be(words, at + 1)  # "lesions: none", "lesions are not seen"
            ends = not following or following in MARKS
            if following in seen or (ends and (found == "no" or words[at - 1] in word_set("negation", "be"))):
                for place in range(_subject_start(words, at), at):
                    denied[place] = True
    # What is said of a whole statement comes last: "it is false that a mass is absent".
    for at in sorted(turns, key=lambda at: words[at + 1 : at + 2] == ("that",)):
        if not _negated_here(words, at):
            _turn(words, at, denied)
    return tuple(denied)


@lru_cache(maxsize=1)
def deniers() -> frozenset[str]:
    """Words that deny what stands behind or before them."""
    return _CUES | word_set("negation", "after") | word_set("negation", "ahead")


def _turn(words: Words, at: int, denied: list[bool]) -> None:
    """A statement on a statement turns its denials round: "X is absent", "false that X", "I deny X"."""
    following, first = words[at + 1] if at + 1 < len(words) else "", _subject_start(words, at)
    ahead = words[at] in word_set("negation", "ahead") and words[at - 1] not in word_set("negation", "be")
    if ahead or following == "that" or all(found in fillers() for found in words[first:at]):
        for place in _scope(words, at + (following == ":")):  # "wrong: a mass"
            denied[place] = not denied[place]
        return
    before = words[first:at]
    cue = max((place for place, found in enumerate(before) if found in _CUES), default=-1)
    joint = max((place for place, found in enumerate(before) if found == "and"), default=-1)
    if -1 < cue < joint:  # "no fracture and dislocation is absent"
        first += joint
    for place in range(first, at):
        denied[place] = cue < 0 or joint > cue or not denied[place]


def _cancelled(words: Words, at: int) -> bool:
    """A double negation: "not absent", "not without", "no absence of"."""
    following = beyond_be(words, at + 1)
    return following == "no" or (following in deniers() and following not in _CUES) or _negated_here(words, at)


def _negated_here(words: Words, at: int) -> bool:
    be = word_set("negation", "be")
    at -= 1
    while at >= 0 and words[at] in be:
        at -= 1
    return at >= 0 and words[at] in _CUES


def beyond_be(words: Words, at: int) -> str:
    """The first word from here on that is no form of "be"; empty at the end."""
    be = word_set("negation", "be")
    while at < len(words) and words[at] in be:
        at += 1
    return words[at] if at < len(words) else ""


def _scope(words: Words, cue: int) -> Iterator[int]:
    """The places that a denial reaches: on to the end of its clause, over lists, not into a new statement."""
    stops, openers = word_set("negation", "stops"), word_set("negation", "openers")
    if _is_aside(words, cue):
        stops |= word_set("negation", "verbs_alone")
    for at in range(cue + 1, len(words)):
        found = words[at]
        if found in stops or (found in MARKS and found not in ",/" and not _short_aside(words, at)):
            return
        opens = found in (",", "and")
        following = words[at + 1] if at + 1 < len(words) else ""
        if opens and (following in openers or following.isdigit()):
            return
        if found == "," and not _continues_a_list(words, at + 1):
            return
        yield at


def _is_aside(words: Words, cue: int) -> bool:
    """Whether a denial only qualifies the subject before it, and ends at the verb: "MRI rather than CT was used"."""
    first = cue
    while first > 0 and words[first - 1] not in MARKS and words[first - 1] not in word_set("negation", "stops"):
        first -= 1
    before = words[first:cue]
    return word_set("negation", "be").isdisjoint(before) and any(word not in fillers() for word in before)


def _short_aside(words: Words, at: int) -> bool:
    """Whether a bracket here opens or closes a term's other name: "no diffusion weighted imaging (dwi)"."""
    return words[at] == ")" or (words[at] == "(" and ")" in words[at + 1 : at + 5])


def _continues_a_list(words: Words, at: int) -> bool:
    """Whether what follows a comma is more of the list: "no mass, effusion, or fracture", "no mass, nodule or cyst"."""
    end = at
    while end < len(words) and words[end] not in MARKS:
        end += 1
    member = words[at:end]
    if not member or member[0] in word_set("negation", "stops"):
        return False
    if member[0] in ("or", "nor", "and"):
        return True
    if not (word_set("negation", "openers") | deniers()).isdisjoint(member):
        return False
    joint = next((place for place, found in enumerate(member) if found in ("or", "nor", "and")), 0)
    parts = (member[:joint], member[joint + 1 :]) if joint else (member,)
    if any(len(part) > _MEMBER or _is_statement(part) for part in parts):
        return False
    return joint > 0 or words[end : end + 1] == (",",)


def _is_statement(member: Words) -> bool:
    """Whether a list's member says something of an organ: "lungs clear", "heart enlarged"."""
    return len(member) > 1 and member[-1] in predicates()


def _subject_start(words: Words, at: int) -> int:
    """Where that starts which is said not to be there: the clause, or its list ("mass, cyst and node are absent")."""
    first = _clause_start(words, at)
    if words[at - 1 : at] not in _PLURAL or {"and", "or"}.isdisjoint(words[first:at]):
        return first
    while words[first - 1 : first] == (",",):
        start = _clause_start(words, first - 1)
        member = words[start : first - 1]
        if not 0 < len(member) <= _MEMBER + 1 or _is_statement(member) or not _verbs().isdisjoint(member):
            break
        first = start
    return first


def _clause_start(words: Words, at: int) -> int:
    """Where the clause that this word stands in starts."""
    stops = word_set("negation", "stops")
    while at > 0 and words[at - 1] not in stops and words[at - 1] not in MARKS - {":"}:
        at -= 1
    return at


@lru_cache(maxsize=1)
def _verbs() -> frozenset[str]:
    return word_set("polarity", "verbs") | deniers()


def clauses_of(words: Words) -> Iterator[tuple[int, int]]:
    """Where each clause starts and ends, marks and joining words aside."""
    stops, openers = word_set("negation", "stops"), word_set("negation", "openers")
    start = 0
    for at, word in enumerate((*words, ".")):
        opens = word == "and" and at + 1 < len(words) and words[at + 1] in openers
        if word in MARKS or word in stops or opens:
            if at > start:
                yield start, at
            start = at + 1


def questions(words: Words) -> tuple[bool, ...]:
    """For each word, whether it is asked rather than stated: in a question, after "whether", or as a condition."""
    if _OPEN.isdisjoint(words):
        return (False,) * len(words)
    asked = [False] * len(words)
    start = 0
    whether = condition = False
    for at, found in enumerate(words):
        whether = (whether or found == "whether") and found not in SENTENCE_ENDS
        condition = (condition or (found == "if" and at == start and "," in words[at:])) and found not in MARKS
        asked[at] = whether or condition
        if found in SENTENCE_ENDS:
            if found == "?":
                asked[start : at + 1] = [True] * (at + 1 - start)
            start = at + 1
    return tuple(asked)
