"""The rubrics, one file an axis: what a judge is told, word for word, under a version and a hash."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

BEST = 3  # scores are 0, 1, 2, 3; values are score / 3


@dataclass(frozen=True, slots=True)
class Rubric:
    """`shows` maps the fields of a JudgeQuery that the judge may see to what they are called, in order."""

    axis: str
    version: int
    sha256: str  # of the file
    judged: str  # the field that is judged: where it is empty, there is nothing to ask
    needs: tuple[str, ...]  # fields without which nothing can be judged
    system: str
    task: str
    anchors: tuple[str, ...]  # of the scores 0 to 3
    seen: Mapping[str, str]  # a sentence each for "with_images" and "without_images"
    shows: Mapping[str, str]

    @property
    def name(self) -> str:
        """What verdicts bear: axis, version and hash."""
        return f"{self.axis}-{self.version} sha256:{self.sha256}"


@cache
def rubrics() -> Mapping[str, Rubric]:
    """The shipped rubrics by axis."""
    folder = files(__package__).joinpath("rubrics")
    texts = sorted(file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(".toml"))
    return {rubric.axis: rubric for rubric in map(_rubric, texts)}


def _rubric(text: str) -> Rubric:
    table = tomllib.loads(text)
    return Rubric(
        axis=table["axis"],
        version=table["version"],
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        judged=table["judged"],
        needs=tuple(table["needs"]),
        system=table["system"].strip(),
        task=table["task"].strip(),
        anchors=tuple(table["anchors"]),
        seen=table["seen"],
        shows=table["shows"],
    )
