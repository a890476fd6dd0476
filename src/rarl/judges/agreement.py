"""How well a judge's scores agree with people's: kappa, and what its errors go along with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rarl.draws import Draws
from rarl.judges.rubrics import BEST

RESAMPLES = 2_000
ENOUGH = 10  # rows; from fewer no interval is given
_Z = 1.959964  # 97.5 % of the normal distribution
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """A number from n rows with its 95 % interval; None where the rows don't tell."""

    value: float | None
    low: float | None
    high: float | None
    n: int


def confusion(human: Sequence[int], judge: Sequence[int]) -> npt.NDArray[np.int64]:
    """Counts [4, 4]: a row for each score that people gave, a column for each of the judge's."""
    counts = np.zeros((BEST + 1, BEST + 1), dtype=np.int64)
    np.add.at(counts, (np.asarray(human, dtype=np.int64), np.asarray(judge, dtype=np.int64)), 1)
    return counts


def quadratic_kappa(counts: npt.NDArray[np.int64], draws: Draws) -> Measured:
    """Cohen's kappa with quadratic weights (Cohen 1968) of a confusion table, and its bootstrap interval over rows.

    1 - sum(w observed) / sum(w expected), w_ij = (i - j)^2, expected from the margins. Not defined where both gave one
    and the same score throughout.
    """
    n = int(counts.sum())
    value = _kappas(counts[None].astype(np.float64))[0] if n else math.nan
    low = high = math.nan
    if n >= ENOUGH:
        generator = np.random.default_rng(draws.integer())
        tables = generator.multinomial(n, counts.ravel() / n, size=RESAMPLES).reshape(-1, *counts.shape)
        low, high = np.nanpercentile(_kappas(tables.astype(np.float64)), (2.5, 97.5)) if value == value else (low, high)
    return Measured(_known(value), _known(low), _known(high), n)


def _kappas(tables_R44: _Floats) -> _Floats:
    scores = np.arange(BEST + 1)
    weights = (scores[:, None] - scores[None]) ** 2
    observed = (tables_R44 * weights).sum((1, 2))
    expected = np.einsum("ri,rj,ij->r", tables_R44.sum(2), tables_R44.sum(1), weights) / tables_R44.sum((1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0, 1 - observed / expected, np.nan)


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> Measured:
    """Spearman's, with the interval of Bonett & Wright (2000): atanh(r) +- 1.96 sqrt((1 + r^2 / 2) / (n - 3))."""
    ranks = [_ranks(np.asarray(values, dtype=np.float64)) for values in (x, y)]
    n = len(x)
    if n < 2 or any(np.ptp(values) == 0 for values in ranks):
        return Measured(None, None, None, n)
    r = float(np.corrcoef(ranks[0], ranks[1]).clip(-1, 1)[0, 1])
    if n < ENOUGH or abs(r) > 1 - 1e-12:
        return Measured(r, None, None, n)
    half = _Z * math.sqrt((1 + r * r / 2) / (n - 3))
    return Measured(r, math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half), n)


def _ranks(values: _Floats) -> _Floats:
    """From 1; the mean of their ranks for equal values."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: _Floats = (last - (counts - 1) / 2)[place]
    return ranks


def mean(values: Sequence[float], draws: Draws) -> Measured:
    """The mean with its bootstrap interval over rows."""
    return difference((), values, draws)


def difference(first: Sequence[float], second: Sequence[float], draws: Draws) -> Measured:
    """mean(second) - mean(first), or mean(second) where `first` is empty; each is resampled on its own."""
    sides = [np.asarray(side, dtype=np.float64) for side in (second, first) if len(side)]
    n = len(first) + len(second)
    if not len(second):
        return Measured(None, None, None, n)
    signs = (1.0, -1.0)
    value = sum(sign * float(side.mean()) for sign, side in zip(signs, sides, strict=False))
    if min(map(len, sides)) * 2 < ENOUGH:
        return Measured(value, None, None, n)
    generator = np.random.default_rng(draws.integer())
    resampled = np.zeros(RESAMPLES)
    for sign, side in zip(signs, sides, strict=False):
        resampled += sign * side[generator.integers(0, len(side), (RESAMPLES, len(side)))].mean(1)
    low, high = np.percentile(resampled, (2.5, 97.5))
    return Measured(value, float(low), float(high), n)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
