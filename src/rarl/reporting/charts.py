"""Figures as SVG text. They hold numbers only: every word stands in the page around them, where it is escaped.

Colours, dashes and fonts are the page's own (report.css): class s0 to s7 is the series, so that one figure suits dark,
light and print, and two lines differ without colour too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from rarl.types import Estimate

STYLES = 8  # series that report.css tells apart; more of them start again
BASE = -1  # the style of what is compared with: the model before training
Line = Sequence[tuple[float, float]]  # (step, value)

_WIDTH, _HEIGHT = 360, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 350, 10, 168  # of the plot's area
_POINTS = 240  # of a line; longer ones are averaged
_SMOOTHED = 10  # points up to which a line is drawn as it is
_CELL = 180  # width of a plot in a table's cell
_SHAPES = (  # around a point: disc, square, diamond, triangle, upside down, bar, lying bar, plus
    "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "m-3.6-3.6h7.2v7.2h-7.2z",
    "m0-5l5 5l-5 5l-5-5z",
    "m0-4.6l4.6 8h-9.2z",
    "m0 4.6l4.6-8h-9.2z",
    "m-2-5h4v10h-4z",
    "m-5-2h10v4h-10z",
    "m-1.6-5h3.2v3.4h3.4v3.2h-3.4v3.4h-3.2v-3.4h-3.4v-3.2h3.4z",
)


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a figure; `limits` are (step, low, high) of intervals at its points, `style` its look."""

    label: str
    line: Line
    style: int = 0
    limits: Sequence[tuple[float, float, float]] = ()


