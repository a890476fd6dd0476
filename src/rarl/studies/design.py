"""What a study compares, on what, and what would count as a result: one TOML file, fixed before the first step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import tomli_w
from pydantic import Field, model_validator

from rarl.config import Control, RunConfig, Without
from rarl.errors import ConfigError
from rarl.evaluation.protocols import ALL
from rarl.registry import nearest
from rarl.sections import Section, merged, read_toml, validated

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
    like: str = ""  # another arm, of which this is a variant: what is not given here is as there
    group: str = ""  # arms whose curves are drawn together; a chart tells eight apart
    trained: bool = True  # false: the base as it is
    native: Prompting = "think"  # the shape that it was trained in
    needs: Literal["", "rationale", "facts"] = ""  # what every training example must have, or the arm is skipped
    early_stop: bool = False  # true: of its checkpoints the best on validation data, not the last
    config: dict[str, Any] = Field({})  # sections of a run's configuration, over those that all arms share


class Validation(Section):
    """The questions by which settings and checkpoints are chosen; no result is computed from them."""

    split: str = "validation"
    metric: str = "accuracy"


class Search(Section):
    """One setting of each arm, chosen on validation data before the study: as many runs for every arm.

    An arm that is like another one takes over what was found for that.
    """

    key: str
    values: tuple[float, ...] = Field(min_length=2)
    seeds: tuple[int, ...] = Field(min_length=1)  # other ones than the study's


class StudySet(Section):
    """Questions that every arm is asked."""

    title: str
    role: Literal["in-domain", "unseen", "forgetting", "control", "subset"]  # subset: of another set, pooled with none
    split: str
    data: str = ""  # empty: the data set of the training examples
    root: str = ""
    options: dict[str, Any] = Field({})
    without: Without | None = None  # left out are questions whose images that set has
    control: Control = Control.NONE
    optional: bool = False  # left out, by name, where its data are not there


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
    metrics: tuple[str, ...] = Field(("accuracy", "reasoning"), min_length=1)
    frozen: dict[Literal["checkpoint", "wordings", "instructions"], str] = Field({})
    validation: Validation = Validation()
    search: Search | None = None
    common: dict[str, Any] = Field({})  # sections of a run's configuration that all arms share
    arms: dict[str, Arm] = Field(min_length=1)
    sets: dict[str, StudySet] = Field(min_length=1)
    claims: tuple[Claim, ...] = ()

    @property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(Cell(name, shape) for name in self.sets for shape in self.shapes)

    @property
    def roles(self) -> tuple[Cell, ...]:
        """All sets of a role as one cell, under its name."""
        roles = dict.fromkeys(found.role for found in self.sets.values())
        return tuple(Cell(role, shape) for role in roles for shape in self.shapes)

    def of_role(self, role: str) -> list[str]:
        return [name for name, found in self.sets.items() if found.role == role]

    def config(self, arm: str, seed: int) -> RunConfig:
        """The arm's training run. Errors: ConfigError."""
        fixed = {"run": {"seed": seed, "name": f"{arm}-{seed}"}, "eval": {"enabled": False}}
        values = merged(merged(self.common, self.arms[arm].config), fixed)
        return validated(RunConfig, values, f"arm {arm}")

    def evaluation(self, arm: str, seed: int, cell: Cell, adapter: str) -> RunConfig:
        """How a cell is evaluated: as the arm's run says, on the set's questions."""
        return self._asked(self.config(arm, seed), self.sets[cell.name], cell.shape, adapter)

    def validated_on(self, config: RunConfig, arm: str, adapter: str) -> RunConfig:
        """How this training of an arm is validated: by its own prompting."""
        questions = StudySet(title="validation", role="in-domain", split=self.validation.split)
        return self._asked(config, questions, self.arms[arm].native, adapter)

    def without(self, absent: Collection[str]) -> Study:
        """The study without these sets; its claims still name them."""
        sets = {name: found for name, found in self.sets.items() if name not in absent}
        return self.model_copy(update={"sets": sets})

    def asked(self, claim: Claim) -> tuple[str, ...]:
        """Those of the claim's sets that are there."""
        return tuple(name for name in claim.sets if name in self.sets)

    def with_found(self, found: Mapping[str, float]) -> Study:
        """The study with what a search found for its arms, and for those that are like them."""
        study = self
        for name in self.arms:
            if self.search and (root := self.root(name)) in found:
                study = study.with_setting(name, self.search.key, found[root])
        return study

    def with_setting(self, arm: str, key: str, value: Any) -> Study:
        """The study with one setting of an arm's changed."""
        for name in reversed(key.split(".")):
            value = {name: value}
        changed = self.arms[arm].model_copy(update={"config": merged(self.arms[arm].config, value)})
        return self.model_copy(update={"arms": {**self.arms, arm: changed}})

    def root(self, arm: str) -> str:
        """The arm that this one is a variant of in the end; itself where it is none."""
        while self.arms[arm].like:
            arm = self.arms[arm].like
        return arm

    @staticmethod
    def _asked(config: RunConfig, found: StudySet, shape: Prompting, adapter: str) -> RunConfig:
        own = bool(found.data)
        data = {
            "name": found.data or config.data.name,
            "split": found.split,
            "root": found.root if own else config.data.root,
            "options": {**({} if own else config.data.options), **found.options},
            "without": found.without and found.without.model_dump(),
        }
        changes = {
            "model": {"adapter": adapter},
            "data": data,
            "eval": {"enabled": True, "shape": shape, "control": found.control, "baselines": False},
        }
        return validated(RunConfig, merged(config.model_dump(exclude_none=True), changes), f"set {found.title}")

    def to_toml(self) -> str:
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    def digest(self) -> str:
        """A short hash of everything but the name."""
        values = self.model_dump(mode="json", exclude={"name"})
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]

    @model_validator(mode="after")
    def _check(self) -> Self:
        for wrong in (*self._wrong_names(), *self._wrong_search(), *self._wrong_claims()):
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

    def _wrong_search(self) -> Iterator[str]:
        if self.validation.metric not in ALL:
            yield f"validation.metric: unknown {self.validation.metric!r}{nearest(self.validation.metric, ALL)}"
        if any(found.split == self.validation.split and not found.data for found in self.sets.values()):
            yield f"validation.split: {self.validation.split} is a set of the study's as well"
        if self.search and set(self.search.seeds) & set(self.seeds):
            yield "search.seeds: a seed of the study's is among them"
        if self.search and len({f"{value:g}" for value in self.search.values}) < len(self.search.values):
            yield "search.values: two of them are the same to six digits, by which their folders are named"

    def _wrong_claims(self) -> Iterator[str]:
        for number, claim in enumerate(self.claims, start=1):
            where = f"claim {number}"
            for contrast in claim.contrasts:
                for arm in (contrast.arm, contrast.against):
                    if arm not in self.arms:
                        yield f"{where}: unknown arm {arm!r}{nearest(arm, self.arms)} Known: {', '.join(self.arms)}"
                if (contrast.arm, contrast.shape) == (contrast.against, contrast.against_shape):
                    yield f"{where}: {contrast.arm} is compared with itself"
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
    """A study's file, over the one beside it that it `extends`, every arm and evaluation checked. ConfigError else."""
    path = Path(path)
    values = _extended(path, ())
    study = _inherited(validated(Study, {"name": path.stem, **values}, str(path)))
    for arm in study.arms:
        for cell in study.cells:
            study.evaluation(arm, study.seeds[0], cell, "")
        if search := study.search:
            for value in search.values:
                study.with_setting(arm, search.key, value).config(arm, study.seeds[0])
    return study


def _extended(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """A file's tables over those that it extends; `above` are the files that extend it. Errors: ConfigError."""
    if path.resolve() in above:
        raise ConfigError(f"{path} extends itself")
    values = read_toml(path, f"it is what {above[-1]} extends" if above else "configs/ has studies to start from")
    extends = values.pop("extends", None)
    return merged(_extended(path.parent / str(extends), (*above, path.resolve())), values) if extends else values


def _inherited(study: Study) -> Study:
    """Every arm with what it takes over from the one that it is like. Errors: ConfigError."""
    arms: dict[str, Arm] = {}
    for name, arm in study.arms.items():
        if arm.like and arm.like not in arms:
            raise ConfigError(f"arm {name}: like names {arm.like!r}, which is no arm above it")
        above = arms[arm.like].model_dump(exclude_unset=True) if arm.like else {}
        arms[name] = Arm.model_validate(merged(above, arm.model_dump(exclude_unset=True)))
    return study.model_copy(update={"arms": arms})
