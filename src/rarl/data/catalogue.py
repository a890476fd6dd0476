"""What is known of the data sets that ship: licence, citation, where they are published, and how large they are."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

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
