"""What training's rollouts tell, read in one pass that keeps little: distributions over time, totals, and a sample."""

from __future__ import annotations

import heapq
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from rarl.draws import Draws
from rarl.errors import RunFolderError
from rarl.files import read_rows
from rarl.reporting.charts import histogram

SLICES = 5  # of the steps, for distributions
BINS = 10
SAMPLED = 24  # questions whose groups are kept
TOTAL = "total"

Row = Mapping[str, Any]  # of rollouts.jsonl: one completion


@dataclass
class Slice:
    """How a part was distributed over the steps `first` to `last`."""

    first: int
    last: int
    values: array[float] = field(default_factory=lambda: array("d"))
    failed: int = 0  # could not be scored

    @property
    def mean(self) -> float | None:
        return fmean(self.values) if self.values else None

    def shares(self, low: float, high: float) -> list[float]:
        """The share of completions in each of BINS bins from low to high; the last one holds `high` too."""
        counts = [0] * BINS
        for value in self.values:
            counts[min(BINS - 1, int((value - low) / (high - low) * BINS + 1e-9))] += 1
        return [count / (len(self.values) or 1) for count in counts]


@dataclass
class Rollouts:
    """`parts`: by name, one slice after the other. `groups`: for a sample of questions the rows of their first group
    and, where they came up again, of their last."""

    parts: dict[str, list[Slice]] = field(default_factory=dict)
    groups: dict[str, list[list[Row]]] = field(default_factory=dict)
    questions: int = 0  # different ones that came up
    completions: int = 0
    tokens: int = 0


def read_rollouts(path: Path, steps: int, seed: int) -> Rollouts:
    """Of a run that took so many steps; empty without the file. Errors: RunFolderError for a row that is none."""
    found, sample, number = Rollouts(), _Sample(Draws(seed).at("report")), 0
    try:
        for number, row in enumerate(read_rows(path), start=1):  # noqa: B007, the error says which
            _count(found, row, steps)
            sample.add(row)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunFolderError(f"{path}, line {number}, is no completion ({error}); the file was damaged") from None
    found.questions, found.groups = len(sample.ranks), sample.groups
    return found


@dataclass(frozen=True, slots=True)
class Distribution:
    """How a part moved: for each slice of the steps its plot. The bins go from `low` to `high`."""

    part: str
    low: float
    high: float
    rows: list[tuple[Slice, str]]


def distributions(found: Rollouts) -> list[Distribution]:
    """One for each part and the total, the total first; bars are as high as the commonest bin allows."""
    result = []
    for name, slices in sorted(found.parts.items(), key=lambda each: each[0] != TOTAL):
        low, high = limits(name, slices)
        shares = [each.shares(low, high) for each in slices]
        highest = max((share for each in shares for share in each), default=0.0) or 1.0
        plots = [histogram(each, highest=highest) for each in shares]
        result.append(Distribution(name, low, high, list(zip(slices, plots, strict=True))))
    return result


def limits(name: str, slices: Sequence[Slice]) -> tuple[float, float]:
    """What the bins of a part span: 0 to 1, or of the total (and parts beyond) what there is, in halves."""
    values = [end for each in slices if each.values for end in (min(each.values), max(each.values))] or [0.0]
    low, high = math.floor(min(values) * 2) / 2, math.ceil(max(values) * 2) / 2
    return (low, max(high, low + 0.5)) if name == TOTAL else (min(low, 0.0), max(high, 1.0))


def _count(found: Rollouts, row: Row, steps: int) -> None:
    slices = max(1, min(SLICES, steps))
    place = min(slices - 1, (row["step"] - 1) * slices // max(steps, 1))
    for name, value in (*row["parts"].items(), (TOTAL, row["total"])):
        if name not in found.parts:
            edges = [-(-number * steps // slices) for number in range(slices + 1)]
            found.parts[name] = [Slice(start + 1, end) for start, end in pairwise(edges)]
        each = found.parts[name][place]
        if value is None or not math.isfinite(value):
            each.failed += 1
        else:
            each.values.append(value)
    found.completions += 1
    found.tokens += row["tokens"]


class _Sample:
    """The SAMPLED questions of lowest rank, ranks being drawn by id: which ones doesn't depend on when they come up."""

    def __init__(self, draws: Draws) -> None:
        self.draws = draws
        self.ranks: dict[str, int] = {}
        self.groups: dict[str, list[list[Row]]] = {}
        self._highest: list[tuple[int, str]] = []  # a heap of (-rank, id) of those in groups

    def add(self, row: Row) -> None:
        name = row["id"]
        if name not in self.ranks:
            self.ranks[name] = rank = self.draws.at(name).integer()
            if len(self.groups) < SAMPLED or rank < -self._highest[0][0]:
                heapq.heappush(self._highest, (-rank, name))
                self.groups[name] = []
                if len(self.groups) > SAMPLED:
                    del self.groups[heapq.heappop(self._highest)[1]]
        groups = self.groups.get(name)
        if groups is None:
            return
        if groups and groups[-1][0]["step"] == row["step"]:
            groups[-1].append(row)
        else:
            groups[1:] = [[row]] if groups else []  # the first stays, a later one replaces the last
            groups[:] = groups or [[row]]
