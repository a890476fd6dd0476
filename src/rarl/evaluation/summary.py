"""From records to numbers: each metric with its interval, in all and by kind, modality and task."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from rarl.evaluation.statistics import estimate, paired_difference
from rarl.prompting import parse
from rarl.types import Estimate, EvalRecord, Finish, Grade

QUALITY = ("grounding", "consistency", "substance")  # the parts whose mean is the reasoning quality
METRICS = ("accuracy", "score", "reasoning", "format", *QUALITY, "parse_failures", "cut_off")
GROUPED = ("accuracy", "score", "reasoning")
GROUPS = ("kind", "modality", "task")

Estimates = Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Summary:
    """What an evaluation found. A metric that applies to no record is absent."""

    settings: Mapping[str, Any]
    metrics: Estimates
    baselines: Estimates  # accuracies: majority_answer, shuffled_image
    by: Mapping[str, Mapping[str, Estimates]]  # kind, modality, task -> its values -> metrics

    def to_json(self) -> dict[str, Any]:
        """The metrics by name at the top, beside "baselines", "by" and "settings"."""
        whole = dataclasses.asdict(self)
        return {**whole.pop("metrics"), **whole}


def summarise(
    records: Sequence[EvalRecord],
    settings: Mapping[str, Any],
    majority: Mapping[str, Grade],
    shuffled: Sequence[EvalRecord] | None,
    *,
    seed: int,
) -> Summary:
    """The summary of the records; `majority` has the grade of the commonest answer for each of them."""
    clusters = [record.cluster for record in records]
    right = [float(majority[record.id].correct) for record in records]
    baselines = {"majority_answer": estimate(right, clusters, seed=seed)}
    if shuffled:
        baselines["shuffled_image"] = _estimate(shuffled, "accuracy", seed)
    by = {group: _by(records, group, seed) for group in GROUPS}
    return Summary(dict(settings), _estimates(records, METRICS, seed), baselines, by)


def values(records: Iterable[EvalRecord], metric: str) -> dict[str, float | None]:
    """A metric by id, only of the records that it applies to; None where it could not be scored.

    accuracy: right or not, by the rules; score: graded; reasoning: mean of the quality parts that apply, None if one of
    them is; parse_failures and cut_off: the share of a record's completions without an answer, or cut at the length
    limit; else the part of that name.
    """
    found = ((record.id, _values(record, metric)) for record in records)
    return {item: value[0] for item, value in found if value}


def change(before: Iterable[EvalRecord], after: Iterable[EvalRecord], metric: str, *, seed: int) -> Estimate:
    """The paired difference of a metric, after - before, over the questions that both have."""
    before, after = list(before), list(after)
    clusters = {record.id: record.cluster for record in (*before, *after)}
    return paired_difference(values(before, metric), values(after, metric), clusters, seed=seed)


def _values(record: EvalRecord, metric: str) -> list[float | None]:
    """The value alone, or nothing where the metric doesn't apply."""
    if metric == "accuracy":
        return [float(record.grade.correct)]
    if metric == "score":
        return [record.grade.score]
    if metric == "reasoning":
        parts = [record.parts[name] for name in QUALITY if name in record.parts]
        scored = [part for part in parts if part is not None]
        return [fmean(scored) if len(scored) == len(parts) else None] if parts else []
    if metric == "parse_failures":
        return [fmean(not parse(text, record.shape).answer for text in record.completions)]
    if metric == "cut_off":
        return [fmean(finish is Finish.LENGTH for finish in record.finishes)]
    return [record.parts[metric]] if metric in record.parts else []


def _estimate(records: Sequence[EvalRecord], metric: str, seed: int) -> Estimate:
    clusters = {record.id: record.cluster for record in records}
    known = values(records, metric)
    return estimate(list(known.values()), [clusters[item] for item in known], seed=seed)


def _estimates(records: Sequence[EvalRecord], metrics: Iterable[str], seed: int) -> dict[str, Estimate]:
    found = {metric: _estimate(records, metric, seed) for metric in metrics}
    return {metric: value for metric, value in found.items() if value.n or value.unscored}


def _by(records: Sequence[EvalRecord], group: str, seed: int) -> dict[str, Estimates]:
    members: dict[str, list[EvalRecord]] = {}
    for record in records:
        value = getattr(record, group)
        if value is not None:
            members.setdefault(str(value), []).append(record)
    return {value: _estimates(members[value], GROUPED, seed) for value in sorted(members)}
