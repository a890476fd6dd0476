"""A run's folder: what was asked, on what it ran, what happened at each step, and what came of it.

    config.toml  environment.json                        what was asked, and with which versions
    data.json                                            a hash of every example that it trains on
    probe.json                                           which known ways of gaming the rewards would pay
    metrics.jsonl  rollouts.jsonl                        one row a step, one row a completion
    guards.jsonl                                         one row a guard that fired in a step, if any did
    timings.jsonl                                        wall seconds and peak memory, which are never the same twice
    checkpoints/step-000050/  adapter/                   to go on from, and to use
    eval/<set>-<split>/  eval/before/<set>-<split>/      records.jsonl and summary.json
    report.html

Nothing is ever half written: files and folders are written aside and renamed, and a row that a kill cut short is
dropped when the run goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path, PurePath
from typing import Any

from rarl.checkpoints import Checkpoints
from rarl.config import RunConfig
from rarl.environment import describe_environment
from rarl.errors import RunFolderError
from rarl.files import (
    append_text,
    file_name,
    new_folder,
    read_rows,
    write_json,
    write_text,
    written_aside,
)
from rarl.types import Group, StepMetrics

METRICS, ROLLOUTS, GUARDS = "metrics.jsonl", "rollouts.jsonl", "guards.jsonl"
_DURING = (ROLLOUTS, GUARDS)  # written within a step; the others when it is done
_LOGS = (*_DURING, METRICS, "timings.jsonl")


class RunFolder:
    """One run on disk. Make a new one with `create`, go on with an old one with `open`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: str | Path, config: RunConfig) -> RunFolder:
        """A new folder with its config and environment; RunFolderError if something is there already."""
        folder = cls(new_folder(path))
        write_text(folder.path / "config.toml", config.to_toml())
        write_json(folder.path / "environment.json", describe_environment())
        return folder

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """The folder of an earlier run; RunFolderError if it is none."""
        path = Path(path)
        if not (path / "config.toml").is_file():
            raise RunFolderError(f"{path} is no run folder (no config.toml in it); give the folder that a run printed")
        return cls(path)

    @property
    def config(self) -> RunConfig:
        return RunConfig.load(self.path / "config.toml")

    @property
    def adapter(self) -> Path:
        """Where the final adapter is, in PEFT's format."""
        return self.path / "adapter"

    @property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.path / "checkpoints", self.logged)

    @property
    def data(self) -> Path:
        return self.path / "data.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def evaluation(self, data: str, split: str, stage: str = "") -> Path:
        """Where the records of one set and split are; `stage` is empty for the final ones, else say "before"."""
        return self.path / "eval" / stage / file_name(f"{PurePath(data).name}-{split}")

    # --- what happens at each step

    def append_metrics(self, metrics: StepMetrics) -> None:
        _append(self.path / METRICS, [{"step": metrics.step, **metrics.values}])

    def append_timings(self, step: int, found: Mapping[str, float]) -> None:
        """Wall seconds by phase, and the process's peak memory."""
        _append(self.path / "timings.jsonl", [{**found, "step": step}])

    def append_rollouts(self, step: int, groups: Sequence[Group]) -> None:
        """A row for every completion of the step: what was said, what it earned, and why."""
        _append(self.path / ROLLOUTS, (row for group in groups for row in _rollout_rows(step, group)))

    def append_firing(self, step: int, firing: Mapping[str, Any]) -> None:
        """A guard that fired in the step: what it found, what was done, and which completions caused it."""
        _append(self.path / GUARDS, [{"step": step, **firing}])

    def firings(self) -> list[dict[str, Any]]:
        """The rows of guards.jsonl in order. RunFolderError for one that is none."""
        rows = list(_rows_of_steps(self.path / GUARDS))
        for number, row in enumerate(rows, start=1):
            if not isinstance(row.get("guard"), str) or not isinstance(row.get("action"), str):
                raise RunFolderError(f"{self.path / GUARDS}, line {number}, names no guard; the file was damaged")
        return rows

    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl in order; empty before the first step. RunFolderError for one that is none."""
        return list(_rows_of_numbers(self.path / METRICS))

    def timings(self) -> list[dict[str, Any]]:
        return list(_rows_of_numbers(self.path / "timings.jsonl"))

    def logged(self, step: int) -> dict[str, Any]:
        """How many rows metrics and rollouts have up to `step`, and a checksum of them: what a checkpoint counts on.

        Wall times are never the same twice.
        """
        paths = [self.path / name for name in (METRICS, ROLLOUTS)]
        return {path.name: _summed(_lines_to(path, step)) for path in paths if path.is_file()}

    def truncate_after(self, step: int, *, pending: bool = False, logged: Mapping[str, Any] | None = None) -> None:
        """Forget what was logged after `step`, and rows cut short: where a checkpoint of `step` goes on from.

        `pending`: the rows of `step` itself are still to be written, but for those of what happens within it. Errors:
        RunFolderError, with nothing written, for a row that is none, and where what is left is not what was `logged`.
        """
        last = {name: step - (pending and name not in _DURING) for name in _LOGS}
        # All are read before one is written: a damaged one leaves the others as they are.
        kept = {
            name: [_line(row) for row in _rows_of_steps(self.path / name) if row["step"] <= stop]
            for name, stop in last.items()
        }
        for name, known in (logged or {}).items():
            found = _summed(line.encode() for line in kept[name])
            if found != known:
                held = f"{found['rows']} up to there" + (", others" if found["rows"] == known["rows"] else "")
                raise RunFolderError(
                    f"{self.path / name} was cut or edited: the checkpoint of step {step} counts on {known['rows']} "
                    f"rows, and it holds {held}; restore it, or remove that checkpoint to go on from an earlier one"
                )
        for name, lines in kept.items():
            if (self.path / name).exists():
                with written_aside(self.path / name) as file:
                    file.writelines(lines)


def _lines_to(path: Path, step: int) -> Iterator[bytes]:
    """Up to the first of the step after: rows come in order, and begin with their step."""
    with path.open("rb") as file:
        yield from takewhile(lambda line: not line.startswith(b'{"step": %d,' % (step + 1)), file)


def _summed(lines: Iterable[bytes]) -> dict[str, Any]:
    rows, digest = 0, hashlib.sha256()
    for line in lines:
        rows += 1
        digest.update(line)
    return {"rows": rows, "sha256": digest.hexdigest()}


def _rows_of_steps(path: Path) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(read_rows(path), start=1):
        if type(row.get("step")) is not int:
            raise RunFolderError(f'{path}, line {number}, lacks a whole number as "step"; the file was damaged')
        yield row


def _rows_of_numbers(path: Path) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(_rows_of_steps(path), start=1):
        for name, value in row.items():
            if not isinstance(value, int | float | None):
                raise RunFolderError(f"{path}, line {number}: {name} is no number; the file was damaged")
        yield row


def _append(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """They are on disk when it returns: a checkpoint, which is, counts on them."""
    append_text(path, "".join(map(_line, rows)), lasting=True)


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _rollout_rows(step: int, group: Group) -> Iterator[dict[str, Any]]:
    for rollout, score, advantage in zip(group.rollouts, group.scores, group.advantages, strict=True):
        yield {
            "step": step,
            "id": group.prompt.example.id,
            "template": group.prompt.template.id,
            "completion": rollout.text,
            "tokens": len(rollout.token_ids),
            "finish": rollout.finish.value,
            "seed": rollout.seed,
            "parts": dict(score.parts),
            "total": score.total,
            "advantage": advantage,
        }
