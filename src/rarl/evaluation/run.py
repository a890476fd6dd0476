"""Evaluation: every question gets one record, whatever interrupts; then a summary of all of them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rarl.data import Dataset
from rarl.draws import Draws
from rarl.evaluation import records as store
from rarl.evaluation.baselines import majority_grades, swap_images
from rarl.evaluation.summary import QUALITY, Summary, summarise
from rarl.grading import grade
from rarl.progress import progress
from rarl.prompting import Parsed, Pool, ask, parse
from rarl.rewards import Scorer
from rarl.runlog import write_json
from rarl.types import Engine, EvalRecord, Example, Grade, QuestionKind, Rollout, Sampling, Template


def evaluate(
    engine: Engine,
    dataset: Dataset,
    *,
    pool: Pool,
    reasoning: bool,
    sampling: Sampling,
    draws: Draws,
    folder: Path,
    samples: int = 1,
    prompts_per_batch: int = 16,
    baselines: bool = True,
    about: Mapping[str, Any] | None = None,
) -> Summary:
    """Answers every question of the data set and grades it; leaves records.jsonl and summary.json in `folder`.

    `reasoning` chooses the pool's reasoning or direct instruction. With several `samples` the answer is their majority
    vote. `baselines` adds a second pass with swapped images (in folder/shuffled). `about` is what else decides the
    answers, say base and adapter. Killed and called again with the same arguments it goes on where it stopped.

    Errors: RunFolderError where the folder holds an evaluation under other settings, or something else.
    """
    template = pool.reasoning if reasoning else pool.direct
    way = _Way(engine, template, sampling, samples, draws, prompts_per_batch)
    settings = _settings(dataset, way, about or {})
    records = _answer(dataset.examples, way, folder, {**settings, "images": "own"}, f"{dataset.name} {dataset.split}")
    shuffled = None
    swapped = swap_images(dataset, draws.at("swap")) if baselines else None
    if swapped:
        shuffled = _answer(swapped, way, folder / "shuffled", {**settings, "images": "shuffled"}, "shuffled images")
    summary = summarise(records, settings, majority_grades(dataset.examples), shuffled, seed=draws.seed)
    write_json(folder / "summary.json", summary.to_json())
    return summary


@dataclass(frozen=True, slots=True)
class _Way:
    """How questions are put and answers drawn."""

    engine: Engine
    template: Template
    sampling: Sampling
    samples: int
    draws: Draws
    prompts_per_batch: int


def _settings(dataset: Dataset, way: _Way, about: Mapping[str, Any]) -> dict[str, Any]:
    questions = [(item.id, item.cluster, item.question, item.answer, item.options) for item in dataset]
    return {
        **about,
        "data": dataset.name,
        "split": dataset.split,
        "questions": len(questions),
        "questions_digest": hashlib.sha256(json.dumps(questions).encode()).hexdigest()[:12],
        "skipped": len(dataset.skipped),
        "template": way.template.id,
        "instruction": way.template.text,
        "shape": way.template.shape.value,
        "samples": way.samples,
        **dataclasses.asdict(way.sampling),
        "seed": way.draws.seed,
        "draws": list(way.draws.path),
    }


def _answer(
    examples: Sequence[Example], way: _Way, folder: Path, settings: Mapping[str, Any], label: str
) -> list[EvalRecord]:
    """A record for each example, in order; those that the folder has already are not asked again."""
    done = {record.id: record for record in store.resume(folder, settings)}
    scorer = Scorer(dict.fromkeys(("format", *QUALITY), 1.0))
    waiting = [example for example in examples if example.id not in done]
    batches = (waiting[i : i + way.prompts_per_batch] for i in range(0, len(waiting), way.prompts_per_batch))
    for batch in progress(batches, label, total=len(waiting), units=len):
        prompts = [ask(example, way.template) for example in batch]
        answered = way.engine.generate(prompts, way.samples, way.sampling, way.draws)
        votes = [_vote(rollouts) for rollouts in answered]
        parts = scorer.parts([vote.kept for vote in votes])
        made = [_record(*each) for each in zip(answered, votes, parts, strict=True)]
        store.append(folder, made)
        done.update((record.id, record) for record in made)
    return [done[example.id] for example in examples]


@dataclass(frozen=True, slots=True)
class _Vote:
    """What the completions of a question say together; `kept` is the first that says so."""

    kept: Rollout
    parsed: Parsed
    grade: Grade


def _vote(rollouts: Sequence[Rollout]) -> _Vote:
    """The commonest answer; ties go to the one given first. Completions without an answer don't vote."""
    example = rollouts[0].prompt.example
    votes = [_graded(rollout) for rollout in rollouts]
    ballots = [(_ballot(example, vote.parsed.answer), vote) for vote in votes if vote.parsed.answer]
    if not ballots:
        return votes[0]
    counts = Counter(ballot for ballot, _ in ballots)
    winner = max(counts, key=lambda ballot: counts[ballot])  # the first of several: counters keep their order
    return next(vote for ballot, vote in ballots if ballot == winner)


def _ballot(example: Example, answer: str) -> str:
    """What an answer counts as: the option (or yes, or no) that the grading takes it for, else its normalised words.

    The gold answer has no say in it.
    """
    choices = ("yes", "no") if example.kind is QuestionKind.YESNO else example.options
    ask_grade = partial(grade, example.question, prediction=answer, kind=example.kind, options=example.options)
    return next((choice for choice in choices if ask_grade(choice).correct), ask_grade(answer).prediction)


def _graded(rollout: Rollout) -> _Vote:
    example = rollout.prompt.example
    parsed = parse(rollout.text, rollout.prompt.shape)
    return _Vote(
        rollout,
        parsed,
        grade(example.question, example.answer, parsed.answer or "", kind=example.kind, options=example.options),
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
    )
