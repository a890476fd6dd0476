"""From per-item results under several seeds to an effect: its size, its interval, and what chance would explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import t as student

from rarl.errors import RarlError
from rarl.evaluation.significance import sign_flip_p
from rarl.evaluation.statistics import cluster_table, standard_error

Items = Mapping[str, float | None]  # item -> value, None where it could not be scored
Measure = Literal["points", "relative"]

LEVEL, POWER, CHANCE = 0.975, 0.8, 0.05
DIGITS = 12  # of a value; what is beyond comes from rounding and must not look like an effect


class NoEffectError(RarlError):
    """Nothing can be said of the difference of two arms; the message says why."""


class Variance(NamedTuple):
    """Of a mean, with its degrees of freedom."""

    value: float
    freedom: float


@dataclass(frozen=True, slots=True)
class Side:
    """What one arm scored under one seed: items and the clusters that they are in."""

    items: Items
    clusters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Effect:
    """The mean over seeds of what an arm has over another, with a 95 % interval over seeds and items.

    `p` is two-sided, by flipping signs of seeds; `smallest` is the true effect that this design finds four times in
    five. All are None with fewer than two seeds. `by_seed` holds one value a seed, in the order of the seeds.
    """

    mean: float
    low: float | None
    high: float | None
    p: float | None
    smallest: float | None
    by_seed: tuple[float, ...]
    n: int  # items that both sides have scored, over all seeds
    unscored: int

    @property
    def verdict(self) -> str:
        if self.low is None or self.high is None or self.p is None:
            return "undecided"
        # Seeds that agree to the last digit have no spread to make an interval from: flipped signs must do alone.
        if self.low == self.high and self.p > CHANCE:
            return "undecided"
        return "supported" if self.low > 0 else "contradicted" if self.high < 0 else "undecided"


def effect(arm: Sequence[Side], against: Sequence[Side], measure: Measure) -> Effect:
    """The effect on the items that both have scored; the sides go by seed and both are of the same seeds.

    points: the difference of means. relative: that difference as a share of the mean of `against`. Items that are
    drawn anew for each seed are part of what differs between seeds. Where seeds share items, the variance of those is
    added: cluster-robust, of the differences averaged over seeds, its degrees of freedom joined as Satterthwaite did.
    Errors: NoEffectError.
    """
    found = [_of_seed(one, other) for one, other in zip(arm, against, strict=True)]
    scales = [base if measure == "relative" else 1.0 for _, base, _, _ in found]
    if not all(scales):
        raise NoEffectError("the comparator scored 0 under a seed: nothing is relative to that")
    by_seed = [difference / scale for (difference, *_), scale in zip(found, scales, strict=True)]
    items = _shared_items([differences for _, _, differences, _ in found], arm, fmean(scales))
    scored = sum(len(differences) for _, _, differences, _ in found)
    return over_seeds(by_seed, items=items, n=scored, unscored=sum(left for *_, left in found))


def over_seeds(by_seed: Sequence[float], *, items: Variance | None = None, n: int = 0, unscored: int = 0) -> Effect:
    """The effect from one value a seed: Student's interval, the sign-flip p. `items` are those that seeds share."""
    by_seed = tuple(round(value, DIGITS) for value in by_seed)
    seeds, mean = len(by_seed), fmean(by_seed)
    if seeds < 2:
        return Effect(mean, None, None, None, None, by_seed, n, unscored)
    parts = [Variance(stdev(by_seed) ** 2 / seeds, seeds - 1), *([items] if items else [])]
    variance = sum(part.value for part in parts)
    # Satterthwaite 1946: the degrees of freedom of a sum of variances.
    freedom = variance**2 / sum(part.value**2 / part.freedom for part in parts) if variance else seeds - 1
    reach, power = (float(student.ppf(level, freedom)) for level in (LEVEL, POWER))
    low, high = mean - reach * variance**0.5, mean + reach * variance**0.5
    smallest = (reach + power) * variance**0.5 if variance else None
    return Effect(mean, low, high, sign_flip_p(np.array(by_seed), seed=0), smallest, by_seed, n, unscored)


def _of_seed(one: Side, other: Side) -> tuple[float, float, dict[str, float], int]:
    """The mean difference, the other's mean, the differences by item, and how many items were left out."""
    pairs = {item: (one.items.get(item), other.items.get(item)) for item in dict.fromkeys((*one.items, *other.items))}
    scored = {item: (a, b) for item, (a, b) in pairs.items() if a is not None and b is not None}
    if not scored:
        raise NoEffectError("no question was scored for both arms")
    differences = {item: a - b for item, (a, b) in scored.items()}
    return fmean(differences.values()), fmean(b for _, b in scored.values()), differences, len(pairs) - len(scored)


def _shared_items(differences: Sequence[Mapping[str, float]], sides: Sequence[Side], scale: float) -> Variance | None:
    """What items add that all seeds share; None where each seed has its own."""
    common = set(differences[0]).intersection(*differences[1:]) if len(differences) > 1 else set()
    items = sorted(common)
    means = [fmean(each[item] for each in differences) for item in items]
    sums_C, counts_C = cluster_table(means, [sides[0].clusters[item] for item in items])
    if len(sums_C) < 2:
        return None
    return Variance((standard_error(sums_C, counts_C) / scale) ** 2, len(sums_C) - 1)
