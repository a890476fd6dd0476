"""Open answers and lists: the same meaningful words, whatever the order, case, number or synonym."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache, lru_cache

from rarl.grading.beside import described, placed
from rarl.grading.bounds import BOUNDS
from rarl.grading.case import (
    Case,
    Outcome,
    absence,
    denies_the_question,
    hedged,
    outside_parentheses,
    plain,
    right,
    up_to_reasons,
    wrong,
)
from rarl.grading.denials import clauses_of
from rarl.grading.kinds import Alternatives, members
from rarl.grading.lexicon import lexicon
from rarl.grading.reading import MARKS, content
from rarl.grading.slots import conflict, stands
from rarl.grading.spelling import roots
from rarl.grading.tables import Words, fillers, read_table, word_set

_DENIALS = frozenset(("no", "not", "absent", "missing"))
_EITHER = frozenset(("or", "vs", "versus"))
_MOST = 0.9  # what an answer that is not right can score at most


def grade_phrase(case: Case, alternatives: Alternatives | None = None) -> Outcome:
    """Right when the prediction states the gold's words and, but for the question's, no others.

    The score of a wrong one is the F1 of the words; by the lenient protocol it is their recall (as open questions are
    scored in LLaVA-Med, arXiv 2306.00890). Both are 0 where it contradicts the gold.
    """
    if content(case.gold) == content(case.prediction):
        return right("same words")
    if _nothing_wrong(case):
        return right("nothing is wrong")
    if hedged(case, case.prediction):
        return wrong("hedged")
    if not _EITHER.isdisjoint(case.affirmed) and _EITHER.isdisjoint(case.gold):
        return wrong("two answers")
    gold = _gold_words(case)
    stated = _stated_words(case, gold)
    if BOUNDS & stated - {*gold, *case.question}:
        return wrong("a bound, not a number")
    markers = set(alternatives.markers) if alternatives else set()
    if markers and gold & {"bilateral"} and markers <= stated and "or" not in case.prediction:
        return right("all alternatives")
    if markers & (_compared_up_to_than(case) if "than" in case.affirmed else stated) - gold:
        return wrong("another alternative")
    if against := _contradiction(case, gold, stated - (set(case.question) - markers - gold)):
        return wrong(against)
    answer = _reduce(_meant(up_to_reasons(case.prediction)), case, gold) & stated or stated
    if markers:
        chosen = markers & gold if "no" not in gold else gold
        named = (chosen or gold) <= answer and _no_second_answer(case, chosen or gold)
        return right("an alternative of the question") if named else wrong("other words")
    if (asked := _asked_for(case.question, frozenset(gold))) and gold - set(case.question) <= answer:
        return right(f"the {asked}") if _no_second_answer(case, gold) else wrong("several answers")
    if described(case, gold):
        return right("the answer, described")
    if _concluded(case) == gold - set(case.question):
        return right("the conclusion")
    if placed(case, gold, answer):
        return right("the answer, and where it is")
    return _compared(case, gold, answer)


def _no_second_answer(case: Case, gold: set[str]) -> bool:
    """Whether each clause holds the gold, or nothing beyond the question: "left, in the lung", not "left, infarct"."""
    taken = stands(case.gold)
    beside = (slot.stands for slot in lexicon().slots if slot.optional_with in taken)
    alike = (
        word for slot in lexicon().slots for word, stand in slot.stands.items() if stand in taken.get(slot.name, ())
    )
    free = {*case.question, *fillers(), *gold, "no", "not", *alike}.union(*beside)
    members: list[set[str]] = [set()]
    told = up_to_reasons(case.prediction)
    for word, no in zip(told, case.denied, strict=False):
        if word in MARKS or word == "and" or word in word_set("negation", "stops"):
            members.append(set())
        elif not no:
            members[-1].add(word)
    return all(gold & member or member <= free for member in members)


def _concluded(case: Case) -> set[str] | None:
    """What an answer comes to at its end, if it says so: "..., consistent with a cyst", "... indicates a cyst"."""
    cues = [at for at, word in enumerate(case.prediction) if word in word_set("alternatives", "concluding")]
    if not cues or True in case.denied:
        return None
    return _reduce(_meant(case.prediction[cues[-1] + 1 :]), case) - set(case.question)


def _compared(case: Case, gold: set[str], stated: set[str]) -> Outcome:
    """The words of both, where the question's own and a qualifier in parentheses need not be said."""
    free = set(case.question)
    if not absence().isdisjoint(free):
        free |= _DENIALS | word_set("negation", "missing")  # "what is missing?", "the right kidney is absent"
    wanted = gold - free - _in_parentheses(case.gold) or gold - free or gold
    stated = _in_form_of(wanted, stated, gold | free)
    score = _f1(wanted, stated, len(stated - gold - free))
    if _ambiguous(gold):
        score = min(score, _compare_members(case))
    if score == 1:
        return right("same meaning")
    return wrong("other words", min(_MOST, score), len(wanted & stated) / len(wanted))


