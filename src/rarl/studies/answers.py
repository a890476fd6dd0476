"""The answers of a study, each file read once, as the sides of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rarl.errors import RunFolderError
from rarl.evaluation import read_records
from rarl.evaluation.protocols import values
from rarl.evaluation.records import SETTINGS
from rarl.files import read_json
from rarl.studies.design import Cell, Study
from rarl.studies.effects import Items, Side
from rarl.studies.jobs import Job
from rarl.terminal import progress


@dataclass(frozen=True, slots=True)
class Answers:
    """One cell under one seed: by item, its cluster, its task and each metric."""

    clusters: Mapping[str, str]
    tasks: Mapping[str, str | None]
    values: Mapping[str, Items]


class Reader:
    """The answers of every arm, seed and cell."""

    def __init__(self, study: Study, out: Path, arms: Sequence[str]) -> None:
        metrics = {*study.metrics, *(claim.endpoint for claim in study.claims if not claim.of_cost)}
        places = [(arm, seed, cell) for arm in arms for seed in study.seeds for cell in study.cells]
        self.study = study
        self._found = {
            (arm, seed, cell): _answers(Job(arm, seed).folder(out) / cell.folder, metrics)
            for arm, seed, cell in progress(places, "reading", total=len(places))
        }

    def sides(self, arm: str, sets: Sequence[str], shape: Any, metric: str, tasks: Sequence[str] = ()) -> list[Side]:
        """One a seed: the questions of these sets, of these tasks if any are named."""
        return [self._side(arm, seed, [Cell(name, shape) for name in sets], metric, tasks) for seed in self.study.seeds]

    def _side(self, arm: str, seed: int, cells: Sequence[Cell], metric: str, tasks: Sequence[str]) -> Side:
        items: dict[str, float | None] = {}
        clusters: dict[str, str] = {}
        for cell in cells:
            found = self._found[arm, seed, cell]
            for item, value in found.values[metric].items():
                if not tasks or found.tasks[item] in tasks:
                    items[f"{cell.name}/{item}"] = value
                    clusters[f"{cell.name}/{item}"] = found.clusters[item]
        return Side(items, clusters)


def _answers(folder: Path, metrics: set[str]) -> Answers:
    records = read_records(folder)
    asked, there = read_json(folder / SETTINGS).get("questions"), len({record.id for record in records})
    if not there == len(records) == asked:
        raise RunFolderError(
            f"{folder} was damaged: {len(records)} records of {there} questions, {asked} were asked; "
            "remove it and run the study again"
        )
    return Answers(
        {record.id: record.cluster for record in records},
        {record.id: record.task for record in records},
        {metric: values(records, metric) for metric in metrics},
    )
