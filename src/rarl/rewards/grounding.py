"""Reward grounding: are the findings that the reasoning states the ones that the image shows?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rarl.grading import Mention, mentions
from rarl.rewards.columns import Row, asks_for_reasoning, rows, rowwise
from rarl.rewards.tampering import tampers
from rarl.rewards.wording import content_words, padded, words
from rarl.types import Fact, Judge, JudgeQuery

_STATED = (Mention.AFFIRMED, Mention.BOTH)


@dataclass(frozen=True, slots=True)
class Counts:
    """Statements that hold, statements that do not, and what should have been stated."""

    right: int
    wrong: int
    missing: int

    @property
    def f1(self) -> float:
        """2 right / (2 right + wrong + missing); 0 where there is nothing to count."""
        total = 2 * self.right + self.wrong + self.missing
        return 2 * self.right / total if total else 0.0


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
    reasoning = row.parsed.reasoning
    if not reasoning or tampers(reasoning):
        return 0.0
    if any(fact.value is not None for fact in row.facts):
        return against_facts(reasoning, row.facts).f1
    return against_rationale(reasoning, row.rationale or "", row.question).f1


def against_facts(reasoning: str, facts: Sequence[Fact]) -> Counts:
    """Facts of one name are judged together, since each may state one of several values (the zones of two lesions).

    Affirming an alternative that is no value of that name is wrong, and so is denying a value without naming another.
    A name with a wrong alternative earns nothing for its right ones: who lists them all states none.
    """
    right = wrong = missing = 0
    for name in dict.fromkeys(fact.name for fact in facts):
        group = [fact for fact in facts if fact.name == name]
        values = list(dict.fromkeys(fact.value for fact in group if fact.value is not None))
        others = dict.fromkeys(phrase for fact in group for phrase in fact.alternatives if phrase not in values)
        said = {value: mentions(reasoning, value) for value in values}
        stated = [value for value in values if said[value] is Mention.AFFIRMED]
        inventions = [p for p in others if mentions(reasoning, p) in _STATED and not _within(p, stated)]
        earned = 0 if inventions else len(stated)
        right += earned
        missing += len(values) - earned
        wrong += len(inventions) or sum(said[value] in (Mention.DENIED, Mention.BOTH) for value in values)
    return Counts(right, wrong, missing)


def _within(phrase: str, stated: Iterable[str]) -> bool:
    """Whether a text that states one of these has the phrase in it anyway ("CT" in "head CT")."""
    return any(padded(words(phrase)) in padded(words(value)) for value in stated)


def against_rationale(reasoning: str, rationale: str, question: str) -> Counts:
    """Content words of both texts, without those of the question, each with how it is meant: affirmed or denied.

    A word of the rationale that the reasoning means alike is right; a word of the reasoning that the rationale does
    not mean alike is wrong.
    """
    wanted, said = _terms(rationale, question), _terms(reasoning, question)
    right = sum(mentions(reasoning, term) is mentions(rationale, term) for term in wanted)
    wrong = sum(mentions(reasoning, term) is not mentions(rationale, term) for term in said)
    return Counts(right, wrong, missing=len(wanted) - right)


@lru_cache(maxsize=4096)
def _terms(text: str, question: str) -> tuple[str, ...]:
    given = set(content_words(question))
    return tuple(dict.fromkeys(word for word in content_words(text) if word not in given))
