"""What outlives runs in the user's cache folder: where it is, how much there is, and how it is removed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FEATURES, PART = ".features", ".part"  # of an image; what a kill left of one
VERDICTS = "judge.sqlite"


@dataclass(frozen=True, slots=True)
class Cache:
    """One kind of thing that is kept."""

    what: str
    path: Path
    files: tuple[Path, ...]

    @property
    def nbytes(self) -> int:
        return sum(size for _, size, _ in _known(self.files))

    def clear(self) -> int:
        """Remove the files, and the folders that are empty then. How many could not be removed."""
        left = 0
        for file in self.files:
            try:
                file.unlink(missing_ok=True)
            except OSError:
                left += 1
        for folder in {file.parent for file in self.files}:
            with suppress(OSError):
                folder.rmdir()
        return left


def cache_home() -> Path | None:
    """The user's cache folder for rarl; None for a user without a home."""
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not home.is_absolute():  # to be ignored, says its specification
        home = Path(os.path.expanduser("~")) / ".cache"
    return home / "rarl" if home.is_absolute() else None


def caches(folder: Path | None = None) -> list[Cache]:
    """What is kept in the user's cache folder, or where model.cache_dir names another."""
    home = folder or cache_home()
    if home is None:
        return []
    vision = home / "vision"
    found = [Cache("vision features", vision, tuple(_features(vision)))]
    verdicts = [path for path in sorted(home.glob(f"{VERDICTS}*")) if path.is_file()]  # SQLite's own beside it
    return [*found, Cache("verdicts of judges", home / VERDICTS, tuple(verdicts))]


def features_size(folder: Path) -> int:
    """Bytes of all features in a folder."""
    return sum(size for _, size, _ in _known(_features(folder)))


def trim(folder: Path, most: int) -> int:
    """Remove the features that were used longest ago, until the rest has at most so many bytes; how many it has."""
    known = sorted(_known(_features(folder)))
    total = sum(size for _, size, _ in known)
    for _, size, path in known:
        if total <= most:
            break
        with suppress(OSError):
            path.unlink(missing_ok=True)
            total -= size
    return total


def _features(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.glob("*/*")):
        if path.suffix in (FEATURES, PART) and path.is_file() and not path.is_symlink():
            yield path


def _known(files: Iterator[Path] | tuple[Path, ...]) -> Iterator[tuple[int, int, Path]]:
    """When each was used last, its bytes, and the file; others may remove it meanwhile."""
    for path in files:
        with suppress(OSError):
            found = path.stat()
            yield found.st_mtime_ns, found.st_size, path
