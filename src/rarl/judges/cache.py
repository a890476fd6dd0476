"""Verdicts that were paid for, in one SQLite file, for as many processes as like."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rarl.caches import VERDICTS, cache_home
from rarl.errors import JudgeError
from rarl.types import Verdict

logger = logging.getLogger("rarl")

OFF = "off"  # as judge.cache
_FORMAT = 1  # of the file
_WAIT = 30.0  # seconds for another process that writes
_TABLE = """
CREATE TABLE IF NOT EXISTS verdicts (
    key TEXT PRIMARY KEY, value REAL NOT NULL, axis TEXT NOT NULL, raw TEXT NOT NULL, judge TEXT NOT NULL,
    rubric TEXT NOT NULL
) WITHOUT ROWID
"""


def cache_path(setting: str) -> Path | None:
    """Where judge.cache points: a file; empty: in the user's cache folder, if there is one; "off": None."""
    if setting == OFF:
        return None
    if setting:
        return Path(os.path.expanduser(setting))
    home = cache_home()
    return home / VERDICTS if home else None


class VerdictCache:
    """Only verdicts with a value are kept; the first one under a key stays. Read and written by its owner alone."""

    def __init__(self, path: Path) -> None:
        """Makes the file where there is none. Errors: JudgeError where that can't be, or it is something else."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # replies may quote what was judged
            with self._open() as file:
                file.execute(_TABLE)
                version = file.execute("PRAGMA user_version").fetchone()[0]
                if version not in (0, _FORMAT):
                    raise sqlite3.DatabaseError("another version of rarl wrote it")
                if not version:
                    file.execute(f"PRAGMA user_version = {_FORMAT}")
        except (OSError, sqlite3.Error) as error:
            raise JudgeError(
                f"judge.cache: {path} can't be used ({error}); remove it, name another file, or set judge.cache=off"
            ) from None

    def read(self, keys: Iterable[str]) -> dict[str, Verdict]:
        """The verdicts that are there, by key; none where the file can't be read any more."""
        columns = "value, axis, raw, judge, rubric"
        found = {}
        try:
            with self._open() as file:
                for key in keys:
                    if row := file.execute(f"SELECT {columns} FROM verdicts WHERE key = ?", (key,)).fetchone():
                        found[key] = Verdict(*row)
        except sqlite3.Error as error:
            logger.warning("judge.cache: %s can't be read (%s); what it holds is asked again", self.path, error)
        return found

    def keep(self, key: str, verdict: Verdict) -> None:
        """On disk when this returns; a failure to write is a warning, as the verdict itself is not lost."""
        row = (key, verdict.value, verdict.axis, verdict.raw, verdict.judge, verdict.rubric)
        try:
            with self._open() as file:
                file.execute("INSERT OR IGNORE INTO verdicts VALUES (?, ?, ?, ?, ?, ?)", row)
        except sqlite3.Error as error:
            logger.warning("judge.cache: %s can't be written (%s); it would be asked again", self.path, error)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=_WAIT)) as file, file:
            yield file
