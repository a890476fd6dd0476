"""From records to numbers: each metric with its interval, in all and by kind, modality and task."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from rarl.config import Control
from rarl.evaluation.calibration import Bin, Calibration, calibration
from rarl.evaluation.protocols import METRICS, PROTOCOLS, values
from rarl.evaluation.statistics import FEW, estimate, paired_difference
from rarl.types import Estimate, EvalRecord, Grade

GROUPED = ("accuracy", "score", "reasoning")
GROUPS = ("kind", "modality", "task")
BASELINES = {  # what an accuracy under a control is called
    Control.SWAPPED: "shuffled_image",
    Control.BLANK: "blank_image",
    Control.QUESTION_ONLY: "question_only",
}

Estimates = Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Summary:
    """What an evaluation found. A metric that applies to no record is absent."""

    settings: Mapping[str, Any]
    metrics: Estimates
    baselines: Estimates  # accuracies: majority_answer, and those under controls
    by: Mapping[str, Mapping[str, Estimates]]  # kind, modality, task -> its values -> metrics
    protocols: Estimates = field(default_factory=dict)
    image_worth: Estimates = field(default_factory=dict)  # accuracy with the images - that under a control, by question
    calibration: Calibration | None = None
    few_clusters: bool = False  # too few for intervals to be relied on
    judge: Mapping[str, Any] = field(default_factory=dict)  # who judged, by which rubrics, and what was sent where

    def to_json(self) -> dict[str, Any]:
        """The metrics by name at the top, beside the other fields."""
        whole = dataclasses.asdict(self)
        return {**whole.pop("metrics"), **whole}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """What `to_json` gave, also that of earlier versions. Errors: KeyError, TypeError, AttributeError."""
        names = {each.name for each in dataclasses.fields(cls)}
        rest = {name: value for name, value in found.items() if name in names}
        curve = rest.get("calibration")
        read = {
            "metrics": _read({name: value for name, value in found.items() if name not in names}),
            "baselines": _read(found["baselines"]),
            "by": {group: {name: _read(each) for name, each in by.items()} for group, by in found["by"].items()},
            "protocols": _read(rest.get("protocols", {})),
            "image_worth": _read(rest.get("image_worth", {})),
            "calibration": _curve(curve) if curve else None,
        }
        return cls(**{**rest, "settings": found["settings"], **read})


def summarise(
    records: Sequence[EvalRecord],
    settings: Mapping[str, Any],
    majority: Mapping[str, Grade],
    beside: Mapping[Control, Sequence[EvalRecord]],
    *,
    seed: int,
) -> Summary:
    """The summary of the records; `majority` has the grade of the commonest answer for each, `beside` other passes."""
    clusters = [record.cluster for record in records]
    right = [float(majority[record.id].correct) for record in records]
    blind = {BASELINES[control]: _estimate(others, "accuracy", seed) for control, others in beside.items()}
    return Summary(
        settings=dict(settings),
        metrics=_estimates(records, METRICS, seed),
        baselines={"majority_answer": estimate(right, clusters, seed=seed), **blind},
        by={group: _by(records, group, seed) for group in GROUPS},
        protocols=_estimates(records, PROTOCOLS, seed),
        image_worth={
            control.value: change(others, records, "accuracy", seed=seed) for control, others in beside.items()
        },
        calibration=calibration(records, seed=seed),
        few_clusters=len(set(clusters)) < FEW,
    )


def change(before: Iterable[EvalRecord], after: Iterable[EvalRecord], metric: str, *, seed: int) -> Estimate:
    """The paired difference of a metric, after - before, over the questions that both have."""
    before, after = list(before), list(after)
    clusters = {record.id: record.cluster for record in (*before, *after)}
    return paired_difference(values(before, metric), values(after, metric), clusters, seed=seed)


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


def _read(values: Mapping[str, Any]) -> dict[str, Estimate]:
    return {name: Estimate(**found) for name, found in values.items()}


def _curve(found: Mapping[str, Any]) -> Calibration:
    bins = (Bin(**{**each, "right": Estimate(**each["right"])}) for each in found["bins"])
    return Calibration(tuple(bins), found["error"])
