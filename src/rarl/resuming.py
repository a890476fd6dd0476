"""Going on with a run: from which step, under which settings, and what a change of its length does to evaluations."""

from __future__ import annotations

import shutil
from pathlib import Path

from rarl.checkpoints import LOGGED, Checkpoint
from rarl.config import RunConfig
from rarl.data import Dataset
from rarl.data.identity import as_begun
from rarl.errors import DataError, RunFolderError
from rarl.evaluation.records import SETTINGS
from rarl.exporting import RUN_CARD
from rarl.files import read_json
from rarl.runlog import RunFolder
from rarl.sections import differing
from rarl.training.learner import STATE, Learner


def is_finished(run: RunFolder, config: RunConfig) -> bool:
    """Whether its adapter is of the last step that `config` asks for: nothing but the report comes after it.

    Errors: RunFolderError where only another setting than a larger train.steps was changed, which would do nothing.
    """
    if not run.adapter.is_dir() or _trained_for(run) < config.train.steps:
        return False
    if changed := list(differing(run.config.model_dump(mode="json"), config.model_dump(mode="json"))):
        raise RunFolderError(
            f"{run.path} is finished, and only a larger train.steps goes on with it, not {', '.join(changed)}; "
            "for another evaluation of its adapter use rarl eval"
        )
    return True


def starting_point(run: RunFolder, config: RunConfig) -> Checkpoint | None:
    """The newest sound checkpoint; None before the first. Changes nothing.

    Errors: RunFolderError where it was written under settings that may not change, or can't lead to another length.
    """
    start = run.checkpoints.newest()
    step = start.step if start else 0
    if start:
        state = read_json(start.path / STATE)
        if state["step"] != step:
            raise RunFolderError(f"{start.path} is the checkpoint of step {state['step']} by what it holds; rename it")
        if config.train.steps < step:
            raise RunFolderError(
                f"{run.path} stands at step {step}: train.steps can't be {config.train.steps}; "
                f"its earlier adapters are in {run.checkpoints.path}"
            )
        changed = list(differing(state["config"], config.fixed()))
        if changed:
            raise RunFolderError(
                f"{run.path} was begun with other settings: {', '.join(changed)}; put them back, or start a new run"
            )
    end = run.config.train.steps
    if config.train.steps != end != step and _final(run):
        raise RunFolderError(
            f"{run.path} was evaluated after its last step, {end}, and has no sound checkpoint of it: "
            f"train.steps can't be {config.train.steps}; put {end} back, or start a new run"
        )
    return start


def same_data(run: RunFolder, data: Dataset) -> Dataset:
    """The examples that the run was begun with. Errors: RunFolderError where there are others now."""
    begun = read_json(run.data)
    if not begun:
        raise RunFolderError(f"{run.data} is damaged: it names no example; restore it, or remove it to go on unchecked")
    try:
        return as_begun(data, begun, skip=run.config.data.on_error == "skip")
    except DataError as error:
        raise RunFolderError(f"{run.path} can't go on: {error}, or start a new run") from None


def change_length(run: RunFolder, config: RunConfig, start: Checkpoint | None) -> None:
    """Before train.steps changes: the evaluations at what was the end become those after that step, and those between
    that follow `start` go, as its rows do: the learning rate takes another way from there."""
    end, step = run.config.train.steps, start.step if start else 0
    if config.train.steps == end:
        return
    for path in run.path.glob("eval/step-*"):
        if path.name[5:].isdecimal() and int(path.name[5:]) > step:
            shutil.rmtree(path)
    for path in _final(run):
        place = run.path / "eval" / f"step-{end:06d}" / path.name
        place.parent.mkdir(exist_ok=True)
        path.rename(place)


def go_on(learner: Learner, run: RunFolder, start: Checkpoint | None) -> None:
    """Load the checkpoint, if there is one, and forget what was logged after it."""
    if start:
        learner.load(start.path)
    # Its checksums say that nothing is missing: a checkpoint without it is of an earlier version.
    logged = read_json(start.path / LOGGED) if start and (start.path / LOGGED).is_file() else {}
    run.truncate_after(learner.step, pending=learner.pending is not None, logged=logged)


def _trained_for(run: RunFolder) -> int:
    """The steps behind the adapter."""
    path = run.adapter / RUN_CARD
    steps = read_json(path).get("steps")
    if type(steps) is not int:
        raise RunFolderError(f"{path} is damaged: it does not say after how many steps the adapter was saved")
    return steps


def _final(run: RunFolder) -> list[Path]:
    """The evaluations that follow the last step, ended or not."""
    return sorted(path.parent for path in run.path.glob(f"eval/*/{SETTINGS}"))
