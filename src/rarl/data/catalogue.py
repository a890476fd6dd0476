"""What is known of the data sets that ship: licence, citation, where they are published, and how large they are."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

from rarl.data.splits import SHARES
from rarl.registry import datasets


def catalogue() -> dict[str, dict[str, Any]]:
    """By name, for every data set that can be asked for; nothing of those that somebody else registered.

    Keys: about, licence, home, cite, and questions: their number by split, of all splits; None where it is not known.
    """
    known = tomllib.loads(files("rarl.data").joinpath("sets.toml").read_text(encoding="utf-8"))
    for described in known.values():
        sizes = described["questions"].items()
        described["questions"] = {split: None if size == "not known" else size for split, size in sizes}
    return {name: known.get(name, {}) for name in datasets.names()}


def splits_to_check(name: str) -> list[str]:
    """Those of a data set that are meant to be used together, train first; of somebody's own, train alone."""
    return [split for split in catalogue().get(name, {}).get("questions", {}) if split not in SHARES] or ["train"]
