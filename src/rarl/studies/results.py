"""What a study found: every cell with its interval, every claim with its effects and verdict, every arm's costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rarl.evaluation.significance import holm
from rarl.files import read_json, read_numbers, write_json
from rarl.studies.answers import Reader
from rarl.studies.design import COSTS, Cell, Claim, Contrast, Prompting, Study, load_study
from rarl.studies.effects import Effect, NoEffectError, Side, effect, over_seeds
from rarl.studies.jobs import RESOURCES, STOPPED, Job

Cells = Mapping[str, Mapping[Cell, Mapping[str, Effect]]]  # by arm, cell and metric

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
    """`table` is by arm, cell and metric, `roles` the same with the questions of all sets of a role (its cells bear the
    role's name), `variants` the same for arms that are like another: what they score minus what that scores. `costs`
    are by arm and cost, one value a seed; `stops` has the steps of arms that stopped early, by seed.

    `skipped` arms and `absent` sets are there by name with the reason; `study` is without the latter.
    """

    study: Study
    folder: Path
    skipped: Mapping[str, str]
    absent: Mapping[str, str]
    table: Cells
    roles: Cells
    variants: Cells
    claims: tuple[ClaimResult, ...]
    costs: Mapping[str, Mapping[str, tuple[float, ...]]]
    stops: Mapping[str, tuple[int, ...]]

    def to_json(self) -> dict[str, Any]:
        """Plain values, for results.json."""
        return {
            "digest": self.study.digest(),
            "seeds": list(self.study.seeds),
            "skipped": dict(self.skipped),
            "absent": dict(self.absent),
            "cells": _plain(self.table),
            "roles": _plain(self.roles),
            "variants": _plain(self.variants),
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
            "stops": {arm: list(steps) for arm, steps in self.stops.items()},
        }


_NONE: Mapping[str, str] = MappingProxyType({})
_KINDS = ("effects", "native", "beyond")


def load_results(folder: Path) -> StudyResults:
    """What `read_study` wrote, from results.json and the study's file beside it: no record is read again."""
    found = read_json(folder / RESULTS)
    study = load_study(folder / FROZEN).without(found["absent"])
    return StudyResults(
        study,
        folder,
        found["skipped"],
        found["absent"],
        _cells_of(found["cells"], study.cells),
        _cells_of(found["roles"], study.roles),
        _cells_of(found.get("variants", {}), study.roles),
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
        {arm: tuple(steps) for arm, steps in found["stops"].items()},
    )


def _cells_of(values: Mapping[str, Any], cells: Sequence[Cell]) -> Cells:
    named = {cell.folder: cell for cell in cells}
    return {
        arm: {named[name]: {metric: _effect_of(each) for metric, each in by.items()} for name, by in rows.items()}
        for arm, rows in values.items()
    }


def _effect_of(values: Mapping[str, Any]) -> Effect:
    return Effect(**{**values, "by_seed": tuple(values["by_seed"])})


def read_study(
    study: Study, out: Path, skipped: Mapping[str, str] = _NONE, absent: Mapping[str, str] = _NONE
) -> StudyResults:
    """The results of a study that is done; written to results.json too. Errors: RunFolderError."""
    study = study.without(absent)
    arms = [arm for arm in study.arms if arm not in skipped]
    reader = Reader(study, out, arms)
    costs = {arm: _costs(study, arm, out) for arm in arms}
    claims = [_claim(claim, reader, costs, skipped) for claim in study.claims]
    corrected = holm([each.p for each in claims])
    variants = [arm for arm in arms if study.arms[arm].like in arms]
    found = StudyResults(
        study,
        out,
        skipped,
        absent,
        {arm: {cell: _cell(reader, arm, [cell.name], cell.shape) for cell in study.cells} for arm in arms},
        {arm: {cell: _cell(reader, arm, study.of_role(cell.name), cell.shape) for cell in study.roles} for arm in arms},
        {arm: {cell: _variant(reader, arm, cell) for cell in study.roles} for arm in variants},
        tuple(dataclasses.replace(each, holm=p) for each, p in zip(claims, corrected, strict=True)),
        costs,
        {arm: _stops(study, arm, out) for arm in arms if study.arms[arm].early_stop},
    )
    write_json(out / RESULTS, found.to_json())
    return found


def _costs(study: Study, arm: str, out: Path) -> dict[str, tuple[float, ...]]:
    """By name, one value a seed; none where nothing was trained."""
    if not study.arms[arm].trained:
        return {}
    places = [Job(arm, seed).folder(out) / RESOURCES for seed in study.seeds]
    found = [read_numbers(place, COSTS) for place in places]
    return {name: tuple(each[name] for each in found) for name in COSTS}


def _stops(study: Study, arm: str, out: Path) -> tuple[int, ...]:
    places = [Job(arm, seed).folder(out) / STOPPED for seed in study.seeds]
    return tuple(read_numbers(place, ["step"])["step"] for place in places)


def _cell(reader: Reader, arm: str, sets: Sequence[str], shape: Prompting) -> dict[str, Effect]:
    """Each metric's mean over seeds; a metric that applies to no item is absent."""
    found = {}
    for metric in reader.study.metrics:
        sides = reader.sides(arm, sets, shape, metric)
        if all(any(value is not None for value in side.items.values()) for side in sides):
            found[metric] = _level(sides)
    return found


def _variant(reader: Reader, arm: str, cell: Cell) -> dict[str, Effect]:
    """What an arm has more of each metric than the one that it is like; a metric without shared questions is absent."""
    found, sets, like = {}, reader.study.of_role(cell.name), reader.study.arms[arm].like
    for metric in reader.study.metrics:
        mine, theirs = (reader.sides(each, sets, cell.shape, metric) for each in (arm, like))
        with suppress(NoEffectError):
            found[metric] = effect(mine, theirs, "points")
    return found


def _level(sides: Sequence[Side]) -> Effect:
    """A mean as its effect over nothing; it lies between 0 and 1."""
    nothing = [Side(dict.fromkeys(side.items, 0.0), side.clusters) for side in sides]
    found = effect(sides, nothing, "points")
    if found.low is None or found.high is None:
        return found
    return dataclasses.replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))


