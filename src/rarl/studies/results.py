"""What a study found: every cell with its interval, every claim with its effects and verdict, every arm's costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rarl.evaluation import read_records
from rarl.evaluation.protocols import values
from rarl.evaluation.significance import holm
from rarl.runlog import read_json, write_json
from rarl.studies.design import COSTS, Cell, Claim, Contrast, Study, load_study
from rarl.studies.effects import Effect, Items, NoEffectError, Side, effect, over_seeds
from rarl.studies.jobs import Job
from rarl.terminal import progress

FROZEN, RESULTS = "study.toml", "results.json"


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """A claim and what came of it.

    `effects`: one a contrast. `native`: the same with each arm under the prompting it was trained for. `beyond`: the
    effect on the claim's sets minus that in domain. `why_not` says why there is nothing, where an arm was skipped.
    """

    claim: Claim
    effects: tuple[Effect, ...]
    native: tuple[Effect, ...] = ()
    beyond: tuple[Effect, ...] = ()
    holm: float | None = None
    why_not: str = ""

    @property
    def verdict(self) -> str:
        """supported where every contrast is, contradicted where one is, else undecided."""
        found = {each.verdict for each in self.effects}
        if not found:
            return "not tested"
        return "contradicted" if "contradicted" in found else "supported" if found == {"supported"} else "undecided"

    @property
    def p(self) -> float | None:
        """Of the weakest contrast: a claim of several holds only if all do (Berger 1982)."""
        known = [each.p for each in self.effects if each.p is not None]
        return max(known) if known and len(known) == len(self.effects) else None


@dataclass(frozen=True, slots=True)
class StudyResults:
    """`table` is by arm, cell and metric; `costs` by arm and cost, one value a seed.

    `skipped` arms and `absent` sets are there by name with the reason; `study` is without the latter.
    """

    study: Study
    folder: Path
    skipped: Mapping[str, str]
    absent: Mapping[str, str]
    table: Mapping[str, Mapping[Cell, Mapping[str, Effect]]]
    claims: tuple[ClaimResult, ...]
    costs: Mapping[str, Mapping[str, tuple[float, ...]]]

    def to_json(self) -> dict[str, Any]:
        """Plain values, for results.json."""
        return {
            "digest": self.study.digest(),
            "seeds": list(self.study.seeds),
            "skipped": dict(self.skipped),
            "absent": dict(self.absent),
            "cells": {
                arm: {cell.folder: _plain(found) for cell, found in cells.items()} for arm, cells in self.table.items()
            },
            "claims": [
                {
                    "says": each.claim.says,
                    "verdict": each.verdict,
                    "p": each.p,
                    "holm": each.holm,
                    "why_not": each.why_not,
                    **{name: [dataclasses.asdict(one) for one in getattr(each, name)] for name in _KINDS},
                }
                for each in self.claims
            ],
            "costs": {arm: {name: list(found) for name, found in costs.items()} for arm, costs in self.costs.items()},
        }


_NONE: Mapping[str, str] = MappingProxyType({})
_KINDS = ("effects", "native", "beyond")


def load_results(folder: Path) -> StudyResults:
    """What `read_study` wrote, from results.json and the study's file beside it: no record is read again."""
    found = read_json(folder / RESULTS)
    study = load_study(folder / FROZEN).without(found["absent"])
    cells = {cell.folder: cell for cell in study.cells}
    return StudyResults(
        study,
        folder,
        found["skipped"],
        found["absent"],
        {
            arm: {cells[name]: {metric: _effect_of(each) for metric, each in by.items()} for name, by in rows.items()}
            for arm, rows in found["cells"].items()
        },
        tuple(
            ClaimResult(
                claim,
                **{kind: tuple(map(_effect_of, each[kind])) for kind in _KINDS},
                holm=each["holm"],
                why_not=each["why_not"],
            )
            for claim, each in zip(study.claims, found["claims"], strict=True)
        ),
        {arm: {name: tuple(each) for name, each in costs.items()} for arm, costs in found["costs"].items()},
    )


def _effect_of(values: Mapping[str, Any]) -> Effect:
    return Effect(**{**values, "by_seed": tuple(values["by_seed"])})


@dataclass(frozen=True, slots=True)
class _Answers:
    """One cell under one seed: by item, its cluster, its task and each metric."""

    clusters: Mapping[str, str]
    tasks: Mapping[str, str | None]
    values: Mapping[str, Items]


class _Reader:
    """The answers of every arm, seed and cell, each file read once."""

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


def read_study(
    study: Study, out: Path, skipped: Mapping[str, str] = _NONE, absent: Mapping[str, str] = _NONE
) -> StudyResults:
    """The results of a study that is done; written to results.json too. Errors: RunFolderError."""
    study = study.without(absent)
    arms = [arm for arm in study.arms if arm not in skipped]
    reader = _Reader(study, out, arms)
    costs = {arm: _costs(study, arm, out) for arm in arms}
    claims = [_claim(claim, reader, costs, skipped) for claim in study.claims]
    corrected = holm([each.p for each in claims])
    found = StudyResults(
        study,
        out,
        skipped,
        absent,
        {arm: {cell: _cell(reader, arm, cell) for cell in study.cells} for arm in arms},
        tuple(dataclasses.replace(each, holm=p) for each, p in zip(claims, corrected, strict=True)),
        costs,
    )
    write_json(out / RESULTS, found.to_json())
    return found


