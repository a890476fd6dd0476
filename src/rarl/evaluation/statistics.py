"""Means with intervals that respect clusters: questions about one image, or one patient, are not independent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rarl.draws import Draws
from rarl.types import Estimate

RESAMPLES = 10_000
_CELLS = 200_000  # resampled clusters held at once: they fit a processor's cache


def estimate(values: Sequence[float | None], clusters: Sequence[str], *, seed: int) -> Estimate:
    """The mean of the values with a 95 % percentile interval of the bootstrap over clusters.

    Whole clusters are drawn with replacement, as many as there are; a resample's mean is its sum over its count
    (Davison & Hinkley 1997, sections 3.8 and 5.3). None is unscored: counted, in neither mean nor interval. `low` and
    `high` are None below two clusters, where nothing can be said.
    """
    if len(values) != len(clusters):
        raise ValueError(f"{len(values)} values, but {len(clusters)} clusters")
    sums: dict[str, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        if value is not None:
            total = sums.setdefault(cluster, [0.0, 0.0])
            total[0] += value
            total[1] += 1
    unscored = sum(value is None for value in values)
    if not sums:
        return Estimate(mean=None, low=None, high=None, n=0, clusters=0, unscored=unscored)
    table_C2 = np.array(list(sums.values()))
    mean, n = table_C2[:, 0].sum() / table_C2[:, 1].sum(), int(table_C2[:, 1].sum())
    low, high = _interval(table_C2, seed) if len(sums) > 1 else (None, None)
    return Estimate(float(mean), low, high, n, len(sums), unscored)


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
    ids = list(dict.fromkeys((*before, *after)))
    differences = [_difference(before.get(item), after.get(item)) for item in ids]
    return estimate(differences, [clusters[item] for item in ids], seed=seed)


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _interval(table_C2: npt.NDArray[np.float64], seed: int) -> tuple[float, float]:
    clusters = len(table_C2)
    sums_C, counts_C = (np.ascontiguousarray(column) for column in table_C2.T)
    generator = np.random.default_rng(Draws(seed).at("bootstrap").integer())
    means = []
    for start in range(0, RESAMPLES, step := max(1, _CELLS // clusters)):
        drawn = generator.integers(0, clusters, (min(step, RESAMPLES - start), clusters))
        means.append(sums_C.take(drawn).sum(1) / counts_C.take(drawn).sum(1))
    low, high = np.percentile(np.concatenate(means), (2.5, 97.5))
    return float(low), float(high)
