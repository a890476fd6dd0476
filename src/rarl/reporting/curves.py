"""The learning curves of a report; which there are, and the sentence that explains each, is in curves.toml."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from rarl.reporting.charts import Line, curves
from rarl.reporting.results import Result

Metrics = Sequence[Mapping[str, Any]]  # the rows of metrics.jsonl


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its title and caption."""

    title: str
    svg: str
    caption: str


def learning_curves(metrics: Metrics) -> list[Figure]:
    """The figures for which anything was logged."""
    panels = tomllib.loads((files("rarl.reporting") / "curves.toml").read_text(encoding="utf-8"))["panel"]
    figures = []
    for panel in panels:
        lines = {label: line for name, label in _labels(panel, metrics).items() if (line := _line(metrics, name))}
        empty = panel.get("unless_zero") and not any(value for line in lines.values() for _, value in line)
        if lines and not empty and not any(panel.get("unless") in row for row in metrics):
            svg = curves(lines, percent=panel.get("percent", False))
            figures.append(Figure(panel["title"], svg, panel["caption"]))
    return figures


def evaluation_curves(metrics: Metrics, results: Sequence[Result]) -> list[Figure]:
    """Accuracy and reasoning on held-out questions, where they were measured between before and after as well."""
    figures = []
    for metric, title in (("accuracy", "Held-out accuracy"), ("reasoning", "Held-out reasoning quality")):
        lines = {result.split: _evaluated(metrics, result, metric) for result in results}
        if any(len(line) > 2 for line in lines.values()):
            svg = curves({split: line for split, line in lines.items() if line}, percent=True, smooth=False)
            figures.append(Figure(title, svg, "Measured on the evaluation's questions at these steps."))
    return figures


def _evaluated(metrics: Metrics, result: Result, metric: str) -> Line:
    """Before the first step, at the steps where it was measured, and after the last."""
    between = _line(metrics, f"eval/{result.split}/{metric}")
    last = metrics[-1]["step"] if metrics else 0
    ends = ((0, result.before), (last, result.after))
    first, after = (
        [(step, found.mean)]
        if evaluation and (found := evaluation.summary.metrics.get(metric)) and found.mean is not None
        else []
        for step, evaluation in ends
    )
    return [*first, *between, *after]


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