def _claim(
    claim: Claim, reader: Reader, costs: Mapping[str, Mapping[str, tuple[float, ...]]], skipped: Mapping[str, str]
) -> ClaimResult:
    for contrast in claim.contrasts:
        for arm in (contrast.arm, contrast.against):
            if arm in skipped:
                return ClaimResult(claim, (), why_not=f"{arm} was skipped: {skipped[arm]}")
            if claim.of_cost and not costs[arm]:
                return ClaimResult(claim, (), why_not=f"{arm} is not trained and costs nothing")
    if not claim.of_cost and not reader.study.asked(claim):
        return ClaimResult(claim, (), why_not="none of its sets is there")
    if claim.of_cost:
        return ClaimResult(claim, tuple(_saved(contrast, claim.endpoint, costs) for contrast in claim.contrasts))
    try:
        return _compared(claim, reader)
    except NoEffectError as error:
        return ClaimResult(claim, (), why_not=str(error))


def _compared(claim: Claim, reader: Reader) -> ClaimResult:
    """Under the claim's prompting, beside it each arm's own, and what is left of it beyond the effect in domain."""
    study, sets = reader.study, reader.study.asked(claim)
    arms, domain = study.arms, study.of_role("in-domain")
    unseen = all(study.sets[name].role == "unseen" for name in sets)
    effects = [_effect(claim, contrast, reader, sets) for contrast in claim.contrasts]
    at_home = _beside(claim, claim.contrasts, reader, domain) if unseen and domain else ()
    natives = [_natively(each, arms[each.arm].native, arms[each.against].native) for each in claim.contrasts]
    differ = any(native != contrast for native, contrast in zip(natives, claim.contrasts, strict=True))
    return ClaimResult(
        claim,
        tuple(effects),
        _beside(claim, natives, reader, sets) if differ else (),
        tuple(_beyond(there, here) for there, here in zip(effects, at_home, strict=False)),
    )


def _beside(claim: Claim, contrasts: Sequence[Contrast], reader: Reader, sets: Sequence[str]) -> tuple[Effect, ...]:
    """Effects that stand beside a claim's own; none where one of them can't be computed."""
    try:
        return tuple(_effect(claim, contrast, reader, sets) for contrast in contrasts)
    except NoEffectError:
        return ()


def _natively(contrast: Contrast, shape: Any, against: Any) -> Contrast:
    """Each arm under its own prompting, unless the contrast is one of promptings."""
    if contrast.shape != contrast.against_shape:
        return contrast
    return contrast.model_copy(update={"shape": shape, "against_shape": against})


def _effect(claim: Claim, contrast: Contrast, reader: Reader, sets: Sequence[str]) -> Effect:
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


def _plain(table: Cells) -> dict[str, Any]:
    return {
        arm: {
            cell.folder: {metric: dataclasses.asdict(each) for metric, each in found.items()}
            for cell, found in cells.items()
        }
        for arm, cells in table.items()
    }
