"""A run's checkpoints: written aside and checksummed, the last ones kept and the best, damaged ones passed over."""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rarl.errors import RunFolderError
from rarl.files import folder_aside, read_json, write_json

logger = logging.getLogger("rarl")

SUMS = "sha256.json"
LOGGED = "logged.json"  # what the run had logged by then


class Checkpoint(NamedTuple):
    """The state after `step` steps, in a folder."""

    step: int
    path: Path

    @property
    def damage(self) -> str:
        """What is wrong with its files by their checksums; empty if nothing is."""
        try:
            sums = read_json(self.path / SUMS)
        except RunFolderError as error:
            return str(error)
        if not sums:
            return f"{self.path / SUMS} names no file"
        for name, known in sums.items():
            try:
                found = _sum(self.path / name)
            except OSError as error:
                return f"{self.path / name} cannot be read: {error.strerror}"
            if found != known:
                return f"{self.path / name} is not what was written"
        return ""


class Checkpoints:
    """Those of one run, in a folder of their own."""

    def __init__(self, path: Path, logged: Callable[[int], dict[str, Any]] = lambda step: {}) -> None:
        """`logged` tells of a step what the run had logged after it, which is kept beside its state."""
        self.path, self._logged = path, logged

    def all(self) -> list[Checkpoint]:
        """The complete ones, oldest first; whether they are sound is not looked at."""
        found = ((re.fullmatch(r"step-(\d{6,})", path.name), path) for path in self.path.glob("*"))
        return sorted(Checkpoint(int(match[1]), path) for match, path in found if match)

    @contextmanager
    def write(self, step: int) -> Iterator[Path]:
        """A folder to write the state into; it gets its name, and checksums, when all of it is there."""
        with folder_aside(self.path / f"step-{step:06d}") as aside:
            yield aside
            write_json(aside / LOGGED, self._logged(step))
            files = sorted(path for path in aside.rglob("*") if path.is_file())
            write_json(aside / SUMS, {path.relative_to(aside).as_posix(): _sum(path) for path in files})

    def newest(self) -> Checkpoint | None:
        """The newest that is sound; warns of those that are not. None where there is none at all.

        Errors: RunFolderError where there are some, all damaged.
        """
        found = self.all()
        for checkpoint in reversed(found):
            damage = checkpoint.damage
            if not damage:
                return checkpoint
            logger.warning("%s is damaged and passed over: %s", checkpoint.path, damage)
        if found:
            raise RunFolderError(f"{self.path} holds no sound checkpoint; restore one, or start a new run")
        return None

    def keep(self, last: int, others: Collection[int | None]) -> None:
        """Remove all but the `last` newest and those of the steps `others`."""
        for checkpoint in self.all()[:-last]:
            if checkpoint.step not in others:
                shutil.rmtree(checkpoint.path)


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