def _in_form_of(wanted: set[str], stated: set[str], free: set[str]) -> set[str]:
    """The words stated, those that are another form of a word wanted as that one: "stores" as "storage"."""
    missing, extra = wanted - stated, stated - free
    if not missing or not extra:
        return stated
    forms = {root: word for word in missing for root in roots(word)}
    return {
        next((forms[root] for root in roots(word) if root in forms), word) if word in extra else word for word in stated
    }


def _gold_words(case: Case) -> set[str]:
    return _reduce(_denial_alike(content(case.gold)), case)


def _stated_words(case: Case, gold: set[str]) -> set[str]:
    """What the prediction states; where the gold denies something, its denials are part of it."""
    return _reduce(_meant(case.prediction if _denies(case.gold) else case.affirmed), case, gold)


def _meant(words: Words) -> set[str]:
    return _denial_alike(set(plain(words)) - fillers())


def _nothing_wrong(case: Case) -> bool:
    """Whether both say that there is nothing, each its own way, where an abnormality is asked for: "none", "normal"."""
    if word_set("polarity", "anything_wrong").isdisjoint(case.question) and "abnormal" not in case.question:
        return False
    empty = word_set("negation", "seen") | fillers() | MARKS
    return {frozenset(words) - empty for words in (case.gold, case.prediction)} == {
        frozenset(("no",)),
        frozenset(("normal",)),
    }


def _denies(words: Collection[str]) -> bool:
    return not _DENIALS.isdisjoint(words)


def _denial_alike(words: Collection[str]) -> set[str]:
    return set(words) if _DENIALS.isdisjoint(words) else {*words, "no"} - (_DENIALS - {"no"})


def _reduce(words: set[str], case: Case, kept: Collection[str] = ()) -> set[str]:
    """Leave out what follows from the others and isn't kept, and the part of the body where a modality is asked for."""
    implied = lexicon().implied
    drop = {word for word in words & implied.keys() if word not in kept and not words.isdisjoint(implied[word])}
    taken = stands(case.gold)
    for slot in lexicon().slots:
        if slot.optional_with in taken:
            drop |= words & slot.stands.keys()
    return words - drop or words


def _compared_up_to_than(case: Case) -> set[str]:
    """What stands before "than", if the comparison is the question's: "left is larger than right" names left."""
    words = case.affirmed if conflict(case.question, case.affirmed) else case.affirmed[: case.affirmed.index("than")]
    return set(words)


def _in_parentheses(words: Words) -> set[str]:
    """The words in brackets, where there are others outside."""
    return set(words) - set(outside_parentheses(words))


