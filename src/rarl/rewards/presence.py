"""Which yes or no a reasoning leads to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache, partial

from rarl.grading import Mention, grade, mentions
from rarl.grading.reading import content, context_of, read
from rarl.grading.slots import stands
from rarl.grading.tables import word_set
from rarl.rewards.medicine import shows, signs_of
from rarl.rewards.wording import NEGATORS, content_words, sentences, wording, words
from rarl.types import Fact, QuestionKind

_CLAUSE = re.compile(r"[.;:,\n]|(?=\bwithout\b)|\b(?:and|but|with|while|whereas|although)\b", re.IGNORECASE)
_YES_OR_NO = re.compile(r"\banswer(?:\s+is)?:?\s*(yes|no)\b|^\W*(yes|no)\W*$", re.IGNORECASE)


def leads_to_yes_or_no(reasoning: str, answer: str, question: str, facts: Sequence[Fact]) -> bool | None:
    """Whether what the reasoning says on the question is what the answer says; None where it says nothing on it."""
    given = _polarity(question, answer)
    if given is None:
        return None
    last = "".join(sentences(reasoning)[-1:])
    said = [word for match in _YES_OR_NO.finditer(last) for word in match.groups() if word]
    if said and (said[-1].lower() == "yes") is not given:
        return False
    if given and _is_existential(question) and not _is_about_soundness(question) and _takes_back(last, question):
        return False
    verdicts = (find(reasoning, question) for find in (_stance, partial(_holds, facts=facts), _seen))
    implied = next((verdict for verdict in verdicts if verdict is not None), None)
    if implied is None and given and _is_existential(question) and _is_all_sound(reasoning):
        return None if _is_about_soundness(question) else False
    return None if implied is None else implied is given


@lru_cache(maxsize=4096)
def _polarity(question: str, answer: str) -> bool | None:
    for gold in (True, False):
        if grade(question, "yes" if gold else "no", answer, kind=QuestionKind.YESNO).correct:
            return gold
    return None


def _stance(reasoning: str, question: str) -> bool | None:
    """What the last sentence that says anything on the question by the rules of grading says; not a bare yes or no.

    That something is sound denies what was asked only by naming it, or where all is: "the ulna is intact".
    """
    asked, all_sound = set(content(read(question))), _is_all_sound(reasoning)
    for sentence in reversed(sentences(reasoning)):
        said = None if _YES_OR_NO.search(sentence) else _polarity(question, sentence)
        if said or (said is False and (all_sound or not asked.isdisjoint(content(read(sentence))))):
            return said
    return None


def _seen(reasoning: str, question: str) -> bool | None:
    """Whether the signs of what was asked are seen."""
    found = {shows(reasoning, sign, context_of(question)) for sign in signs_of(question)} - {None}
    return found.pop() if len(found) == 1 else None


def _holds(reasoning: str, question: str, facts: Sequence[Fact]) -> bool | None:
    """What the reasoning says of the question's words: yes if it affirms them all, no if it denies or excludes one."""
    verdicts = [_holds_word(reasoning, word, question, facts) for word in dict.fromkeys(content_words(question))]
    if False in verdicts:
        return False
    return True if verdicts and all(verdicts) else None


def _holds_word(reasoning: str, word: str, question: str, facts: Sequence[Fact]) -> bool | None:
    """Whether the reasoning affirms one word of the question, or denies or excludes it."""
    meant = mentions(reasoning, word)
    if meant is Mention.DENIED and all(
        _denies_soundness(s) for s in sentences(reasoning) if mentions(s, word) is meant
    ):
        return None  # "no intact fibres are seen"
    if meant is Mention.BOTH:
        # "No lesion on the right. One lesion on the left." does not deny the lesion: it says where there is none.
        denials = [s for s in sentences(reasoning) if mentions(s, word) is Mention.DENIED]
        return None if any(set(content_words(s)) <= set(content_words(question)) for s in denials) else True
    if meant is not Mention.ABSENT:
        return meant is Mention.AFFIRMED
    if word in wording().abnormal:
        return _abnormal(reasoning) if _is_existential(question) else None
    if word in wording().normal:
        abnormal = _abnormal(reasoning)
        return None if abnormal is None else not abnormal
    for alternatives in (*fact_groups(facts), *wording().opposites):
        rivals = [phrase for phrase in alternatives if word not in content_words(phrase)]
        if len(rivals) < len(alternatives) and any(mentions(reasoning, rival) is Mention.AFFIRMED for rival in rivals):
            return False
    return None


def _denies_soundness(sentence: str) -> bool:
    said = set(words(sentence))
    return not said.isdisjoint(NEGATORS) and not said.isdisjoint(wording().sound)


def _abnormal(reasoning: str) -> bool | None:
    """Whether the reasoning finds anything wrong at all."""
    meant = {mentions(reasoning, word) for word in (*wording().abnormal, *wording().deviations)}
    if meant & {Mention.AFFIRMED, Mention.BOTH}:
        return True
    if Mention.DENIED in meant or any(mentions(reasoning, word) is Mention.AFFIRMED for word in wording().normal):
        return False
    return None


def _is_existential(question: str) -> bool:
    """Whether it asks if something is there, and not how something is."""
    return not (word_set("polarity", "existential") | word_set("negation", "seen")).isdisjoint(read(question))


def _takes_back(sentence: str, question: str) -> bool:
    """Whether the last sentence calls what was asked about normal as a whole: "..., so the bowel is normal"."""
    said = read(sentence)
    if wording().elsewhere & set(words(sentence)) or stands(said).keys() & {"laterality", "height", "anteroposterior"}:
        return False
    named = not set(content(said)).isdisjoint(content(read(question)))
    return named and not NEGATORS & set(words(sentence)) and _is_all_sound(sentence)


def _is_about_soundness(question: str) -> bool:
    return not (wording().sound | NEGATORS).isdisjoint(words(question))


def _is_all_sound(reasoning: str) -> bool:
    """Whether every clause denies something or calls it normal: nothing was found that a yes could rest on."""
    clauses = [clause for clause in _CLAUSE.split(reasoning) if content_words(clause) and not _is_bare_name(clause)]
    return bool(clauses) and all(map(_is_sound, clauses))


def _is_bare_name(clause: str) -> bool:
    """A member of a list, of which the list says something: "the brain, ventricles and meninges are normal"."""
    said = set(words(clause))
    marks = wording().sound | NEGATORS | wording().function_words - {"the", "both", "all"}
    return len(content_words(clause)) <= 2 and said.isdisjoint(marks) and said.isdisjoint(wording().deviations)


def _is_sound(clause: str) -> bool:
    """Denies something, or calls it normal, but not both: "no intact fibres"."""
    said = set(words(clause))
    return said.isdisjoint(NEGATORS) is not said.isdisjoint(wording().sound)


def fact_groups(facts: Sequence[Fact]) -> tuple[tuple[str, ...], ...]:
    """The values that facts of one name can have."""
    return tuple(dict.fromkeys(fact.alternatives for fact in facts if fact.alternatives))