def _answers(folder: Path, metrics: set[str]) -> _Answers:
    records = read_records(folder)
    return _Answers(
        {record.id: record.cluster for record in records},
        {record.id: record.task for record in records},
        {metric: values(records, metric) for metric in metrics},
    )


def _costs(study: Study, arm: str, out: Path) -> dict[str, tuple[float, ...]]:
    """By name, one value a seed; none where nothing was trained."""
    if not study.arms[arm].trained:
        return {}
    found = [read_json(Job(arm, seed).folder(out) / "resources.json") for seed in study.seeds]
    return {name: tuple(each[name] for each in found) for name in COSTS}


def _cell(reader: _Reader, arm: str, cell: Cell) -> dict[str, Effect]:
    """Each metric's mean over seeds; a metric that applies to no item is absent."""
    found = {}
    for metric in reader.study.metrics:
        sides = reader.sides(arm, [cell.name], cell.shape, metric)
        if all(any(value is not None for value in side.items.values()) for side in sides):
            found[metric] = _level(sides)
    return found


def _level(sides: Sequence[Side]) -> Effect:
    """A mean as its effect over nothing; it lies between 0 and 1."""
    nothing = [Side(dict.fromkeys(side.items, 0.0), side.clusters) for side in sides]
    found = effect(sides, nothing, "points")
    if found.low is None or found.high is None:
        return found
    return dataclasses.replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))


def _claim(
    claim: Claim, reader: _Reader, costs: Mapping[str, Mapping[str, tuple[float, ...]]], skipped: Mapping[str, str]
) -> ClaimResult:
    for contrast in claim.contrasts:
        for arm in (contrast.arm, contrast.against):
            if arm in skipped:
                return ClaimResult(claim, (), why_not=f"{arm} was skipped: {skipped[arm]}")
            if claim.of_cost and not costs[arm]:
                return ClaimResult(claim, (), why_not=f"{arm} is not trained and costs nothing")
    if not claim.of_cost and not claim.sets:
        return ClaimResult(claim, (), why_not="none of its sets is there")
    if claim.of_cost:
        return ClaimResult(claim, tuple(_saved(contrast, claim.endpoint, costs) for contrast in claim.contrasts))
    try:
        return _compared(claim, reader)
    except NoEffectError as error:
        return ClaimResult(claim, (), why_not=str(error))


def _compared(claim: Claim, reader: _Reader) -> ClaimResult:
    """Under the claim's prompting, beside it each arm's own, and what is left of it beyond the effect in domain."""
    arms, sets = reader.study.arms, reader.study.sets
    domain = [name for name, each in sets.items() if each.role == "in-domain"]
    unseen = all(sets[name].role == "unseen" for name in claim.sets)
    effects = [_effect(claim, contrast, reader, claim.sets) for contrast in claim.contrasts]
    at_home = [_effect(claim, contrast, reader, domain) for contrast in claim.contrasts] if unseen and domain else []
    natives = [_natively(each, arms[each.arm].native, arms[each.against].native) for each in claim.contrasts]
    differ = any(native != contrast for native, contrast in zip(natives, claim.contrasts, strict=True))
    return ClaimResult(
        claim,
        tuple(effects),
        tuple(_effect(claim, native, reader, claim.sets) for native in natives) if differ else (),
        tuple(_beyond(there, here) for there, here in zip(effects, at_home, strict=False)),
    )


def _natively(contrast: Contrast, shape: Any, against: Any) -> Contrast:
    """Each arm under its own prompting, unless the contrast is one of promptings."""
    if contrast.shape != contrast.against_shape:
        return contrast
    return contrast.model_copy(update={"shape": shape, "against_shape": against})


def _effect(claim: Claim, contrast: Contrast, reader: _Reader, sets: Sequence[str]) -> Effect:
    arm = reader.sides(contrast.arm, sets, contrast.shape, claim.endpoint, claim.tasks)
    against = reader.sides(contrast.against, sets, contrast.against_shape, claim.endpoint, claim.tasks)
    return effect(arm, against, claim.measure)


def _beyond(there: Effect, here: Effect) -> Effect:
    """How much larger an effect is there than here, by seed."""
    return over_seeds(
        [a - b for a, b in zip(there.by_seed, here.by_seed, strict=True)],
        n=there.n + here.n,
        unscored=there.unscored + here.unscored,
    )


def _saved(contrast: Contrast, name: str, costs: Mapping[str, Mapping[str, tuple[float, ...]]]) -> Effect:
    """The share of a cost that the arm does without."""
    pairs = zip(costs[contrast.arm][name], costs[contrast.against][name], strict=True)
    return over_seeds([1 - mine / theirs for mine, theirs in pairs])


def _plain(found: Mapping[str, Effect]) -> dict[str, Any]:
    return {metric: dataclasses.asdict(each) for metric, each in found.items()}
