"""One process at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rarl.errors import RunFolderError


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keeps other processes out of the folder, which is made for its owner alone where it is not there; a kill
    lets go of it.

    Errors: RunFolderError where another one is at it. Where the system can't lock folders nobody is kept out.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        why = "it is a file" if folder.is_file() else error.strerror
        raise RunFolderError(f"{folder} can't be written into: {why}; choose another folder") from None
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    with suppress(ImportError):
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFolderError(
                f"{folder} is being written by another process; wait for it, or choose another folder"
            ) from None
        except OSError:  # a file system without locks
            return
