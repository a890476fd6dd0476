"""One arm under one seed: train it, evaluate it on every set, note what it cost. Done parts are never repeated."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rarl.assembly import resume, train
from rarl.evaluating import evaluate_configs
from rarl.runlog import RunFolder, read_json, write_json
from rarl.studies.design import Study


class Job(NamedTuple):
    """An arm under a seed, in a folder of the study's."""

    arm: str
    seed: int

    def folder(self, study: Path) -> Path:
        return study / "arms" / self.arm / f"seed-{self.seed}"


def is_done(job: Job, study: Study, out: Path) -> bool:
    """Whether everything of the job is on disk."""
    folder = job.folder(out)
    trained = (folder / "resources.json").is_file() or not study.arms[job.arm].trained
    return trained and all((folder / cell.folder / "summary.json").is_file() for cell in study.cells)


def run_job(job: Job, study: Study, out: Path) -> None:
    """Do what is not done yet. In a process of its own, since peak memory is the process's. Errors: RarlError."""
    folder, adapter = job.folder(out), ""
    if study.arms[job.arm].trained:
        adapter = str(_trained(job, study, folder))
    configs = {folder / cell.folder: study.evaluation(job.arm, job.seed, cell, adapter) for cell in study.cells}
    missing = {place: config for place, config in configs.items() if not (place / "summary.json").is_file()}
    if missing:
        evaluate_configs(missing)


def _trained(job: Job, study: Study, folder: Path) -> Path:
    """The arm's adapter, after training or going on with it."""
    path, costs = folder / "run", folder / "resources.json"
    if not costs.is_file():
        run = RunFolder.open(path) if (path / "config.toml").is_file() else None
        if run is None:
            train(study.config(job.arm, job.seed), out=path)
        else:
            resume(path)
        write_json(costs, _costs(RunFolder.open(path)))
    return RunFolder.open(path).adapter


def _costs(run: RunFolder) -> dict[str, float]:
    """What training took, as COSTS names it: wall seconds of its steps, bytes, completion tokens, parameters."""
    timings = run.timings()
    return {
        "seconds": sum(row["whole"] for row in timings),
        "peak_memory": max(row["peak_bytes"] for row in timings),
        "tokens": sum(row["completion/tokens"] for row in run.metrics()),
        "trainable_parameters": read_json(run.adapter / "run_card.json")["trainable_parameters"],
    }
