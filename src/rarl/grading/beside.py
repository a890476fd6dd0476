"""What an answer may say beside the gold and still be it: how the thing looks, and where it is."""

from __future__ import annotations

from functools import cache

from rarl.grading.case import Case
from rarl.grading.lexicon import lexicon
from rarl.grading.reading import MARKS, read
from rarl.grading.tables import fillers, read_table, word_set


def described(case: Case, gold: set[str]) -> bool:
    """Whether the answer is the gold and what follows only describes it: "appendicitis, with a thickened wall"."""
    free = {*case.question, *fillers(), *MARKS, "no", "not"}
    opens, verbs = {"adjacent"}, word_set("polarity", "verbs")
    if not word_set("alternatives", "diagnosing").isdisjoint(case.question):
        opens |= word_set("alternatives", "tails")
    if opens.isdisjoint(case.prediction) and len(opens) == 1:
        return False
    rows = list(zip(case.prediction, case.denied, strict=True))
    for at, (word, _) in enumerate(rows):
        told, tail = case.prediction[:at], [word for word, no in rows[at:] if not no]
        if gold <= set(told) and (word in opens or (word == "." and len(opens) > 1 and not verbs.isdisjoint(tail))):
            return set(told) - free <= gold and set(tail) - free <= _describing()
    return False


def placed(case: Case, gold: set[str], stated: set[str]) -> bool:
    """Whether an abnormality that is asked for is named, and else only its place: "fracture of the femur".

    A side is more than that: it is a claim that nobody asked for and that can be wrong.
    """
    asks = word_set("polarity", "anything_wrong") | word_set("alternatives", "diagnosing") | {"abnormal"}
    if asks.isdisjoint(case.question) or not gold <= stated or True in case.denied or gold & _placing():
        return False
    return stated - gold - set(case.question) <= _placing()


@cache
def _placing() -> frozenset[str]:
    """Words of anatomy and place, but for sides, and of modalities: "the chest x-ray shows"."""
    files = (read_table(f"vocabulary/{name}")["group"] for name in ("anatomy", "place", "modality"))
    sides = (slot.stands for slot in lexicon().slots if slot.name in ("laterality", "sides"))
    return frozenset[str]().union(*(read(row["terms"][0]) for rows in files for row in rows)) - MARKS.union(*sides)


@cache
def _describing() -> frozenset[str]:
    """Words that tell how or where something is, and not what: anatomy, place, appearance, and signs."""
    files = (read_table(f"vocabulary/{name}")["group"] for name in ("anatomy", "place", "appearance"))
    named = (read(row["terms"][0]) for rows in files for row in rows)
    own = word_set("alternatives", "describing") | word_set("alternatives", "tails")
    return own.union(*named) - {"enlarged"}  # which makes a finding of an organ
