"""Packages that only some of the work needs: imported when it starts, and missed in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rarl.errors import MissingExtraError


@contextmanager
def needed_for(purpose: str) -> Iterator[None]:
    """Around an import: a package that is not installed, itself or for another one, is a MissingExtraError."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or "." in error.name:
            raise  # the package is there, but not as another one expects it
        raise MissingExtraError(
            f"{purpose} needs {error.name}, which is not installed; get it with `pip install {error.name}`"
        ) from None
