"""Evaluation: every question gets one record, whatever interrupts; then a summary of all of them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from rarl.config import Control
from rarl.data import Dataset
from rarl.draws import Draws
from rarl.errors import DataError
from rarl.evaluation import records as store
from rarl.evaluation.answering import Way, answer
from rarl.evaluation.controls import majority_grades, under
from rarl.evaluation.likeness import Measure
from rarl.evaluation.summary import Summary, summarise
from rarl.evaluation.verdicts import judge_record, judged
from rarl.files import write_json
from rarl.judges import MadeJudge
from rarl.locking import alone
from rarl.types import Engine, EvalRecord, Sampling, Template

SUMMARY, ENVIRONMENT = "summary.json", "environment.json"


def evaluate(
    engine: Engine,
    dataset: Dataset,
    *,
    template: Template,
    sampling: Sampling,
    draws: Draws,
    folder: Path,
    samples: int = 1,
    prompts_per_batch: int = 16,
    control: Control = Control.NONE,
    baselines: Sequence[Control] = (Control.SWAPPED,),
    measures: Mapping[str, Measure] | None = None,
    judge: MadeJudge | None = None,
    judge_about: Mapping[str, Any] | None = None,
    judge_warning: str | None = None,
    about: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] | None = None,
) -> Summary:
    """Answers every question of the data set and grades it; leaves records.jsonl and summary.json in `folder`.

    With several `samples` the answer is their majority vote. Under a `control` all are asked without their own images;
    without one, each of `baselines` is a further pass under a control, in a folder of its name. `measures` of likeness
    to the gold answer, by name, are kept in the records, as the verdicts of a `judge` are. `about` is what else decides
    the answers, say base and adapter, and `judge_about` what decides the verdicts; `judge_warning` is what a reader of
    its scores must know. `environment`, what it was made with, is kept as it was at its beginning. Killed and called
    again with the same arguments it goes on where it stopped.

    Errors: RunFolderError where the folder holds an evaluation under other settings, or something else, or is written
    by another process; DataError where the control can't be had.
    """
    way = Way(engine, template, sampling, samples, draws, prompts_per_batch)
    settings = _settings(dataset, way, about or {})
    asked = under(control, dataset, draws)
    if asked is None:
        raise DataError(f"{dataset.name} {dataset.split}: no images to swap, as one cluster has most questions")
    whole = {**settings, "control": control.value}
    with alone(folder):
        if environment and not (folder / ENVIRONMENT).exists() and not store.resume(folder, whole):
            write_json(folder / ENVIRONMENT, environment)
        records = answer(asked, way, folder, whole, f"{dataset.name} {dataset.split}")
        beside = _beside(dataset, way, folder, settings, baselines) if control is Control.NONE else {}
        if judge:
            records = judged(records, dataset, folder, judge, judge_about)
            whole["judge"] = dict(judge_about or {})
        records = _measured(records, folder, measures or {})
        summary = summarise(records, whole, majority_grades(dataset.examples), beside, seed=draws.seed)
        summary = dataclasses.replace(summary, judge=judge_record(records, folder, judge_warning))
        write_json(folder / SUMMARY, summary.to_json())
    return summary


def _settings(dataset: Dataset, way: Way, about: Mapping[str, Any]) -> dict[str, Any]:
    questions = [
        (item.id, item.cluster, item.question, item.answer, item.options, *filter(None, [item.references]))
        for item in dataset
    ]
    return {
        **about,
        "data": dataset.name,
        "split": dataset.split,
        **({"drawn_from": dataset.drawn_from} if dataset.drawn_from else {}),
        **({"overlapping": dataset.overlapping} if dataset.overlapping else {}),
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


def _beside(
    dataset: Dataset, way: Way, folder: Path, settings: Mapping[str, Any], baselines: Sequence[Control]
) -> dict[Control, list[EvalRecord]]:
    """The records under each control; none where images can't be swapped."""
    asked = {each: under(each, dataset, way.draws) for each in baselines}
    return {
        each: answer(examples, way, folder / each.value, {**settings, "control": each.value}, f"control: {each.value}")
        for each, examples in asked.items()
        if examples is not None
    }


def _measured(records: list[EvalRecord], folder: Path, measures: Mapping[str, Measure]) -> list[EvalRecord]:
    """The records with these measures of likeness, as their folder then has them; no answer is the empty text."""
    found = {name: _likest(records, measure) for name, measure in measures.items()}
    measured = [
        dataclasses.replace(record, likeness={**record.likeness, **{name: each[place] for name, each in found.items()}})
        for place, record in enumerate(records)
    ]
    if measured != records:
        store.rewrite(folder, measured)
    return measured


def _likest(records: Sequence[EvalRecord], measure: Measure) -> list[float]:
    """How alike each answer is to the right one that it is most alike."""
    golds = [gold for record in records for gold in (record.gold, *record.references)]
    said = [record.answer or "" for record in records for _ in (record.gold, *record.references)]
    likeness = iter(measure(golds, said))
    return [max(islice(likeness, 1 + len(record.references))) for record in records]
