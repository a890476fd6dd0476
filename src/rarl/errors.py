"""What can go wrong, each in one line that says what, where, and what to do about it."""

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


class RunFolderError(RarlError):
    """A run folder that exists, is missing, or is not one."""


class MissingExtraError(RarlError):
    """An optional package that is not installed; the message says how to install it."""
