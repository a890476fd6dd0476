"""Open answers and lists: the same meaningful words, whatever the order, case, number or synonym."""

from __future__ import annotations

from collections.abc import Collection

from rarl.grading.case import Case, Outcome, conflict, hedged, plain, right, stands, wrong
from rarl.grading.kinds import Alternatives, members
from rarl.grading.lexicon import Words, fillers, lexicon
from rarl.grading.reading import content

_MOST = 0.9  # what an answer that is not right can score at most


def grade_phrase(case: Case, alternatives: Alternatives | None = None) -> Outcome:
    """Right when the prediction states the gold's words and, but for the question's, no others.

    The score of a wrong one is the F1 of the words, 0 where it contradicts the gold.
    """
    if content(case.gold) == content(case.prediction):
        return right("same words")
    if hedged(case, case.prediction):
        return wrong("hedged")
    gold, stated = _gold_words(case), _stated_words(case)
    markers = set(alternatives.markers) if alternatives else set()
    if markers and gold & {"bilateral"} and markers <= stated:
        return right("all alternatives")
    if markers & stated - gold:
        return wrong("another alternative")
    echoed = set(case.question) - markers - gold
    if against := _contradiction(case, gold, stated - echoed):
        return wrong(against)
    chosen = markers & gold if "no" not in gold else gold
    wanted = (chosen if markers else gold - set(case.question)) or gold
    score = _compare(wanted, gold, stated, set(case.question) - markers)
    if not markers and _ambiguous(gold):
        score = min(score, _compare_members(case))
    if score < 1:
        return wrong("other words", 0.0 if markers else min(_MOST, score))
    return right("an alternative of the question" if markers else "same meaning")


def _gold_words(case: Case) -> set[str]:
    return _reduce(_denial_alike(content(case.gold)), case)


def _stated_words(case: Case) -> set[str]:
    """What the prediction states; where the gold denies something, its denials are part of it."""
    words = plain(case.prediction) if _denies(case.gold) else plain(case.affirmed)
    kept = {word for word in words if word not in fillers()}
    return _reduce(_denial_alike(kept), case)


def _denies(words: Collection[str]) -> bool:
    return "no" in words or "not" in words


def _denial_alike(words: Collection[str]) -> set[str]:
    return {"no" if word == "not" else word for word in words}


def _reduce(words: set[str], case: Case) -> set[str]:
    """Leave out what follows from the other words, and the part of the body where a modality is asked for."""
    drop = {word for word, by in lexicon().implied if word in words and words & by}
    taken = stands(case.gold)
    for slot in lexicon().slots:
        if slot.optional_with in taken:
            drop |= words & slot.stands.keys()
    return words - drop or words


def _contradiction(case: Case, gold: set[str], stated: set[str]) -> str | None:
    """Why the prediction excludes the gold, if it does: a slot, a denial, or a denial left out."""
    if slot := conflict(content(case.gold), plain(case.affirmed) if not _denies(case.gold) else stated):
        echoed = set(case.question)
        if conflict(content(case.gold), [word for word in case.affirmed if word not in echoed or word in gold]):
            return f"conflict of {slot}"
    if _denies(case.gold):
        return None if _denies(case.prediction) else "denial missing"
    denied = {word for word, no in zip(case.prediction, case.denied, strict=True) if no}
    return "denied" if (gold & denied) - stated else None


def _compare(wanted: set[str], gold: set[str], stated: set[str], free: set[str]) -> float:
    """F1 of the wanted words, where the question's own words cost nothing; 1 exactly when right."""
    extra = stated - gold - free
    missing = wanted - stated
    hits = len(wanted) - len(missing)
    if not hits:
        return 0.0
    return 2 * hits / (2 * hits + len(missing) + len(extra))


def _ambiguous(gold: set[str]) -> bool:
    """Whether the gold takes two stands in one slot, so that it matters which goes with what."""
    return any(len(taken) > 1 for taken in stands(gold).values())


def _compare_members(case: Case) -> float:
    """F1 of whole list members, each with its own side or level."""
    free = set(case.question) | fillers()
    gold, stated = _members(members(case.gold), free), _members(members(case.affirmed), free)
    return max(2 * len(a & b) / (len(a) + len(b)) if a or b else 0.0 for a, b in zip(gold, stated, strict=True))


def _members(found: list[Words], free: Collection[str]) -> tuple[set[frozenset[str]], set[frozenset[str]]]:
    """The list as it stands, and with the last member's head given to the others ("medial and lateral rectus")."""
    bare = {frozenset(word for word in member if word not in free) or frozenset(member) for member in found}
    head = found[-1][-1:] if found else ()
    return bare, {member | set(head) for member in bare}
