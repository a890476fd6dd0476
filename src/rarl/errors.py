"""What can go wrong, each in one line that says what, where, and what to do about it."""

import signal
from collections.abc import Mapping
from typing import Any


class RarlError(Exception):
    """A mistake in the input or the set-up: shown to the user as one line, exit code 2."""

    exit_code = 2


class ConfigError(RarlError):
    """A key or value of the configuration; the message names the key and the remedy."""


class DataError(RarlError):
    """A row, an image or a data set; the message names the file and the row."""


class ModelError(RarlError):
    """A base model, processor or adapter that is missing or does not fit."""


class RewardError(RarlError):
    """A reward that is unknown, or that failed on a row; the message names both."""


class JudgeError(RarlError):
    """A judge that can't be asked at all, or that left too much unscored; the message says which, and how much."""


class UnscoredError(JudgeError):
    """A judge that left too much of an evaluation unscored; `found` has all its summaries, by folder."""

    def __init__(self, message: str, found: Mapping[Any, Any]) -> None:
        super().__init__(message)
        self.found = found

    def __reduce__(self) -> tuple[Any, ...]:  # as it comes from another process
        return type(self), (str(self), dict(self.found))


class RunFolderError(RarlError):
    """A run folder that exists, is missing, or is not one."""


class MissingExtraError(RarlError):
    """An optional package that is not installed; the message says how to install it."""


class GuardError(RarlError):
    """A run whose numbers went bad, stopped by one of its guards; the message says which, and what came before."""

    exit_code = 3


class MemoryShortError(RarlError):
    """A step that does not fit in memory, however little is computed at once."""


class StoppedError(RarlError):
    """A run that a signal stopped, and that can go on; `how` says by which command."""

    def __init__(self, number: int, how: str) -> None:
        super().__init__(number, how)
        self.number, self.how = number, how

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """130 as shells have it for Ctrl-C; 75 (EX_TEMPFAIL) for the others: try again later."""
        return 130 if self.number == signal.SIGINT else 75

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.number).name}; {self.how}"