def _contradiction(case: Case, gold: set[str], stated: set[str]) -> str | None:
    """Why the prediction excludes the gold, if it does: a slot, a denial, or a denial left out."""
    if slot := conflict(content(case.gold), plain(case.affirmed) if not _denies(case.gold) else stated):
        echoed = set(case.question)
        if conflict(content(case.gold), [word for word in case.affirmed if word not in echoed or word in gold]):
            return f"conflict of {slot}"
    if _denies(case.gold):
        return None if _denies(case.prediction) else "denial missing"
    if any(_bare_no(case.prediction[start:end]) for start, end in clauses_of(case.prediction)):
        return "denied"
    if True not in case.denied:
        return None
    denied = {word for word, no in zip(case.prediction, case.denied, strict=True) if no}
    if (gold & denied) - stated or (gold <= denied and any(gold == clause for clause in _denied_clauses(case))):
        return "denied"
    return "denied" if denies_the_question(case, gold) else None


def _denied_clauses(case: Case) -> Iterator[set[str]]:
    """The meaningful words that each clause denies: "not the spleen, spleen" says both."""
    for start, end in clauses_of(case.prediction):
        pairs = zip(case.prediction[start:end], case.denied[start:end], strict=True)
        yield _meant(tuple([word for word, no in pairs if no]))


def _bare_no(clause: Words) -> bool:
    """Whether a clause only says no: "no", "nothing", "none of it"."""
    return "no" in clause and all(word == "no" or word in fillers() for word in clause)


@lru_cache(maxsize=1 << 12)
def _asked_for(question: Words, gold: frozenset[str]) -> str | None:
    """What the question asks for by name ("which side", "what modality"), where the gold is that and nothing else."""
    for name, by, stand_words, beside in _nameable():
        if not by.isdisjoint(question) and gold & stand_words and gold <= stand_words | beside | set(question):
            return name
    return None


@cache
def _nameable() -> list[tuple[str, frozenset[str], frozenset[str], frozenset[str]]]:
    """What can be asked for by name: (slot, the words that ask for it, its stands, what may stand beside)."""
    stand_words = {slot.name: frozenset(slot.stands) for slot in lexicon().slots}
    return [
        (
            row["slot"],
            frozenset(row["by"]),
            stand_words[row["slot"]],
            frozenset[str]().union(*(stand_words[name] for name in row.get("beside", ()))),
        )
        for row in read_table("slots")["asked"]
    ]


def _f1(wanted: set[str], stated: set[str], extra: int) -> float:
    """F1 of the wanted words; 1 exactly when all are stated and nothing else is."""
    missing = len(wanted - stated)
    hits = len(wanted) - missing
    return 2 * hits / (2 * hits + missing + extra) if hits else 0.0


def _ambiguous(gold: set[str]) -> bool:
    """Whether the gold takes two stands in one slot, so that it matters which goes with what."""
    return any(len(taken) > 1 for taken in stands(gold).values())


def _compare_members(case: Case) -> float:
    """F1 of whole list members, each with its own side or level."""
    free = set(case.question) | fillers()
    gold, stated = _readings(members(case.gold), free), _readings(members(case.affirmed), free)
    return max(2 * len(a & b) / (len(a) + len(b)) if a or b else 0.0 for a in gold for b in stated)


def _readings(found: list[Words], free: Collection[str]) -> list[set[frozenset[str]]]:
    """The list as it stands, with the last member's head given to the others ("medial and lateral rectus"), and with a
    side that goes for all of them ("right upper and lower lobe")."""
    bare = {frozenset(word for word in member if word not in free) or frozenset(member) for member in found}
    head = found[-1][-1:] if found else ()
    return [bare, {member | set(head) for member in bare}, _with_sides(found, free)]


def _with_sides(found: list[Words], free: Collection[str]) -> set[frozenset[str]]:
    """The members with the first one's side, or the last one's where a member is nothing but a place ("upper")."""
    index, sides = lexicon().stands, frozenset(("left", "right"))
    named = sides.intersection(word for member in found for word in member)
    out = set()
    for member in found:
        own = {word for word in member if word not in free} or set(member)
        bare = all(word in index for word in member)
        if len(named) == 1 and (bare or not sides.isdisjoint(found[0])):
            own |= named
        out.add(frozenset(own | {word for word in found[-1][-1:] if bare and word not in free}))
    return out
