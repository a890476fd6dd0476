"""What a study compares, on what, and what would count as a result: one TOML file, fixed before the first step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import tomli_w
from pydantic import Field, model_validator

from rarl.config import Control, RunConfig
from rarl.evaluation.protocols import ALL
from rarl.registry import nearest
from rarl.sections import Section, read_toml, validated

Prompting = Literal["think", "direct", "think-after"]

# What an arm costs, by its name in resources.json: less is better.
COSTS = {
    "seconds": "training seconds",
    "peak_memory": "peak memory",
    "tokens": "tokens trained on",
    "trainable_parameters": "trainable parameters",
}


class Arm(Section):
    """One way of fine-tuning, or none."""

    title: str
    trained: bool = True  # false: the base as it is
    native: Prompting = "think"  # the shape that it was trained in
    needs: Literal["", "rationale", "facts"] = ""  # what every training example must have, or the arm is skipped
    config: dict[str, Any] = Field(
        default_factory=dict
    )  # sections of a run's configuration, over those that all arms share


class StudySet(Section):
    """Questions that every arm is asked."""

    title: str
    role: Literal["in-domain", "unseen", "forgetting", "control"]
    split: str
    data: str = ""  # empty: the data set of the training examples
    root: str = ""
    options: dict[str, Any] = Field(default_factory=dict)
    control: Control = Control.NONE


class Contrast(Section):
    """Two arms, each under one kind of prompting."""

    arm: str
    against: str
    shape: Prompting = "think"
    against_shape: Prompting = "think"


class Claim(Section):
    """A sentence of the paper, and what is taken as the answer to it.

    The effect of a contrast is positive where it goes the claim's way. A claim with several contrasts holds where all
    of them do.
    """

    says: str
    endpoint: str = "accuracy"  # a metric of docs/evaluation.md, or one of COSTS
    measure: Literal["points", "relative"] = "points"
    sets: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()  # of the questions; empty: all
    contrasts: tuple[Contrast, ...] = Field(min_length=1)

    @property
    def of_cost(self) -> bool:
        return self.endpoint in COSTS


class Cell(NamedTuple):
    """One evaluation of an arm under one seed."""

    name: str  # the set's
    shape: Prompting

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.shape}"


class Study(Section):
    """Everything that decides a study. Load with `load_study`."""

    name: str = ""
    seeds: tuple[int, ...] = Field(min_length=1)
    shapes: tuple[Prompting, ...] = ("think", "direct")
    metrics: tuple[str, ...] = ("accuracy", "reasoning")
    frozen: dict[Literal["checkpoint", "wordings", "instructions"], str] = Field(default_factory=dict)
    common: dict[str, Any] = Field(default_factory=dict)  # sections of a run's configuration that all arms share
    arms: dict[str, Arm] = Field(min_length=1)
    sets: dict[str, StudySet] = Field(min_length=1)
    claims: tuple[Claim, ...] = ()

    @property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(Cell(name, shape) for name in self.sets for shape in self.shapes)

    def config(self, arm: str, seed: int) -> RunConfig:
        """The arm's training run. Errors: ConfigError."""
        fixed = {"run": {"seed": seed, "name": f"{arm}-{seed}"}, "eval": {"enabled": False}}
        values = _merged(_merged(self.common, self.arms[arm].config), fixed)
        return validated(RunConfig, values, f"arm {arm}")

    def evaluation(self, arm: str, seed: int, cell: Cell, adapter: str) -> RunConfig:
        """How a cell is evaluated: as the arm's run says, on the set's questions."""
        config, found = self.config(arm, seed), self.sets[cell.name]
        own = bool(found.data)
        data = {
            "name": found.data or config.data.name,
            "split": found.split,
            "root": found.root if own else config.data.root,
            "options": {**({} if own else config.data.options), **found.options},
        }
        changes = {
            "model": {"adapter": adapter},
            "data": data,
            "eval": {"enabled": True, "shape": cell.shape, "control": found.control, "baselines": False},
        }
        return validated(RunConfig, _merged(config.model_dump(exclude_none=True), changes), f"set {cell.name}")

    def to_toml(self) -> str:
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    def digest(self) -> str:
        """A short hash of everything but the name."""
        values = self.model_dump(mode="json", exclude={"name"})
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]

    @model_validator(mode="after")
    def _check(self) -> Self:
        for wrong in (*self._wrong_names(), *self._wrong_claims()):
            raise ValueError(wrong)
        return self

    def _wrong_names(self) -> Iterator[str]:
        if len(set(self.seeds)) < len(self.seeds):
            yield "seeds holds one twice"
        for name in (*self.arms, *self.sets):
            if not name.replace("-", "").replace("_", "").isalnum():
                yield f"{name!r} names a folder: letters, digits, - and _ only"
        for metric in self.metrics:
            if metric not in ALL:
                yield f"metrics: unknown {metric!r}{nearest(metric, ALL)} Known: {', '.join(ALL)}"

    def _wrong_claims(self) -> Iterator[str]:
        for number, claim in enumerate(self.claims, start=1):
            where = f"claim {number}"
            for contrast in claim.contrasts:
                for arm in (contrast.arm, contrast.against):
                    if arm not in self.arms:
                        yield f"{where}: unknown arm {arm!r}{nearest(arm, self.arms)} Known: {', '.join(self.arms)}"
                for shape in (contrast.shape, contrast.against_shape):
                    if shape not in self.shapes:
                        yield f"{where}: shape {shape!r} is not among shapes"
            for name in claim.sets:
                if name not in self.sets:
                    yield f"{where}: unknown set {name!r}{nearest(name, self.sets)} Known: {', '.join(self.sets)}"
            if claim.endpoint not in (*ALL, *COSTS):
                yield f"{where}: unknown endpoint {claim.endpoint!r}{nearest(claim.endpoint, (*ALL, *COSTS))}"
            if claim.of_cost and (claim.sets or claim.tasks):
                yield f"{where}: {claim.endpoint} is a cost of training and has no sets or tasks"
            if claim.of_cost and claim.measure == "points":
                yield f'{where}: costs are compared as measure = "relative"'
            if not claim.of_cost and not claim.sets:
                yield f"{where}: sets is empty: on which questions?"


def load_study(path: str | Path) -> Study:
    """A study's file, every arm and evaluation in it checked. Errors: ConfigError."""
    path = Path(path)
    values = read_toml(path, "configs/ has studies to start from")
    study = validated(Study, {"name": path.stem, **values}, str(path))
    for arm in study.arms:
        for cell in study.cells:
            study.evaluation(arm, study.seeds[0], cell, "")
    return study


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key, everything else is replaced; reward.weights and data.options as they are given."""
    merged = dict(values)
    for key, value in changes.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping) and key not in ("weights", "gates", "options"):
            merged[key] = _merged(old, value)
        else:
            merged[key] = value
    return merged
