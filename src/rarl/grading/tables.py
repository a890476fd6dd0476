"""The TOML files that grading reads, each once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "lexicon"

Words = tuple[str, ...]


@cache
def read_table(name: str) -> Mapping[str, Any]:
    """One file of the lexicon, by name without ending."""
    return tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def vocabulary() -> tuple[Mapping[str, Any], ...]:
    """The rows of all vocabulary files, in the files' alphabetic order."""
    files = sorted((_FOLDER / "vocabulary").glob("*.toml"))
    return tuple(row for file in files for row in read_table(f"vocabulary/{file.stem}")["group"])


def language() -> Mapping[str, Any]:
    """How answers are worded: language.toml."""
    return read_table("language")


@cache
def word_set(table: str, key: str) -> frozenset[str]:
    """A list of single words of language.toml."""
    return frozenset(language()[table][key])


@cache
def fillers() -> frozenset[str]:
    """Words that an answer may have or lack without being another answer."""
    return frozenset(language()["fillers"])
