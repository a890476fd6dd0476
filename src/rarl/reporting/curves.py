"""The learning curves of a report; which there are, and the sentence that explains each, is in curves.toml."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from rarl.reporting.charts import STYLES, Line, Series, curves, number, smoothed
from rarl.reporting.results import Result
from rarl.reporting.sources import Source

Metrics = Sequence[Mapping[str, Any]]  # the rows of metrics.jsonl


@dataclass(frozen=True, slots=True)
class Key:
    """A line of a figure in words: its style, label, and where it starts and ends."""

    style: int
    label: str
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its title, its key and its caption."""

    title: str
    svg: str
    caption: str
    keys: tuple[Key, ...]

    @property
    def spoken(self) -> str:
        """The figure for those who don't see it."""
        return "; ".join(f"{key.label}: from {key.first} to {key.last}" for key in self.keys)


def learning_curves(logged: Mapping[str, Metrics]) -> list[Figure]:
    """The figures for which anything was logged, by run: of one all lines of a panel, of several a figure a line."""
    panels = tomllib.loads((files("rarl.reporting") / "curves.toml").read_text(encoding="utf-8"))["panel"]
    return [figure for panel in panels for figure in _figures(panel, logged)]


def evaluation_curves(sources: Sequence[Source]) -> list[Figure]:
    """Accuracy and reasoning on held-out questions, where they were measured between before and after as well."""
    figures = []
    for metric, title in (("accuracy", "Held-out accuracy"), ("reasoning", "Held-out reasoning quality")):
        lines = [
            (place if len(sources) > 1 else number, _named(source, result, sources), _evaluated(source, result, metric))
            for place, source in enumerate(sources)
            for number, result in enumerate(source.results)
        ]
        series = [
            Series(label, [(step, mean) for step, mean, *_ in line], place % STYLES, _limits(line))
            for place, label, line in lines
            if len(line) > 2
        ]
        if series:
            caption = "Measured on the evaluation's questions at these steps, with 95 % intervals."
            figures.append(_figure(title, caption, series, percent=True, points=True))
    return figures


def _figures(panel: Mapping[str, Any], logged: Mapping[str, Metrics]) -> list[Figure]:
    found = {label: _lines(panel, metrics) for label, metrics in logged.items()}  # places are looks: all keep theirs
    labels = list(dict.fromkeys(label for lines in found.values() for label in lines))
    if not labels:
        return []
    percent, title, caption = panel.get("percent", False), panel["title"], panel["caption"]
    if sum(map(bool, found.values())) == 1:
        lines = next(filter(None, found.values()))
        series = [Series(label, line, place % STYLES) for place, (label, line) in enumerate(lines.items())]
        return [_figure(title, caption, series, percent=percent)]
    figures = []
    for label in labels:
        named = [(place, run, lines[label]) for place, (run, lines) in enumerate(found.items()) if label in lines]
        series = [Series(run, line, place % STYLES) for place, run, line in named]
        whole = title if len(labels) == 1 else f"{title}: {label}"
        figures.append(_figure(whole, caption, series, percent=percent))
    return figures


def _lines(panel: Mapping[str, Any], metrics: Metrics) -> dict[str, Line]:
    """The panel's lines of one run by label; none where it says so."""
    lines = {label: line for name, label in _labels(panel, metrics).items() if (line := _line(metrics, name))}
    empty = panel.get("unless_zero") and not any(value for line in lines.values() for _, value in line)
    return {} if empty or any(panel.get("unless") in row for row in metrics) else lines


def _figure(title: str, caption: str, series: Sequence[Series], *, percent: bool, points: bool = False) -> Figure:
    keys = []
    for each in series:
        line = each.line if points else smoothed(each.line)
        keys.append(Key(each.style, each.label, *(number(line[end][1], percent) for end in (0, -1))))
    return Figure(title, curves(series, percent=percent, points=points), caption, tuple(keys))


def _evaluated(source: Source, result: Result, metric: str) -> list[tuple[float, ...]]:
    """(step, mean) or (step, mean, low, high): before the first step, where it was measured, and at the end."""
    found: list[tuple[float, ...]] = []
    last = source.steps if result.step is None else result.step
    ends = {0: result.before, last: result.after}
    known = {step: evaluation.summary.metrics.get(metric) for step, evaluation in ends.items() if evaluation}
    means: dict[float, float] = dict.fromkeys(ends, 0.0) | dict(_line(source.metrics, f"eval/{result.split}/{metric}"))
    for step, mean in sorted(means.items()):
        estimate = known.get(int(step)) if step in known else source.between(result, int(step), metric)
        if estimate and estimate.mean is not None:
            limits = () if estimate.low is None or estimate.high is None else (estimate.low, estimate.high)
            found.append((step, estimate.mean, *limits))
        elif step not in ends:
            found.append((step, mean))
    return found


def _limits(line: Sequence[tuple[float, ...]]) -> list[tuple[float, float, float]]:
    return [(point[0], point[2], point[3]) for point in line if len(point) == 4]


def _labels(panel: Mapping[str, Any], metrics: Metrics) -> dict[str, str]:
    """Every metric of the panel with its label."""
    if "metrics" in panel:
        return dict(panel["metrics"])
    prefix, without = panel["prefix"], panel["without"]
    there = dict.fromkeys(name for row in metrics for name in row if name.startswith(prefix) and name not in without)
    return {name: label for name in there if "/" not in (label := name.removeprefix(prefix))}


def _line(metrics: Metrics, name: str) -> Line:
    values = [(row["step"], row.get(name)) for row in metrics]
    return [(step, value) for step, value in values if value is not None and math.isfinite(value)]


def _named(source: Source, result: Result, sources: Sequence[Source]) -> str:
    return f"{source.label}: {result.title}" if len(sources) > 1 else result.title
