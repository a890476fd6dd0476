"""A run's folder: what was asked, on what it ran, what happened at each step, and what came of it.

    config.toml  environment.json                        what was asked, and with which versions
    probe.json                                           which known ways of gaming the rewards would pay
    metrics.jsonl  rollouts.jsonl                        one row a step, one row a completion
    timings.jsonl                                        wall seconds and peak memory, which are never the same twice
    checkpoints/step-000050/  adapter/                   to go on from, and to use
    eval/<set>-<split>/  eval/before/<set>-<split>/      records.jsonl and summary.json
    report.html

Nothing is ever half written: files and folders are written aside and renamed, and a row that a kill cut short is
dropped when the run goes on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from rarl.config import RunConfig
from rarl.environment import describe_environment
from rarl.errors import RunFolderError
from rarl.types import Group, StepMetrics

_LOGS = ("metrics.jsonl", "rollouts.jsonl", "timings.jsonl")


class RunFolder:
    """One run on disk. Make a new one with `create`, go on with an old one with `open`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: str | Path, config: RunConfig) -> RunFolder:
        """A new folder with its config and environment; RunFolderError if something is there already."""
        path = require_free(path)
        try:
            (path / "checkpoints").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _not_written(path, error) from None
        folder = cls(path)
        write_text(path / "config.toml", config.to_toml())
        write_json(path / "environment.json", describe_environment())
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
    def report(self) -> Path:
        return self.path / "report.html"

    def evaluation(self, data: str, split: str, stage: str = "") -> Path:
        """Where the records of one set and split are; `stage` is empty for the final ones, else say "before"."""
        return self.path / "eval" / stage / file_name(f"{PurePath(data).name}-{split}")

    # --- what happens at each step

    def append_metrics(self, metrics: StepMetrics) -> None:
        _append(self.path / "metrics.jsonl", [{"step": metrics.step, **metrics.values}])

    def append_timings(self, step: int, found: Mapping[str, float]) -> None:
        """Wall seconds by phase, and the process's peak memory."""
        _append(self.path / "timings.jsonl", [{**found, "step": step}])

    def append_rollouts(self, step: int, groups: Sequence[Group]) -> None:
        """A row for every completion of the step: what was said, what it earned, and why."""
        _append(self.path / "rollouts.jsonl", (row for group in groups for row in _rollout_rows(step, group)))

    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl in order; empty before the first step. RunFolderError for one that is none."""
        return list(_rows_of_numbers(self.path / "metrics.jsonl"))

    def timings(self) -> list[dict[str, Any]]:
        return list(_rows_of_numbers(self.path / "timings.jsonl"))

    def truncate_after(self, step: int) -> None:
        """Forget what was logged after `step`, and rows cut short: where a checkpoint of `step` goes on from."""
        paths = [path for name in _LOGS if (path := self.path / name).exists()]
        # All are read before one is written: a damaged one leaves the others as they are.
        kept = {path: [_line(row) for row in _rows_of_steps(path) if row["step"] <= step] for path in paths}
        for path, lines in kept.items():
            with _written_aside(path) as file:
                file.writelines(lines)

    # --- checkpoints

    def checkpoints(self) -> list[tuple[int, Path]]:
        """The complete checkpoints as (step, folder), oldest first."""
        found = ((re.fullmatch(r"step-(\d{6,})", path.name), path) for path in (self.path / "checkpoints").glob("*"))
        return sorted((int(match[1]), path) for match, path in found if match)

    @contextmanager
    def checkpoint(self, step: int) -> Iterator[Path]:
        """A folder to write the checkpoint of `step` into; it gets its name when all of it is there."""
        with folder_aside(self.path / "checkpoints" / f"step-{step:06d}") as aside:
            yield aside

    def drop_checkpoints(self, keep: int) -> None:
        """Remove all but the newest `keep` checkpoints."""
        for _, path in self.checkpoints()[:-keep]:
            shutil.rmtree(path)


def free_path(parent: str | Path, name: str) -> Path:
    """`parent/name-1`, or the first higher number that is not there yet."""
    number = 1
    while (path := Path(parent) / f"{file_name(name)}-{number}").exists():
        number += 1
    return path


def require_free(path: str | Path) -> Path:
    """The path of a folder that may be written: RunFolderError if something is there already."""
    path = Path(path)
    try:
        taken = path.exists() and (not path.is_dir() or any(path.iterdir()))
    except OSError as error:
        raise _not_written(path, error) from None
    if taken:
        raise RunFolderError(f"{path} exists already and is not overwritten; choose another --out, or remove it")
    return path


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file that a run wrote; RunFolderError if there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} is missing or damaged: {error}") from None
    if not isinstance(value, dict):
        raise RunFolderError(f"{path} is damaged: it holds no object")
    return value


def write_text(path: Path, text: str) -> None:
    """The whole file or nothing: a reader sees the old text until the new one is on disk."""
    with _written_aside(path) as file:
        file.write(text)


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL file, up to one that a kill cut short; none if there is no file.

    Errors: RunFolderError for a line that is no JSON object.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                row = json.loads(line)
            except ValueError:
                raise RunFolderError(f"{path}, line {number}, is not JSON; the file was damaged") from None
            if not isinstance(row, dict):
                raise RunFolderError(f"{path}, line {number}, is no object; the file was damaged")
            yield row


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


def _not_written(path: Path, error: OSError) -> RunFolderError:
    return RunFolderError(f"cannot write {path}: {error.strerror}; choose another --out")


@contextmanager
def folder_aside(path: Path) -> Iterator[Path]:
    """A folder beside `path` to write into; it takes the place of `path` when the block ends without an error."""
    aside, old = (path.with_name(f".{path.name}.{suffix}") for suffix in ("part", "old"))
    for left_over in (aside, old):
        shutil.rmtree(left_over, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
    except OSError as error:
        raise _not_written(path, error) from None
    try:
        yield aside
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    for file in aside.rglob("*"):
        if file.is_file():
            _sync(file)
    if path.exists():
        path.rename(old)
    aside.rename(path)
    _sync(path.parent)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _written_aside(path: Path) -> Iterator[Any]:
    if path.is_dir():
        raise RunFolderError(f"{path} is a folder; give a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_written(path, error) from None
    aside = path.with_name(f".{path.name}.part")
    with aside.open("w", encoding="utf-8", newline="\n") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _append(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write("".join(_line(row) for row in rows))


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


def file_name(name: str) -> str:
    """A name as a file or folder may bear it anywhere."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "unnamed"
