"""Reward consistency: does the reasoning lead to the answer given, and not to another one?

It compares the completion with itself: a wrong answer that follows from the reasoning is consistent.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence
from functools import lru_cache

from rarl.grading import Mention, derive_kind, grade, mentions
from rarl.rewards.columns import Row, asks_for_reasoning, rowwise
from rarl.rewards.reasoning import read_row
from rarl.rewards.substance import substance_of
from rarl.rewards.wording import content_words, numbers, padded, sentences, wording, words
from rarl.types import Fact, QuestionKind

UNDECIDED = 0.5  # the reasoning says nothing from which the answer or another one would follow
_LETTER = re.compile(r"\b(?:answer|option|choice)(?:\s+is)?:?\s*\(?([A-Z])\)?(?!\w)")
_NEGATORS = frozenset({"no", "not", "without", "none", "neither"})
_CLAUSE = re.compile(r"[.;:,\n]|(?=\bwithout\b)|\b(?:and|but|with|while|whereas|although)\b", re.IGNORECASE)
_YES_OR_NO = re.compile(r"\banswer(?:\s+is)?:?\s*(yes|no)\b|^\W*(yes|no)\W*$", re.IGNORECASE)


@rowwise(applies=asks_for_reasoning, needs="a prompt that asks for reasoning")
def consistency(row: Row) -> float:
    """1 where the reasoning leads to the answer, 0 where it leads to another one, 0.5 where one can't tell.

    0 also without an answer, for reasoning without any substance, and for such as tampers with the scoring. The kind of
    question decides how it is judged: see docs/rewards.md.
    """
    reasoning, answer = row.parsed.reasoning, row.parsed.answer
    if not reasoning or not answer or read_row(row) is None:
        return 0.0
    kind = row.kind or derive_kind(row.question, row.gold or answer, row.options)
    if kind is QuestionKind.YESNO:
        leads = _to_yes_or_no(reasoning, answer, row)
    elif row.options:
        leads = _to_option(reasoning, answer, row)
    elif kind is QuestionKind.NUMBER:
        leads = _to_number(reasoning, answer, row)
    else:
        leads = _to_phrase(reasoning, answer, row)
    if leads is None:
        return UNDECIDED if substance_of(row) > 0 else 0.0
    return float(leads)


def _concludes(reasoning: str, own: str, rivals: Iterable[str]) -> bool | None:
    """Whether the last sentence that settles between these phrases settles on `own`.

    None: no sentence does, or that one names some, but not all, of the rivals as well.
    """
    rivals = [rival for rival in rivals if mentions(reasoning, rival) is not Mention.ABSENT]
    sound = wording().sound.difference(*map(words, (own, *rivals)))
    # What is called normal ("the right lung is clear") settles nothing as long as something else does.
    last_first = sentences(reasoning)[::-1]
    for sentence in sorted(last_first, key=lambda sentence: not sound.isdisjoint(words(sentence))):
        named = _without_parts([p for p in (own, *rivals) if mentions(sentence, p) in (Mention.AFFIRMED, Mention.BOTH)])
        if named == [own]:
            return True
        if named:
            return None if own in named and (len(named) <= len(rivals) or len(rivals) < 2) else False
        if mentions(sentence, own) is Mention.DENIED:
            return False
    return None


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
    return _concludes(reasoning, chosen, [option for option in row.options if option != chosen])


@lru_cache(maxsize=4096)
def _chosen(question: str, answer: str, options: tuple[str, ...]) -> str | None:
    """The option that the answer names, by letter or text."""
    named = [o for o in options if grade(question, o, answer, kind=QuestionKind.MCQ, options=options).correct]
    return named[0] if len(named) == 1 else None


def _to_number(reasoning: str, answer: str, row: Row) -> bool | None:
    given = set(numbers(answer))
    if len(given) != 1:
        return None
    if _concludes(reasoning, answer, ()) is False:
        return False
    for alternatives in _groups(row.facts):
        own = [phrase for phrase in alternatives if set(numbers(phrase)) == given]
        if own and all(numbers(phrase) for phrase in alternatives):
            return _concludes(reasoning, own[0], [phrase for phrase in alternatives if phrase != own[0]])
    counted = _counts(reasoning, content_words(row.question))
    if counted and (counted[-1] in given or not _adds_up(reasoning, given)):
        return counted[-1] in given
    stated = set(numbers(reasoning))
    if _adds_up(reasoning, given):
        return True
    if not stated and any(_word_holds(reasoning, word, (), ()) is False for word in content_words(row.question)):
        stated = {0.0}
    if len(stated) > 1 and given <= stated:
        return None
    return stated == given if stated else None


def _adds_up(reasoning: str, given: set[float]) -> bool:
    """Whether a sentence counts what makes up the answer: "two on the right, one on the left", "..., three in all"."""
    each = [numbers(sentence) for sentence in sentences(reasoning)]
    return any(len(parts) > 1 and any(sum(parts) in (whole, 2 * whole) for whole in given) for parts in each)


def _counts(reasoning: str, things: Sequence[str]) -> list[float]:
    """The numbers that stand before one of these words, with at most two words between: "two small nodules"."""
    found: list[float] = []
    for sentence in sentences(reasoning):
        tokens = words(sentence)
        for i, token in enumerate(tokens):
            following = content_words(" ".join(tokens[i + 1 : i + 4]))
            if any(word in things for word in following):
                found += numbers(token)
    return found


def _to_phrase(reasoning: str, answer: str, row: Row) -> bool | None:
    """An open answer: against the values that facts or opposites know beside it, else word by word."""
    verdicts = [_concludes(reasoning, own, rivals) for own, rivals in _choices(answer, _groups(row.facts))]
    if False in verdicts:
        return False
    meant = [mentions(reasoning, word) for word in content_words(answer)]
    if Mention.DENIED in meant:
        return False
    if True in verdicts or (meant and all(m is Mention.AFFIRMED for m in meant)):
        return True
    return None


@lru_cache(maxsize=4096)
def _choices(answer: str, groups: tuple[tuple[str, ...], ...]) -> list[tuple[str, list[str]]]:
    """What the answer chooses among values that exclude each other, and what it leaves."""
    choices = []
    for alternatives in (*groups, *wording().opposites):
        own = _without_parts([phrase for phrase in alternatives if mentions(answer, phrase) is Mention.AFFIRMED])
        if len(own) == 1:
            choices.append((own[0], [phrase for phrase in alternatives if phrase != own[0]]))
    return choices


def _to_yes_or_no(reasoning: str, answer: str, row: Row) -> bool | None:
    given = _polarity(row.question, answer)
    if given is None:
        return None
    last = "".join(sentences(reasoning)[-1:])
    said = [word for match in _YES_OR_NO.finditer(last) for word in match.groups() if word]
    if said and (said[-1].lower() == "yes") is not given:
        return False
    implied = _holds(reasoning, row.question, row.facts)
    if implied is None and given and not _is_about_soundness(row.question) and _is_all_sound(reasoning):
        return False
    return None if implied is None else implied is given


@lru_cache(maxsize=4096)
def _polarity(question: str, answer: str) -> bool | None:
    for gold in (True, False):
        if grade(question, "yes" if gold else "no", answer, kind=QuestionKind.YESNO).correct:
            return gold
    return None


def _holds(reasoning: str, question: str, facts: Sequence[Fact]) -> bool | None:
    """What the reasoning says of the question's words: yes if it affirms them all, no if it denies or excludes one."""
    asked = list(dict.fromkeys(content_words(question)))
    verdicts = [_word_holds(reasoning, word, asked, facts) for word in asked]
    if False in verdicts:
        return False
    return True if verdicts and all(verdicts) else None


