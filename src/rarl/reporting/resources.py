"""What a run took: seconds by phase, tokens, and peak memory where the run wrote it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from rarl.reporting.sources import Source

PHASES = {  # of timings.jsonl, in words
    "wait": "Waiting for images",
    "encode": "Encoding images",
    "read": "Reading and encoding images",  # of runs of before the two were told apart
    "sample": "Sampling completions",
    "score": "Scoring them",
    "train": "Forward, backward and update",
    "evaluate": "Evaluating in between",
    "save": "Saving checkpoints",
}
WHOLE, PEAK = "whole", "peak_bytes"


@dataclass(frozen=True, slots=True)
class Phase:
    name: str
    seconds: float
    share: float
    median: float  # seconds of a step that has it


@dataclass(frozen=True, slots=True)
class Resources:
    """`facts` are further numbers in words, by what they are."""

    label: str
    phases: tuple[Phase, ...]
    facts: Mapping[str, str]


def resources(source: Source) -> Resources | None:
    """None where nothing was timed."""
    rows = source.timings
    if not rows:
        return None
    names = dict.fromkeys((*PHASES, *(name for row in rows for name in row if name not in ("step", WHOLE, PEAK))))
    seconds = {name: [row[name] for row in rows if row.get(name) is not None] for name in names}
    # What follows a step is no part of it, so the whole of the run is that of the steps and of what follows them.
    whole = sum(row.get(WHOLE) or 0.0 for row in rows) + sum(seconds["evaluate"]) + sum(seconds["save"])
    rest = whole - sum(map(sum, seconds.values()))
    phases = [
        Phase(PHASES.get(name, name), sum(each), _part(sum(each), whole), median(each))
        for name, each in seconds.items()
        if each
    ]
    if rest > 0.005 * whole:
        phases.append(Phase("Everything else", rest, _part(rest, whole), rest / len(rows)))
    return Resources(source.label, tuple(phases), _facts(source, whole, sum(seconds["sample"])))


def duration(seconds: float) -> str:
    """In the unit that suits: "0.35 s", "4 min 5 s", "3 h 20 min"."""
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _facts(source: Source, whole: float, sampling: float) -> dict[str, str]:
    found = source.rollouts
    facts = {"Steps": f"{source.steps:,}", "Time of training": duration(whole)}
    if found.completions:
        facts["Completions"] = f"{found.completions:,}, for {found.questions:,} different questions"
        facts["Tokens sampled"] = f"{found.tokens:,}, {found.tokens / found.completions:.0f} a completion"
        if sampling:
            facts["Speed of sampling"] = f"{found.tokens / sampling:,.0f} tokens a second"
    elif tokens := sum(row.get("completion/tokens") or 0 for row in source.metrics):
        facts["Tokens learned from"] = f"{tokens:,.0f}"
    facts["Peak memory"] = _peak(source.timings)
    return facts


def _peak(rows: Any) -> str:
    peaks = [row[PEAK] for row in rows if row.get(PEAK)]
    return f"{max(peaks) / 1e9:.2f} GB" if peaks else "not written down by this run"


def _part(seconds: float, whole: float) -> float:
    return seconds / whole if whole else 0.0
