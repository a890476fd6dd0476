"""Zip archives that stay packed: a member is read when it is asked for, and no further than it claims to go."""

from __future__ import annotations

import io
import os
from copy import copy
from functools import lru_cache
from pathlib import Path
from zipfile import ZipFile

from rarl.data.limits import MAX_BYTES
from rarl.errors import DataError

PIECE = 4096  # bytes read at a time: not every decompressor can be told when to stop


def member(archive: Path, name: str) -> io.BytesIO:
    """The bytes of a file in an archive. Errors: DataError."""
    try:
        return _unpacked(_archive(archive, os.getpid()), name)
    except KeyError:
        raise DataError(f"{archive} has no {name!r}") from None
    except DataError as error:
        raise DataError(f"{archive}/{name} {error}") from None
    except Exception as error:  # every decompressor has errors of its own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{archive}/{name} cannot be unpacked: {reason}") from error


def members(archive: Path) -> frozenset[str]:
    """The names of the files in a zip archive. DataError if it cannot be read, or holds none."""
    try:
        with ZipFile(archive) as opened:
            found = frozenset(name for name in opened.namelist() if not name.endswith("/"))
    except Exception as error:  # a damaged list of contents fails in many ways
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{archive} cannot be read ({reason}); fetch it again") from error
    if not found:
        raise DataError(f"{archive} is an archive without files; fetch it again")
    return found


@lru_cache(maxsize=4)
def _archive(path: Path, process: int) -> ZipFile:
    """An archive, opened once in each process: a forked one would share the place in the file."""
    return ZipFile(path)


def _unpacked(archive: ZipFile, member: str) -> io.BytesIO:
    """A member, read as far as the size that the archive claims for it: a bomb claims little and unfolds to much."""
    info = copy(archive.getinfo(member))
    claimed = info.file_size
    if claimed > MAX_BYTES:
        raise DataError(f"has more than the {MAX_BYTES:,} bytes that are read")
    info.file_size = MAX_BYTES + 1  # else zipfile would itself stop at the claim, and not say that there is more
    found = io.BytesIO()
    with archive.open(info) as file:
        while piece := file.read(PIECE):
            found.write(piece)
            if found.tell() > claimed:
                raise DataError(f"has more than the {claimed:,} bytes that the archive claims for it")
    found.seek(0)
    return found
