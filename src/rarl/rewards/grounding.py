"""Reward grounding: are the findings that the reasoning states the ones that the image shows?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rarl.grading import Mention, mentions
from rarl.grading.claims import statements
from rarl.grading.reading import context_of
from rarl.grading.slots import conflict, stands
from rarl.rewards.columns import Row, asks_for_reasoning, rows, rowwise
from rarl.rewards.medicine import restating, sides_of, signs_of, together
from rarl.rewards.reasoning import read_row
from rarl.rewards.tampering import tampers
from rarl.rewards.wording import content_words, padded, stem, wording, words
from rarl.types import Fact, Judge, JudgeQuery

INVENTION = 0.25  # of a fact, what a finding costs that no free fact holds
SHARE = 0.5  # of a free fact's words, so many must be stated for any of it to count
_STATED = (Mention.AFFIRMED, Mention.BOTH)
_PRESENT, _ABSENT = (
    frozenset({"present", "yes", "true", "positive"}),
    frozenset({"absent", "no", "none", "false", "negative"}),
)


@dataclass(frozen=True, slots=True)
class Counts:
    """Statements that hold, statements that do not, and what should have been stated."""

    right: float
    wrong: float
    missing: float

    @property
    def f1(self) -> float:
        """2 right / (2 right + wrong + missing); 0 where there is nothing to count."""
        total = 2 * self.right + self.wrong + self.missing
        return 2 * self.right / total if total else 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.right + other.right, self.wrong + other.wrong, self.missing + other.missing)


def _has_something_to_check(**row: Any) -> bool:
    if not asks_for_reasoning(**row):
        return False
    if any(fact.get("value") is not None for fact in row.get("facts") or ()):
        return True
    return bool(_terms(row.get("rationale") or "", row.get("question") or ""))


def grounding(
    prompts: Sequence[Any], completions: Sequence[Any], judge: Judge | None = None, **columns: Any
) -> list[float | None]:
    """F1 of the reasoning's statements against the example's facts, else against its reference rationale.

    A judge, where there is one, is asked about the examples that have neither; about reasoning that is empty or talks
    to the judge it is not asked: that is 0.
    """
    values = _by_rules(prompts, completions, **columns)
    if judge is None:
        return values
    queries: dict[int, JudgeQuery] = {}
    for i, row in enumerate(rows(prompts, completions, columns)):
        if asks_for_reasoning(**row.columns) and not _has_something_to_check(**row.columns):
            reasoning = row.parsed.reasoning
            if reasoning and not tampers(reasoning):
                queries[i] = _query(row, reasoning)
            else:
                values[i] = 0.0
    if queries:
        for i, verdict in zip(queries, judge(list(queries.values())), strict=True):
            values[i] = verdict.value
    return values


def _applies(judge: Judge | None = None, **row: Any) -> bool:
    return _has_something_to_check(**row) or (judge is not None and asks_for_reasoning(**row))


grounding.applies = _applies  # type: ignore[attr-defined]
grounding.needs = (  # type: ignore[attr-defined]
    "a prompt that asks for reasoning, and an example with facts or a reference rationale, or a judge (judge.kind)"
)


def _query(row: Row, reasoning: str) -> JudgeQuery:
    return JudgeQuery(
        axis="explanation",
        id=str(row.columns.get("id", "")),
        question=row.question,
        reasoning=reasoning,
        answer=row.parsed.answer,
        gold=row.gold,
        options=row.options,
        modality=row.columns.get("modality"),
        rationale=row.rationale,
        facts=row.facts,
    )


@rowwise(applies=_has_something_to_check)
def _by_rules(row: Row) -> float:
    reading = read_row(row)
    if reading is None:
        return 0.0
    if any(fact.value is not None for fact in row.facts):
        asked = f"{row.question} {row.parsed.answer or ''} {' '.join((row.gold or '', *row.references))}"
        choices, free = _parted(row.facts)
        found = against_facts(reading.text, choices, reading.stated)
        return (found + against_phrases(reading.text, free, asked, reading.stated) if free else found).f1
    return against_rationale(reading.text, row.rationale or "", row.question, reading.stated).f1


def _parted(facts: Sequence[Fact]) -> tuple[list[Fact], list[str]]:
    """Facts whose name has alternatives or no value, and what the others say in free words."""
    choices = {fact.name for fact in facts if fact.alternatives or fact.value is None}
    free = dict.fromkeys(phrase_of(fact) for fact in facts if fact.name not in choices)
    return [fact for fact in facts if fact.name in choices], list(free)


def phrase_of(fact: Fact) -> str:
    """A fact without alternatives as a phrase: "heart: normal" is "heart normal", "side: left" is "left"."""
    value = (fact.value or "").strip()
    if value.casefold() in _PRESENT:
        return fact.name
    if value.casefold() in _ABSENT:
        return f"no {fact.name}"
    named = set(words(fact.name)) - wording().roles
    return value if not named or fact.name == value else f"{fact.name} {value}"


def against_facts(reasoning: str, facts: Sequence[Fact], told: str | None = None) -> Counts:
    """Facts of one name are judged together, since each may state one of several values (the zones of two lesions).

    Affirming an alternative that is no value of that name is wrong, and so is denying a value without naming another.
    A name with a wrong alternative earns nothing for its right ones: who lists them all states none. `told` is what of
    the reasoning is about this image: only that can be right.
    """
    told = reasoning if told is None else told
    right = wrong = missing = 0
    for name in dict.fromkeys(fact.name for fact in facts):
        group = [fact for fact in facts if fact.name == name]
        values = list(dict.fromkeys(fact.value for fact in group if fact.value is not None))
        others = dict.fromkeys(phrase for fact in group for phrase in fact.alternatives if phrase not in values)
        said = {value: mentions(reasoning, value) for value in values}
        stated = [value for value in values if said[value] is mentions(told, value) is Mention.AFFIRMED]
        inventions = [p for p in others if mentions(reasoning, p) in _STATED and not _within(p, stated)]
        earned = 0 if inventions else len(stated)
        right += earned
        missing += len(values) - earned
        wrong += len(inventions) or sum(said[value] in (Mention.DENIED, Mention.BOTH) for value in values)
    return Counts(right, wrong, missing)


def _within(phrase: str, stated: Iterable[str]) -> bool:
    """Whether a text that states one of these has the phrase in it anyway ("CT" in "head CT")."""
    return any(padded(words(phrase)) in padded(words(value)) for value in stated)


def against_phrases(reasoning: str, phrases: Sequence[str], asked: str, told: str | None = None) -> Counts:
    """Facts in free words: each by the share of its words that one statement means alike, in any order.

    A statement that denies all of them, or says them of another side or level, is wrong; so is every finding that
    neither a fact nor `asked` (question and answers) holds nor is a sign of, a quarter of one.
    """
    context = context_of(asked, *phrases)
    right, wrong = 0.0, 0.0
    for phrase in phrases:
        share = _share(reasoning if told is None else told, phrase, context)
        if _is_contradicted(reasoning, phrase, share, context):
            wrong += 1
        elif share >= SHARE:
            right += share
    named = (asked, *phrases, *wording().abnormal, *(phrase for sign in signs_of(asked) for phrase in sign.by))
    given = restating(asked).union(stem(word) for text in named for word in words(text))
    given |= {stem(word) for phrase in phrases for side in sides_of(phrase, context) for word in side}
    affirmed = {stem(word) for s in statements(reasoning, context) for word in s.affirmed}
    return Counts(right, wrong + INVENTION * len(affirmed & wording().findings - given), len(phrases) - right)


def _share(told: str, phrase: str, context: frozenset[str]) -> float:
    """The greatest share of the phrase's words that one statement means alike; none where it says another side."""
    wanted, unwanted = sides_of(phrase, context)
    found = [s for s in statements(told, context) if not conflict(wanted, s.affirmed)]
    alike = (len(wanted & s.affirmed) + len(unwanted & s.denied) for s in found)
    return max(alike, default=0) / max(len(wanted | unwanted), 1)


