"""Means with intervals that respect clusters: questions about one image, or one patient, are not independent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, stdtrit

from rarl.draws import Draws
from rarl.types import Estimate

Array = npt.NDArray[np.float64]

RESAMPLES = 10_000
FEW = 30  # clusters below which intervals are not to be relied on: docs/evaluation.md has their coverage
_CELLS = 200_000  # resampled clusters held at once: they fit a processor's cache


def estimate(
    values: Sequence[float | None],
    clusters: Sequence[str],
    *,
    seed: int,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Estimate:
    """The mean of the values with a 95 % interval: of the studentised bootstrap over clusters, and for a share of fewer
    than FEW clusters of Korn & Graubard.

    None is unscored: counted, in neither mean nor interval. `low` and `high` are None below two clusters, where nothing
    can be said, and within the `bounds` of what a value can be.
    """
    sums_C, counts_C = cluster_table(values, clusters)
    unscored = sum(value is None for value in values)
    n, found = int(counts_C.sum()), len(sums_C)
    if not n:
        return Estimate(mean=None, low=None, high=None, n=0, clusters=0, unscored=unscored)
    mean = float(sums_C.sum() / n)
    low, high = _interval(sums_C, counts_C, mean, seed, bounds) if found > 1 else (None, None)
    return Estimate(mean, low, high, n, found, unscored)


def paired_difference(
    before: Mapping[str, float | None],
    after: Mapping[str, float | None],
    clusters: Mapping[str, str],
    *,
    seed: int,
) -> Estimate:
    """The mean of after - before over the items that both have scored, with its interval as in `estimate`.

    All three map item ids; `clusters` must know every id. An item that one side lacks or could not score is unscored.
    """
    differences = paired(before, after)
    return estimate(list(differences.values()), [clusters[item] for item in differences], seed=seed, bounds=(-1.0, 1.0))


def paired(before: Mapping[str, float | None], after: Mapping[str, float | None]) -> dict[str, float | None]:
    """after - before by item, None where one side lacks it or could not score it."""
    sides = ((item, before.get(item), after.get(item)) for item in dict.fromkeys((*before, *after)))
    return {item: None if old is None or new is None else new - old for item, old, new in sides}


def cluster_table(values: Sequence[float | None], clusters: Sequence[str]) -> tuple[Array, Array]:
    """The sum [C] and the number [C] of the scored values of each cluster that has any."""
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values, but {len(clusters)} clusters")
    table: dict[str, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        if value is not None:
            row = table.setdefault(cluster, [0.0, 0.0])
            row[0] += value
            row[1] += 1
    sums_C, counts_C = np.array(list(table.values()), dtype=np.float64).reshape(-1, 2).T
    return sums_C, counts_C


def standard_error(sums_C: Array, counts_C: Array) -> float:
    """The cluster-robust standard error of the mean (Liang & Zeger 1986, with the factor C / (C - 1)); C is above 1."""
    residuals_C = sums_C - counts_C * (sums_C.sum() / counts_C.sum())
    clusters = len(sums_C)
    return float(np.sqrt(clusters / (clusters - 1) * (residuals_C**2).sum()) / counts_C.sum())


def _interval(
    sums_C: Array, counts_C: Array, mean: float, seed: int, bounds: tuple[float, float]
) -> tuple[float, float]:
    """mean - t SE, t being the quantiles of (mean* - mean) / SE* (Davison & Hinkley 1997, sections 2.4 and 3.8)."""
    residuals_C = sums_C - counts_C * mean
    spread = float((residuals_C**2).mean())
    if spread < 1e-24:
        return _where_nothing_varies(counts_C, mean, bounds)
    if len(sums_C) < FEW and bounds == (0.0, 1.0):
        return _of_few(sums_C, counts_C, mean)
    t_R = np.concatenate(list(_pivots(residuals_C, counts_C, spread, seed)))
    below, above = np.percentile(t_R, (2.5, 97.5))
    error = standard_error(sums_C, counts_C)
    low, high = mean - max(above, 0.0) * error, mean - min(below, 0.0) * error
    return max(float(low), min(bounds[0], mean)), min(float(high), max(bounds[1], mean))


def _pivots(residuals_C: Array, counts_C: Array, spread: float, seed: int) -> Iterator[Array]:
    """(mean* - mean) / SE* of each resample: whole clusters, as many as there are, with replacement."""
    clusters = len(counts_C)
    generator = np.random.default_rng(Draws(seed).at("bootstrap").integer())
    table_C5 = np.stack((residuals_C, counts_C, residuals_C**2, residuals_C * counts_C, counts_C**2), axis=1)
    for start in range(0, RESAMPLES, step := max(1, _CELLS // clusters)):
        rows = min(step, RESAMPLES - start)
        drawn_RC = generator.integers(0, clusters, (rows, clusters)) + clusters * np.arange(rows)[:, None]
        times_RC = np.bincount(drawn_RC.ravel(), minlength=rows * clusters).reshape(rows, clusters)
        residual_R, count_R, squares_R, cross_R, square_counts_R = (times_RC @ table_C5).T
        shift_R = residual_R / count_R
        squares_R = squares_R - 2 * shift_R * cross_R + shift_R**2 * square_counts_R
        # One average cluster is added to what varies: a resample of equal clusters would have no error at all, and
        # with few mistakes there are many of these.
        variance_R = (squares_R + spread) * clusters / (clusters + 1) * clusters / (clusters - 1)
        yield shift_R * count_R / np.sqrt(variance_R)


def _of_few(sums_C: Array, counts_C: Array, mean: float) -> tuple[float, float]:
    """The exact limits of Clopper & Pearson for as many independent answers as these are worth, at most all (Korn &
    Graubard 1998): the bootstrap has too little to draw from."""
    n, clusters = counts_C.sum(), len(counts_C)
    worth = min(n, mean * (1 - mean) * n / (n - 1) / standard_error(sums_C, counts_C) ** 2)
    worth *= (stdtrit(n - 1, 0.975) / stdtrit(clusters - 1, 0.975)) ** 2
    right = mean * worth
    return float(betaincinv(right, worth - right + 1, 0.025)), float(betaincinv(right + 1, worth - right, 0.975))


def _where_nothing_varies(counts_C: Array, mean: float, bounds: tuple[float, float]) -> tuple[float, float]:
    """All clusters have the same mean: no more than a share q of others can be out there, each at either bound.

    q is the exact limit of Clopper & Pearson (1934) for none in K clusters, K being what unequal ones are worth (Kish).
    """
    worth = counts_C.sum() ** 2 / (counts_C**2).sum()
    q = 1 - 0.025 ** (1 / worth)
    return float(mean - q * max(mean - bounds[0], 0.0)), float(mean + q * max(bounds[1] - mean, 0.0))