@dataclass(frozen=True, slots=True)
class Axis:
    """From values to places, with round ticks."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> str:
        share = (value - self.low) / (self.high - self.low)
        return f"{self.start + share * (self.end - self.start):.1f}".removesuffix(".0")

    def ticks(self, about: int = 4) -> list[float]:
        """Multiples of 1, 2 or 5 times a power of ten."""
        rough = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


def curves(series: Sequence[Series], *, percent: bool = False, points: bool = False) -> str:
    """Lines over the steps: running means, of a single line with what was measured, thin; or single `points`."""
    measured = [replace(each, line=thin(each.line)) for each in series]
    shown = [replace(each, line=each.line if points else smoothed(each.line)) for each in measured]
    alone = len(series) == 1 and shown != measured
    x, y = _axes(measured if alone else shown)
    parts = [*_grid(x, y, percent)]
    if alone:
        parts.append(_path(measured[0].line, x, y, f"raw {_class(measured[0].style)}"))
    for each in shown:
        parts.append(_path(each.line, x, y, f"line {_class(each.style)}"))
        parts += [_whisker(x.at(step), y.at(low), y.at(high), each.style) for step, low, high in each.limits]
        if points or len(each.line) == 1:
            parts += [_mark(x.at(step), y.at(value), each.style) for step, value in each.line]
    return f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>'


def intervals(found: Sequence[tuple[int, Estimate | None]], low: float, high: float) -> str:
    """A mark with its interval for each (style, estimate), below each other, from `low` to `high`: for a table."""
    x = Axis(low, high, 11, _CELL - 11)
    height = 12 * len(found) + 8
    lines = (f'<path class="{"zero" if tick == 0 else "grid"}" d="M{x.at(tick)} 0V{height}"/>' for tick in x.ticks())
    parts = list(lines)
    for place, (style, each) in enumerate(found):
        if each is None or each.mean is None:
            continue
        y = 10 + 12 * place
        if each.low is not None and each.high is not None:
            ends = (x.at(min(max(limit, low), high)) for limit in (each.low, each.high))
            parts.append(f'<path class="whisker {_class(style)}" d="M{next(ends)} {y}H{next(ends)}"/>')
        parts.append(_mark(x.at(each.mean), y, style))
    return f'<svg class="cell" viewBox="0 0 {_CELL} {height}" aria-hidden="true">{"".join(parts)}</svg>'


def scale(low: float, high: float, *, signed: bool = False) -> str:
    """The numbers above a column of `intervals`, in per cent."""
    x = Axis(low, high, 11, _CELL - 11)
    texts = (
        f'<text x="{x.at(tick)}" y="10">{100 * tick:{"+" if signed and tick else ""}.0f}</text>' for tick in x.ticks()
    )
    return f'<svg class="cell" viewBox="0 0 {_CELL} 13" aria-hidden="true">{"".join(texts)}</svg>'


def histogram(shares: Sequence[float], *, highest: float) -> str:
    """Bars of equal width for the shares of a distribution, as high as their share of `highest`."""
    width = _CELL / len(shares)
    bars = (
        f'<rect x="{place * width + 1:.1f}" y="{26 - 24 * share / highest:.1f}" width="{width - 2:.1f}" '
        f'height="{24 * share / highest:.1f}"/>'
        for place, share in enumerate(shares)
        if share > 0
    )
    floor = f'<path class="grid" d="M0 26.5H{_CELL}"/>'
    return f'<svg class="cell histogram" viewBox="0 0 {_CELL} 27" aria-hidden="true">{floor}{"".join(bars)}</svg>'


def thin(line: Line) -> list[tuple[float, float]]:
    """At most _POINTS points: each the mean of as many neighbours."""
    if len(line) <= _POINTS:
        return list(line)
    edges = [place * len(line) // _POINTS for place in range(_POINTS + 1)]
    return [_mean_point(line[start:end]) for start, end in pairwise(edges)]


def smoothed(line: Line) -> list[tuple[float, float]]:
    """The running mean of a line over a sixth of it; a line of few points is left as it is."""
    if len(line) <= _SMOOTHED:
        return list(line)
    means = running_mean([value for _, value in line], len(line) // 12 + 1)
    return [(step, mean) for (step, _), mean in zip(line, means, strict=True)]


def running_mean(values: Sequence[float], reach: int) -> list[float]:
    """Each value averaged with up to `reach` neighbours on either side."""
    near = (values[max(0, place - reach) : place + reach + 1] for place in range(len(values)))
    return [sum(window) / len(window) for window in near]


def domain(found: Iterable[Estimate | None], *, start: tuple[float, float]) -> tuple[float, float]:
    """From the least to the greatest of all limits, rounded to ten points, and at least as far as `start`."""
    there = [each for each in found if each and each.mean is not None]
    limits = [limit for each in there for limit in (each.mean, each.low, each.high) if limit is not None]
    low, high = min((start[0], *limits)), max((start[1], *limits))
    return math.floor(low * 10 + 1e-9) / 10, math.ceil(high * 10 - 1e-9) / 10


def _axes(series: Sequence[Series]) -> tuple[Axis, Axis]:
    steps = [step for each in series for step, _ in each.line]
    values = [value for each in series for _, value in each.line]
    values += [limit for each in series for _, low, high in each.limits for limit in (low, high)]
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    first, last = min(steps), max(steps)
    bottom = max(low - margin, 0.0) if low >= 0 else low - margin
    x = Axis(first, last if last > first else first + 1, _LEFT, _RIGHT)
    return x, Axis(bottom, high + margin, _BOTTOM, _TOP)


def _grid(x: Axis, y: Axis, percent: bool) -> list[str]:
    parts = [f'<path class="grid" d="M{_LEFT} {y.at(tick)}H{_RIGHT}"/>' for tick in y.ticks()]
    texts = [(tick, number(tick, percent)) for tick in y.ticks()]
    parts += [f'<text class="y" x="{_LEFT - 7}" y="{y.at(tick)}" dy=".35em">{text}</text>' for tick, text in texts]
    whole = [tick for tick in x.ticks(5) if tick == int(tick)]
    parts += [f'<text x="{x.at(tick)}" y="{_BOTTOM + 15}">{tick:,.0f}</text>' for tick in whole]
    return [*parts, f'<text x="{(_LEFT + _RIGHT) / 2:.0f}" y="{_HEIGHT - 2}">step</text>']


def number(value: float, percent: bool = False) -> str:
    """A value as an axis or a key writes it: 12 %, 0.35, 1,200, 2e-05."""
    if percent:
        return f"{100 * value:z.3g} %"
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.0e}"


def _path(line: Line, x: Axis, y: Axis, kind: str) -> str:
    places = "L".join(f"{x.at(step)} {y.at(value)}" for step, value in line)
    return f'<path class="{kind}" d="M{places}"/>'


def _whisker(x: str, low: str, high: str, style: int) -> str:
    return f'<path class="whisker {_class(style)}" d="M{x} {low}V{high}"/>'


def _mark(x: str, y: str | float, style: int) -> str:
    """Each series has a shape of its own; that of BASE is a hollow dot."""
    shape = _SHAPES[max(style, 0) % len(_SHAPES)]
    return f'<path class="mark {_class(style)}" d="M{x} {y}{shape}"/>'


def _class(style: int) -> str:
    return "base" if style == BASE else f"s{style % STYLES}"


def _mean_point(line: Line) -> tuple[float, float]:
    return line[len(line) // 2][0], sum(value for _, value in line) / len(line)


def swatch(style: int, *, dot: bool = False) -> str:
    """What a series looks like, for a key."""
    inner = _mark("12", 6, style) if dot else f'<path class="line {_class(style)}" d="M0 6H24"/>'
    return f'<svg class="swatch" viewBox="0 0 24 12" aria-hidden="true">{inner}</svg>'