def _is_contradicted(reasoning: str, phrase: str, share: float, context: frozenset[str]) -> bool:
    """Whether it is denied, be it stated as well, or what it is about is only said to be elsewhere."""
    if together(reasoning, phrase, context) in (Mention.DENIED, Mention.BOTH):
        return True
    if share == 1:
        return False
    wanted, _ = sides_of(phrase, context)
    core = {word for word in wanted if not stands((word,))}
    return any(core <= s.affirmed and conflict(wanted, s.affirmed) for s in statements(reasoning, context))


def against_rationale(reasoning: str, rationale: str, question: str, told: str | None = None) -> Counts:
    """Content words of both texts, without those of the question, each with how it is meant: affirmed or denied.

    A word of the rationale that the reasoning means alike is right; a word of the reasoning that the rationale does
    not mean alike is wrong. `told` as in against_facts.
    """
    wanted, said = _terms(rationale, question), _terms(reasoning, question)
    texts = (reasoning,) if told is None else (reasoning, told)
    right = sum(all(mentions(text, term) is mentions(rationale, term) for text in texts) for term in wanted)
    wrong = sum(mentions(reasoning, term) is not mentions(rationale, term) for term in said)
    return Counts(right, wrong, missing=len(wanted) - right)


@lru_cache(maxsize=4096)
def _terms(text: str, question: str) -> tuple[str, ...]:
    given = set(content_words(question))
    return tuple(dict.fromkeys(word for word in content_words(text) if word not in given))
