"""Figures as SVG text for a page: drawn by matplotlib, coloured by the page's own style sheet.

Every colour is a place holder that becomes a CSS variable, so that one figure suits dark, light and print.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rarl.extras import needed_for
from rarl.types import Estimate

PURPOSE = "report.html (`rarl report` writes it at any time after the run)"
INK, MUTED, RULE = "#000001", "#000002", "#000003"
SERIES = tuple(f"#00001{number}" for number in range(1, 7))
_VARIABLES = {INK: "--ink", MUTED: "--muted", RULE: "--rule"} | {
    colour: f"--series-{number}" for number, colour in enumerate(SERIES, start=1)
}
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: small, selectable, in the page's font
    "svg.hashsalt": "rarl",  # the same figure is the same bytes
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": RULE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.labelcolor": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


Line = Sequence[tuple[float, float]]  # (step, value)


def curves(lines: Mapping[str, Line], *, percent: bool = False, smooth: bool = True) -> str:
    """One panel of learning curves over the steps: thin what was measured, thick its running mean."""
    with needed_for(PURPOSE):
        import matplotlib as mpl
        from matplotlib.figure import Figure
        from matplotlib.ticker import PercentFormatter

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.2, 2.5))
        legend_rows = math.ceil(len(lines) / 3) if len(lines) > 1 else 0
        axes = figure.add_axes((0.12, 0.17, 0.86, 0.75 - 0.08 * max(0, legend_rows - 0.5)))
        for colour, (label, line) in zip(_cycle(len(lines)), lines.items(), strict=True):
            steps, values = [step for step, _ in line], [value for _, value in line]
            if smooth and len(line) > 10:
                axes.plot(steps, values, color=colour, linewidth=0.7, alpha=0.35)
                values = running_mean(values, len(line) // 12 + 1)
            axes.plot(
                steps, values, color=colour, linewidth=1.8, label=label, marker="" if smooth else "o", markersize=4
            )
        axes.set_xlabel("step")
        axes.margins(x=0.02)
        if percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
            axes.set_ylim(bottom=0)
        if len(lines) > 1:
            figure.legend(loc="upper left", ncols=3)
        return _svg(figure)


def dots(rows: Sequence[tuple[str, Mapping[str, Estimate]]], labels: Sequence[str]) -> str:
    """A dot with its interval for each row and label ("before", "after"), on an axis of per cent."""
    with needed_for(PURPOSE):
        import matplotlib as mpl
        from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.4, 0.75 + 0.36 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        for number, label in enumerate(labels):
            colour = SERIES[0] if number == len(labels) - 1 else MUTED
            offset = 0.26 * (number - (len(labels) - 1) / 2)
            there = [(place, estimates[label]) for place, (_, estimates) in enumerate(rows) if label in estimates]
            for place, found in there:
                if found.low is not None and found.high is not None:
                    axes.plot([found.low, found.high], [place + offset] * 2, color=colour, linewidth=1.6, alpha=0.6)
            means = [(found.mean, place + offset) for place, found in there if found.mean is not None]
            if means:
                axes.plot(*zip(*means, strict=True), "o", color=colour, markersize=5.5, label=label)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows], color=INK)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(-0.02, 1.02)
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.grid(visible=False, axis="y")
        figure.legend(loc="outside upper left", ncols=len(labels))
        return _svg(figure)


def running_mean(values: Sequence[float], reach: int) -> list[float]:
    """Each value averaged with up to `reach` neighbours on either side; what is not finite is left out."""
    means = []
    for place in range(len(values)):
        near = [value for value in values[max(0, place - reach) : place + reach + 1] if math.isfinite(value)]
        means.append(sum(near) / len(near) if near else math.nan)
    return means


def _cycle(count: int) -> list[str]:
    return [SERIES[number % len(SERIES)] for number in range(count)]


def _svg(figure: Any) -> str:
    """The bare <svg> element, as wide as its place, in the page's colours and font."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)  # it would reach beyond this figure
    used = set(re.findall(r"#([\w.]+)[)\"]", text))
    text = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", text)
    text = re.sub(r"(font(?:-family)?: (?:[\d.]+px )?)[^;\"]*", r"\1inherit", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return text
