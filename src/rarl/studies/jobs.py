"""What a study is made of: an arm trained and evaluated under a seed, or trained on trial. Nothing is repeated."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

from rarl.assembly import resume, train
from rarl.config import RunConfig
from rarl.errors import RarlError
from rarl.evaluating import evaluate_configs
from rarl.evaluation import read_records
from rarl.evaluation.protocols import values
from rarl.files import read_json, write_json
from rarl.runlog import RunFolder
from rarl.studies.design import Cell, Study

RESOURCES, STOPPED, TRIED, DONE = "resources.json", "early-stop.json", "tried.json", "done.json"


class Work(Protocol):
    """Work for a process of its own, since peak memory is the process's."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    def folder(self, out: Path) -> Path: ...

    def is_done(self, study: Study, out: Path) -> bool:
        """Whether everything of it is on disk."""
        ...

    def run(self, study: Study, out: Path) -> None:
        """Do what is not done yet. Errors: RarlError."""
        ...


class Job(NamedTuple):
    """An arm under a seed, in a folder of the study's: trained, and asked every set."""

    arm: str
    seed: int

    @property
    def name(self) -> str:
        return f"arm {self.arm}, seed {self.seed}"

    def folder(self, out: Path) -> Path:
        return out / "arms" / self.arm / f"seed-{self.seed}"

    def is_done(self, study: Study, out: Path) -> bool:
        folder, trained = self.folder(out), study.arms[self.arm].trained
        there = (folder / DONE).is_file() and (not trained or (folder / RESOURCES).is_file())
        return there and not self._missing(study, out)

    def _missing(self, study: Study, out: Path) -> list[Cell]:
        folder = self.folder(out)
        files = ("summary.json", "records.jsonl")
        return [cell for cell in study.cells if not all((folder / cell.folder / name).is_file() for name in files)]

    def run(self, study: Study, out: Path) -> None:
        folder, adapter = self.folder(out), ""
        if study.arms[self.arm].trained:
            adapter = str(self._trained(study, folder))
        # A cell may have a summary and lack verdicts: as long as the job is not done, all are gone on with.
        cells = self._missing(study, out) if (folder / DONE).is_file() else study.cells
        asked = {folder / cell.folder: study.evaluation(self.arm, self.seed, cell, adapter) for cell in cells}
        if asked:
            evaluate_configs(asked)
        write_json(folder / DONE, {"cells": [cell.folder for cell in study.cells]})

    def _trained(self, study: Study, folder: Path) -> Path:
        """The arm's adapter, after training or going on with it."""
        config = study.config(self.arm, self.seed)
        run = trained(config, folder / "run")
        if not (folder / RESOURCES).is_file():
            write_json(folder / RESOURCES, _costs(run))
        if not study.arms[self.arm].early_stop:
            return run.adapter
        return _best_checkpoint(study, config, self.arm, run, folder)


class Trial(NamedTuple):
    """An arm with a setting on trial, under a seed of the search's: trained, and asked the validation data."""

    arm: str
    seed: int
    value: float

    @property
    def name(self) -> str:
        return f"search, {self.arm} with {self.value:g}, seed {self.seed}"

    def folder(self, out: Path) -> Path:
        return out / "search" / self.arm / f"{self.value:g}" / f"seed-{self.seed}"

    def is_done(self, study: Study, out: Path) -> bool:
        return (self.folder(out) / TRIED).is_file()

    def run(self, study: Study, out: Path) -> None:
        assert study.search is not None
        folder = self.folder(out)
        config = study.with_setting(self.arm, study.search.key, self.value).config(self.arm, self.seed)
        run = trained(config, folder / "run")
        place = folder / "validation"
        evaluate_configs({place: study.validated_on(config, self.arm, str(run.adapter))})
        write_json(folder / TRIED, {"value": self.value, "seed": self.seed, "mean": _mean(study, place)})


def trained(config: RunConfig, path: Path) -> RunFolder:
    """The run of this configuration at its end, made or gone on with."""
    if not (path / "config.toml").is_file():
        train(config, out=path)
    elif not RunFolder.open(path).adapter.is_dir():
        resume(path)
    return RunFolder.open(path)


def _best_checkpoint(study: Study, config: RunConfig, arm: str, run: RunFolder, folder: Path) -> Path:
    """The adapter of the checkpoint that does best on validation data, the earliest of equals."""
    checkpoints = dict(run.checkpoints.all())
    if not (folder / STOPPED).is_file():
        places = {step: folder / "validation" / f"step-{step:06d}" for step in checkpoints}
        for step, place in places.items():
            if not (place / "summary.json").is_file():
                adapter = str(checkpoints[step] / "adapter")
                evaluate_configs({place: study.validated_on(config, arm, adapter)})
        means = {step: _mean(study, place) for step, place in places.items()}
        write_json(folder / STOPPED, {"step": max(means, key=means.__getitem__), "means": means})
    return checkpoints[read_json(folder / STOPPED)["step"]] / "adapter"


def _mean(study: Study, folder: Path) -> float:
    """The validation metric over the answers that have one."""
    found = [value for value in values(read_records(folder), study.validation.metric).values() if value is not None]
    if not found:
        raise RarlError(f"{folder}: no answer has {study.validation.metric}, validation.metric in the study's file")
    return sum(found) / len(found)


def _costs(run: RunFolder) -> dict[str, float]:
    """What training took, as COSTS names it: wall seconds of its steps, bytes, completion tokens, parameters."""
    timings = run.timings()
    return {
        "seconds": sum(row["whole"] for row in timings),
        "peak_memory": max(row["peak_bytes"] for row in timings),
        "tokens": sum(row["completion/tokens"] for row in run.metrics()),
        "trainable_parameters": read_json(run.adapter / "run_card.json")["trainable_parameters"],
    }
