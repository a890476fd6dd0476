"""Whether two runs differ on the same items: a permutation test by cluster, and what it could have shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rarl.draws import Draws
from rarl.evaluation.statistics import Array, cluster_table, estimate, paired, standard_error
from rarl.types import Estimate

FLIPS = 20_000  # drawn where not all can be tried
EXACT = 14  # clusters up to which all 2^C are
POWER = 1.959964 + 0.841621  # normal quantiles of 97.5 % and 80 %
_CELLS = 2_000_000  # signs held at once


@dataclass(frozen=True, slots=True)
class Paired:
    """after - before on the same items; `p` is two-sided, `smallest` the difference that could be shown."""

    difference: Estimate
    p: float | None
    smallest: float | None


def compare_paired(
    before: Mapping[str, float | None],
    after: Mapping[str, float | None],
    clusters: Mapping[str, str],
    *,
    seed: int,
) -> Paired:
    """The paired difference of two runs; all three map item ids, and an item that one side lacks is unscored.

    `smallest` is 2.8 cluster-robust standard errors: the true difference that a test at 5 % finds four times in five.
    It is None, as `p` is, below two clusters, and where no item differs, which says nothing of how items do.
    """
    differences = paired(before, after)
    names = [clusters[item] for item in differences]
    found = estimate(list(differences.values()), names, seed=seed, bounds=(-1.0, 1.0))
    if found.clusters < 2:
        return Paired(found, None, None)
    sums_C, counts_C = cluster_table(list(differences.values()), names)
    error = standard_error(sums_C, counts_C)
    return Paired(found, sign_flip_p(sums_C, seed=seed), POWER * error if error else None)


def sign_flip_p(sums_C: Array, *, seed: int) -> float:
    """How often the sum is at least as far from 0 when each cluster's sign is tossed.

    Exchanging the two runs within a cluster flips the sign of its summed differences, and means nothing if they are
    equally good (Fisher 1935; Good 2005, section 3.6). Exact up to 14 clusters that differ; beyond, the share among
    20,000 seeded tosses and the one observed, which is a valid p-value (Phipson & Smyth 2010).
    """
    sums_C = sums_C[sums_C != 0]
    clusters, tail = len(sums_C), abs(sums_C.sum()) * (1 - 1e-12)  # what is equal but for rounding counts
    if clusters <= EXACT:
        signs_RC = 1.0 - 2.0 * (np.arange(2**clusters)[:, None] >> np.arange(clusters) & 1)
        return float(np.mean(np.abs(signs_RC @ sums_C) >= tail))
    generator, extreme = np.random.default_rng(Draws(seed).at("permutation").integer()), 1
    for start in range(0, FLIPS, step := max(1, _CELLS // clusters)):
        rows = min(step, FLIPS - start)
        signs_RC = 1.0 - 2.0 * generator.integers(0, 2, (rows, clusters), dtype=np.int8)
        extreme += int((np.abs(signs_RC @ sums_C) >= tail).sum())
    return extreme / (FLIPS + 1)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """The p-values corrected for how many there are (Holm 1979); None stays None and counts for nothing."""
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    least = 0.0
    for rank, (p, place) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * p))
        corrected[place] = least
    return corrected