def _word_holds(reasoning: str, word: str, asked: Sequence[str], facts: Sequence[Fact]) -> bool | None:
    meant = mentions(reasoning, word)
    if meant is Mention.BOTH:
        # "No lesion on the right. One lesion on the left." does not deny the lesion: it says where there is none.
        denials = [s for s in sentences(reasoning) if mentions(s, word) is Mention.DENIED]
        return None if any(set(content_words(s)) <= set(asked) for s in denials) else True
    if meant is not Mention.ABSENT:
        return meant is Mention.AFFIRMED
    if word in wording().abnormal:
        return _abnormal(reasoning)
    if word in wording().normal:
        abnormal = _abnormal(reasoning)
        return None if abnormal is None else not abnormal
    for alternatives in (*_groups(facts), *wording().opposites):
        rivals = [phrase for phrase in alternatives if word not in content_words(phrase)]
        if len(rivals) < len(alternatives) and any(mentions(reasoning, rival) is Mention.AFFIRMED for rival in rivals):
            return False
    return None


def _abnormal(reasoning: str) -> bool | None:
    """Whether the reasoning finds anything wrong at all."""
    meant = {mentions(reasoning, word) for word in (*wording().abnormal, *wording().deviations)}
    if meant & {Mention.AFFIRMED, Mention.BOTH}:
        return True
    if Mention.DENIED in meant or any(mentions(reasoning, word) is Mention.AFFIRMED for word in wording().normal):
        return False
    return None


def _is_about_soundness(question: str) -> bool:
    return not (wording().sound | _NEGATORS).isdisjoint(words(question))


def _is_all_sound(reasoning: str) -> bool:
    """Whether every clause denies something or calls it normal: nothing was found that a yes could rest on."""
    clauses = [clause for clause in _CLAUSE.split(reasoning) if content_words(clause) and not _is_bare_name(clause)]
    return bool(clauses) and all(map(_is_sound, clauses))


def _is_bare_name(clause: str) -> bool:
    """A member of a list, of which the list says something: "the brain, ventricles and meninges are normal"."""
    said = set(words(clause))
    marks = wording().sound | _NEGATORS | wording().function_words - {"the", "both", "all"}
    return len(content_words(clause)) <= 2 and said.isdisjoint(marks) and said.isdisjoint(wording().deviations)


def _is_sound(clause: str) -> bool:
    """Denies something, or calls it normal, but not both: "no intact fibres"."""
    said = set(words(clause))
    return said.isdisjoint(_NEGATORS) is not said.isdisjoint(wording().sound)


def _groups(facts: Sequence[Fact]) -> tuple[tuple[str, ...], ...]:
    """The values that facts of one name can have."""
    return tuple(dict.fromkeys(fact.alternatives for fact in facts if fact.alternatives))
