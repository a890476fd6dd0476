"""Reward consistency: does the reasoning lead to the answer given, and not to another one?

It compares the completion with itself: a wrong answer that follows from the reasoning is consistent.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence
from functools import lru_cache

from rarl.grading import Mention, derive_kind, grade, mentions
from rarl.grading.claims import normal_words
from rarl.grading.lexicon import lexicon
from rarl.grading.reading import context_of
from rarl.rewards.columns import Row, asks_for_reasoning, rowwise
from rarl.rewards.counting import leads_to_number
from rarl.rewards.medicine import medicine, shows, signs_of
from rarl.rewards.presence import fact_groups, leads_to_yes_or_no
from rarl.rewards.reasoning import read_row
from rarl.rewards.substance import substance_of
from rarl.rewards.wording import content_words, numbers, padded, sentences, wording, words
from rarl.types import QuestionKind

UNDECIDED = 0.5  # the reasoning says nothing from which the answer or another one would follow
_LETTER = re.compile(r"\b(?:answer|option|choice)(?:\s+is)?:?\s*\(?([A-Z])\)?(?!\w)")
_SO = re.compile(r"\b(?:so|therefore|thus|hence|consequently|which (?:means|makes|suggests|indicates|is))\b", re.I)
_STATED = (Mention.AFFIRMED, Mention.BOTH)


@rowwise(applies=asks_for_reasoning, needs="a prompt that asks for reasoning")
def consistency(row: Row) -> float:
    """1 where the reasoning leads to the answer, 0 where it leads to another one, 0.5 where one can't tell.

    0 also without an answer, for reasoning without any substance, and for such as tampers with the scoring. The kind of
    question decides how it is judged: see docs/rewards.md.
    """
    reasoning, answer, reading = row.parsed.reasoning, row.parsed.answer, read_row(row)
    if not reasoning or not answer or reading is None:
        return 0.0
    undecided = UNDECIDED if substance_of(row) > 0 else 0.0
    said = {reading.text, reading.stated}  # what only fills may contradict the answer, but it does not lead there
    found = [_leads(text, answer, row) for text in sorted(said)]
    return min(undecided if leads is None else float(leads) for leads in found)


def _leads(reasoning: str, answer: str, row: Row) -> bool | None:
    kind = row.kind or derive_kind(row.question, row.gold or answer, row.options)
    if kind is QuestionKind.YESNO:
        return leads_to_yes_or_no(reasoning, answer, row.question, row.facts)
    if row.options:
        return _to_option(reasoning, answer, row)
    if kind is QuestionKind.NUMBER:
        return _to_number(reasoning, answer, row)
    return _to_phrase(reasoning, answer, row)


def _concludes(reasoning: str, own: str, rivals: Iterable[str], context: frozenset[str]) -> bool | None:
    """Whether the last sentence that settles between these phrases settles on `own`.

    None: no sentence does, or that one names some, but not all, of the rivals as well. What is called normal ("the
    right lung is clear") or supposed ("a glioma would be darker") settles nothing as long as something else does.
    """
    rivals = [rival for rival in rivals if mentions(reasoning, rival, context) is not Mention.ABSENT]
    sound = wording().sound.difference(*map(words, (own, *rivals)))
    elsewhere = mentions(reasoning, own, context) in _STATED and _is_place(own, context)

    def is_aside(sentence: str) -> bool:
        return not (sound | wording().supposing).isdisjoint(words(sentence))

    last_first = sentences(reasoning)[::-1]
    for sentence in sorted(last_first, key=is_aside):
        meant = {p: mentions(sentence, p, context) for p in (own, *rivals)}
        named = _without_parts([p for p, how in meant.items() if how in _STATED])
        if named == [own] or _is_union(own, named):
            return True
        if own in named and (settled := _of_the_end(sentence, meant, context)) is not None:
            return settled
        if named:
            return None if own in named and (len(named) <= len(rivals) or len(rivals) < 2) else False
        if meant[own] is Mention.DENIED and not elsewhere:
            return False
    return None


def _of_the_end(sentence: str, phrases: Iterable[str], context: frozenset[str]) -> bool | None:
    """Where a sentence names the first of the phrases and others, whether what it concludes with is that one."""
    end = _SO.split(sentence)[-1]
    if end == sentence:
        return None
    own, *rivals = (mentions(end, phrase, context) in _STATED for phrase in phrases)
    return own if own is not any(rivals) else None


def _is_place(phrase: str, context: frozenset[str]) -> bool:
    """Whether a phrase only says where, so that a denial there ("no effusion on the left") does not deny it."""
    return all(word in lexicon().stands for word in normal_words(phrase, context))


def _is_union(own: str, named: Sequence[str]) -> bool:
    """Whether what is named comes to the answer together: left and right to bilateral."""
    parts = medicine().unions.get(own)
    return parts is not None and set(parts) <= set(named) <= {own, *parts}


def _without_parts(phrases: Sequence[str]) -> list[str]:
    """Phrases that stand in a longer one of the list are left out ("upper" beside "upper and lower")."""
    texts = [padded(words(phrase)) for phrase in phrases]
    return [p for p, text in zip(phrases, texts, strict=True) if not any(text in t and text != t for t in texts)]


def _to_option(reasoning: str, answer: str, row: Row) -> bool | None:
    chosen = _chosen(row.question, answer, row.options)
    if chosen is None:
        return None
    letters = _LETTER.findall(reasoning)
    if letters:
        index = string.ascii_uppercase.index(letters[-1])
        if index < len(row.options) and row.options[index] != chosen:
            return False
    context, others = context_of(row.question), [option for option in row.options if option != chosen]
    leads = _concludes(reasoning, chosen, others, context)
    if leads is None and not any(mentions(reasoning, option, context) in _STATED for option in row.options):
        return (
            False if _sets_apart(reasoning, chosen, others, context) else _by_signs(reasoning, chosen, others, context)
        )
    return leads


def _sets_apart(reasoning: str, chosen: str, others: Sequence[str], context: frozenset[str]) -> bool:
    """Whether it leads to what only other options hold: to the left, where the chosen one is on the right."""
    groups = (*wording().opposites, *medicine().exclusive)
    for own, rivals in _choices(chosen, groups, context):
        held = [r for r in rivals if any(mentions(other, r, context) is Mention.AFFIRMED for other in others)]
        if held and _concludes(reasoning, own, held, context) is False:
            return True
    return False


@lru_cache(maxsize=4096)
def _chosen(question: str, answer: str, options: tuple[str, ...]) -> str | None:
    """The option that the answer names, by letter or text."""
    named = [o for o in options if grade(question, o, answer, kind=QuestionKind.MCQ, options=options).correct]
    return named[0] if len(named) == 1 else None


def _by_signs(reasoning: str, own: str, rivals: Sequence[str], context: frozenset[str]) -> bool | None:
    """What the signs of the findings say that no sentence names."""
    seen = {own: _sees(reasoning, own, context), **{rival: _sees(reasoning, rival, context) for rival in rivals}}
    others = [rival for rival in rivals if seen[rival]]
    if seen[own]:
        return None if others else True
    return False if seen[own] is False or (others and signs_of(own)) else None


def _sees(reasoning: str, phrase: str, context: frozenset[str]) -> bool | None:
    found = {shows(reasoning, sign, context) for sign in signs_of(phrase)} - {None}
    return found.pop() if len(found) == 1 else None


def _to_number(reasoning: str, answer: str, row: Row) -> bool | None:
    if _concludes(reasoning, answer, (), context_of(row.question)) is False:
        return False
    given = set(numbers(answer))
    for alternatives in fact_groups(row.facts):
        own = [phrase for phrase in alternatives if set(numbers(phrase)) == given]
        if own and all(numbers(phrase) for phrase in alternatives):
            others = [phrase for phrase in alternatives if phrase != own[0]]
            return _concludes(reasoning, own[0], others, context_of(row.question))
    return leads_to_number(reasoning, answer, row.question)


def _to_phrase(reasoning: str, answer: str, row: Row) -> bool | None:
    """An open answer: against what excludes it, by facts, opposites and kinds; else by its words, else by its signs."""
    context = context_of(row.question, answer)
    if not wording().absences.isdisjoint(words(answer)):
        return True if _meant(reasoning, answer, context) is not Mention.ABSENT else None
    groups = (*fact_groups(row.facts), *wording().opposites)
    verdicts = [_concludes(reasoning, own, others, context) for own, others in _choices(answer, groups, context)]
    if False in verdicts:
        return False
    said = _meant(reasoning, answer, context)
    if said is Mention.DENIED or _is_of_another_kind(reasoning, answer, context):
        return False
    if True in verdicts or said is Mention.AFFIRMED:
        return True
    if _concludes_elsewhere(reasoning, answer, context):
        return False
    return _by_signs(reasoning, answer, (), context)


def _meant(reasoning: str, answer: str, context: frozenset[str]) -> Mention:
    """The answer as a whole, as the vocabulary has it, else word by word."""
    whole = mentions(reasoning, answer, context)
    if whole is not Mention.ABSENT:
        return whole
    meant = [_word_meant(reasoning, word, context) for word in content_words(answer)]
    if Mention.DENIED in meant:
        return Mention.DENIED
    return Mention.AFFIRMED if meant and all(m is Mention.AFFIRMED for m in meant) else Mention.ABSENT


def _word_meant(reasoning: str, word: str, context: frozenset[str]) -> Mention:
    """A word, or where it is not said one that implies it ("T2" implies MRI)."""
    said = mentions(reasoning, word, context)
    if said is Mention.ABSENT:
        implying = [by for w in normal_words(word, context) for by in sorted(lexicon().implied.get(w, ()))]
        if any(mentions(reasoning, by, context) is Mention.AFFIRMED for by in implying):
            return Mention.AFFIRMED
    return said


@lru_cache(maxsize=4096)
def _choices(
    answer: str, groups: tuple[tuple[str, ...], ...], context: frozenset[str]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What the answer chooses among values that exclude each other, and what it leaves."""
    choices = []
    for group in groups:
        own = _without_parts([phrase for phrase in group if mentions(answer, phrase, context) is Mention.AFFIRMED])
        if len(own) == 1:
            choices.append((own[0], tuple(phrase for phrase in group if phrase != own[0])))
    return tuple(choices)


def _is_of_another_kind(reasoning: str, answer: str, context: frozenset[str]) -> bool:
    """Whether it affirms what excludes the answer (another modality, plane, type), and never the answer's own."""
    for own, others in _choices(answer, medicine().exclusive, context):
        alike = {stand for slot in lexicon().slots if own in slot.stands for stand in [slot.stands[own]]}
        rivals = [o for o in others if not any(slot.stands.get(o) in alike for slot in lexicon().slots)]
        if _word_meant(reasoning, own, context) in _STATED or _sees(reasoning, own, context):
            continue
        named = [rival for rival in rivals if mentions(reasoning, rival, context) in _STATED]
        if named and not _is_union(own, named):
            return True
    return False


def _concludes_elsewhere(reasoning: str, answer: str, context: frozenset[str]) -> bool:
    """Whether a sentence concludes something else of the answer's kind, where none names the answer."""
    if not medicine().broad.isdisjoint(normal_words(answer, context)):
        return False
    rivals = dict.fromkeys(r for _, others in _choices(answer, medicine().rivals, context) for r in others)
    final = [s for s in sentences(reasoning) if not medicine().conclusive.isdisjoint(words(s))]
    return any(mentions(sentence, rival, context) is Mention.AFFIRMED for sentence in final for rival in rivals)
