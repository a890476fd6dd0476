"""What people read for the names that records, settings and summaries have; which, is in words.toml."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files


def words(of: str, name: str) -> str:
    """A name in words. `of` is a table of words.toml; a name that it lacks gets spaces for its underscores."""
    return _tables()[of].get(name, name.replace("_", " "))


def named(group: str, value: str) -> str:
    """A value of kind, task or modality: kinds are ours, the others are the data's own words and stay as they are."""
    return words(group, value) if group in _tables() else value


@cache
def _tables() -> dict[str, dict[str, str]]:
    return tomllib.loads((files("rarl.reporting") / "words.toml").read_text(encoding="utf-8"))
