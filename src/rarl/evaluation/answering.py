"""From questions to records: each is asked once, whatever interrupts; several completions vote on the answer."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import ne
from pathlib import Path
from typing import Any

from rarl.draws import Draws
from rarl.evaluation import records as store
from rarl.evaluation.protocols import QUALITY
from rarl.grading import grade
from rarl.prompting import Parsed, ask, parse
from rarl.rewards import Scorer
from rarl.terminal import progress
from rarl.types import Engine, EvalRecord, Example, Grade, QuestionKind, Rollout, Sampling, Template

logger = logging.getLogger("rarl")


@dataclass(frozen=True, slots=True)
class Way:
    """How questions are put and answers drawn."""

    engine: Engine
    template: Template
    sampling: Sampling
    samples: int
    draws: Draws
    prompts_per_batch: int


def answer(
    examples: Sequence[Example], way: Way, folder: Path, settings: Mapping[str, Any], label: str
) -> list[EvalRecord]:
    """A record for each example, in order; those that the folder has already are not asked again, only read anew."""
    scorer = Scorer(dict.fromkeys(("format", *QUALITY), 1.0))
    done = {record.id: record for record in _read_anew(store.resume(folder, settings), examples, way, folder, scorer)}
    waiting = [example for example in examples if example.id not in done]
    batches = (waiting[i : i + way.prompts_per_batch] for i in range(0, len(waiting), way.prompts_per_batch))
    for batch in progress(batches, label, total=len(waiting), units=len):
        prompts = [ask(example, way.template) for example in batch]
        answered = way.engine.generate(prompts, way.samples, way.sampling, way.draws)
        made = _read(answered, scorer)
        store.append(folder, made)
        done.update((record.id, record) for record in made)
    return [done[example.id] for example in examples]


def _read_anew(
    records: list[EvalRecord], examples: Sequence[Example], way: Way, folder: Path, scorer: Scorer
) -> list[EvalRecord]:
    """The records as today's rules read and grade their completions, in memory and on disk.

    Those of an earlier version may do it otherwise, and one accuracy must not be of both. What was said of an answer
    or reasoning that is now another one is dropped.
    """
    prompts = {example.id: ask(example, way.template) for example in examples}
    said = (
        [(record.id, *each) for each in zip(record.completions, record.finishes, strict=True)] for record in records
    )
    rollouts = [[Rollout(prompts[item], (), (), text, finish, seed=0) for item, text, finish in each] for each in said]
    now = [_with_verdicts(*each) for each in zip(_read(rollouts, scorer), records, strict=True)]
    if changed := sum(map(ne, now, records)):
        logger.warning("%s: %d of %d records were read by other rules; they are graded anew", folder, changed, len(now))
        (folder / store.VERDICTS).unlink(missing_ok=True)  # they may be of other answers
        store.rewrite(folder, now)
    return now


def _with_verdicts(now: EvalRecord, before: EvalRecord) -> EvalRecord:
    if (now.answer, now.reasoning) != (before.answer, before.reasoning):
        return now
    return replace(now, verdicts=before.verdicts, likeness=before.likeness)


def _read(answered: Sequence[Sequence[Rollout]], scorer: Scorer) -> list[EvalRecord]:
    """The record of each question, from its completions."""
    votes = [_vote(rollouts) for rollouts in answered]
    parts = scorer.parts([vote.kept for vote in votes])
    return [_record(*each) for each in zip(answered, votes, parts, strict=True)]


@dataclass(frozen=True, slots=True)
class _Vote:
    """What the completions of a question say together; `kept` is the first of the `count` that say so."""

    kept: Rollout
    parsed: Parsed
    grade: Grade
    count: int = 0


def _vote(rollouts: Sequence[Rollout]) -> _Vote:
    """The commonest answer; ties go to the one given first. Completions without an answer don't vote."""
    example = rollouts[0].prompt.example
    parsed = [parse(rollout.text, rollout.prompt.shape) for rollout in rollouts]
    ballots = {place: _ballot(example, each.answer) for place, each in enumerate(parsed) if each.answer}
    if not ballots:
        return _Vote(rollouts[0], parsed[0], _grade(example, parsed[0]))
    winner, count = Counter(ballots.values()).most_common(1)[0]  # of equally common ones the first that was met
    first = next(place for place, ballot in ballots.items() if ballot == winner)
    return _Vote(rollouts[first], parsed[first], _grade(example, parsed[first]), count)


def _ballot(example: Example, text: str) -> str:
    """What an answer counts as: the option (or yes, or no) that the grading takes it for, else its normalised words.

    The gold answer has no say in it.
    """
    choices = ("yes", "no") if example.kind is QuestionKind.YESNO else example.options
    ask_grade = partial(grade, example.question, prediction=text, kind=example.kind, options=example.options)
    return next((choice for choice in choices if ask_grade(choice).correct), ask_grade(text).prediction)


def _grade(example: Example, parsed: Parsed) -> Grade:
    said = parsed.answer or ""
    return grade(
        example.question,
        example.answer,
        said,
        kind=example.kind,
        options=example.options,
        references=example.references,
    )


def _record(rollouts: Sequence[Rollout], vote: _Vote, parts: Mapping[str, float | None]) -> EvalRecord:
    prompt = vote.kept.prompt
    example = prompt.example
    return EvalRecord(
        id=example.id,
        cluster=example.cluster,
        question=example.question,
        gold=example.answer,
        kind=example.kind,
        modality=example.modality,
        task=example.task,
        template=prompt.template.id,
        shape=prompt.shape,
        completions=tuple(rollout.text for rollout in rollouts),
        finishes=tuple(rollout.finish for rollout in rollouts),
        answer=vote.parsed.answer or None,
        reasoning=vote.parsed.reasoning,
        grade=vote.grade,
        parts=parts,
        options=example.options,
        votes=vote.count,
        references=example.references,
    )
