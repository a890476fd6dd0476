"""How the questions were asked, in words: without their own images, by a vote, in which shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rarl.config import Control
from rarl.evaluation import Summary
from rarl.evaluation.comparison import Line
from rarl.reporting.sources import Source
from rarl.reporting.words import words


def name_of(line: Line) -> str:
    """The run of a comparison's line, and what of its asking is its own: "ctl-blank (blank image)"."""
    return marked(line.run, line.asked)


def marked(label: str, asked: Mapping[str, Any]) -> str:
    """A label with those of the settings control, shape and samples that are given, in brackets."""
    told = [words("baseline", asked["control"])] if "control" in asked else []
    told += [words("shape", asked["shape"])] if "shape" in asked else []
    told += [_votes(asked["samples"])] if "samples" in asked else []
    return f"{label} ({', '.join(told)})" if told else label


def unusual(summary: Summary) -> dict[str, Any]:
    """Of an evaluation's settings the control, and the samples of a vote, where it has them."""
    control, samples = summary.settings.get("control", Control.NONE.value), summary.settings.get("samples", 1)
    found = {"control": control} if control != Control.NONE.value else {}
    return found | ({"samples": samples} if samples > 1 else {})


def how_asked(source: Source) -> list[str]:
    """Each way in which the questions of a run or evaluation were asked, as "to think first, greedily"."""
    return list(dict.fromkeys(filter(None, (_how(result.after.summary.settings) for result in source.results))))


def _how(settings: Mapping[str, Any]) -> str:
    told = [words("told", settings["shape"])] if settings.get("shape") else []
    control = settings.get("control", Control.NONE.value)
    told += [words("shown", control)] if control != Control.NONE.value else []
    samples = settings.get("samples")
    told += [f"by majority vote of {samples} samples" if samples > 1 else "greedily"] if samples else []
    return ", ".join(told)


def _votes(samples: int) -> str:
    return f"vote of {samples}" if samples > 1 else "greedy"
