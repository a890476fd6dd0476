"""Files of a run: whole or not there, and an error of one line where they can't be written or were damaged."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rarl.errors import RunFolderError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
        # What a kill left half written has a name with a dot.
        taken = path.exists() and (not path.is_dir() or any(each.name[0] != "." for each in path.iterdir()))
    except OSError as error:
        raise not_written(path, error) from None
    if taken:
        raise RunFolderError(f"{path} exists already and is not overwritten; choose another --out, or remove it")
    return path


def new_folder(path: str | Path) -> Path:
    """Made for its owner alone, with those above it; one that is there and empty keeps its mode.

    Errors: RunFolderError if something is there already, NotWrittenError.
    """
    path = require_free(path)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(path, error) from None
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
    with written_aside(path) as file:
        file.write(text)


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def append_text(path: Path, text: str, *, lasting: bool = False) -> None:
    """At the end of a file, or of a new one; `lasting`: it is on disk before this returns."""
    try:
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise not_written(path, error) from None


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL file, up to one that a kill cut short; none if there is no file.

    Errors: RunFolderError for a line that is no JSON object.
    """
    if not path.exists():
        return
    with _opened(path) as file:
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


def read_numbers(path: Path, names: Iterable[str]) -> dict[str, Any]:
    """The object in a JSON file, in which each of these is a number. Errors: RunFolderError."""
    values = read_json(path)
    require_numbers(path, values, names)
    return values


def require_numbers(path: Path, values: Mapping[str, Any], names: Iterable[str]) -> None:
    """RunFolderError unless each of these is a number in what was read from `path`."""
    for name in names:
        if type(values.get(name)) not in (int, float):
            raise RunFolderError(f"{path} was damaged: {name} is no number")


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror}") from None


class NotWrittenError(RunFolderError):
    """A file or folder that could not be written; what was there before is as it was."""


def not_written(path: Path, error: BaseException) -> NotWrittenError:
    if not isinstance(error, OSError):
        return NotWrittenError(f"cannot write {path}: {str(error).partition(chr(10))[0]}; make room")
    remedy = "make room" if error.errno in _FULL else "choose another --out"
    return NotWrittenError(f"cannot write {path}: {error.strerror}; {remedy}")


@contextmanager
def folder_aside(path: Path) -> Iterator[Path]:
    """A folder beside `path` to write into; it takes the place of `path` when the block ends without an error."""
    aside, old = (path.with_name(f".{path.name}.{suffix}") for suffix in ("part", "old"))
    for left_over in (aside, old):
        shutil.rmtree(left_over, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
    except OSError as error:
        raise not_written(path, error) from None
    try:
        yield aside
        for file in aside.rglob("*"):
            if file.is_file():
                _sync(file)
        if path.exists():
            path.rename(old)
        aside.rename(path)
        _sync(path.parent)
    except BaseException as error:
        shutil.rmtree(aside, ignore_errors=True)
        if old.exists() and not path.exists():
            old.rename(path)
        if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":  # no OSError
            raise not_written(path, error) from None
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def written_aside(path: Path) -> Iterator[Any]:
    if path.is_dir():
        raise RunFolderError(f"{path} is a folder; give a file")
    aside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        raise not_written(path, error) from None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_name(name: str) -> str:
    """A name as a file or folder may bear it anywhere."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "unnamed"
