"""How much better than its group a completion did.

Source: DeepSeekMath (arXiv 2402.03300, section 4.1.2); without the division by std: Dr. GRPO (arXiv 2503.20783); each
part by itself: GDPO (arXiv 2601.05242).
"""

import math
import statistics
from collections.abc import Mapping, Sequence

EPSILON = 1e-4  # added to the std, as in TRL, so that a tiny spread is not blown up without bound
DUST = 1e-9  # totals closer than this are equal: the difference is rounding, not reward


def group_advantages(totals: Sequence[float | None], *, divide_by_std: bool = True) -> tuple[float, ...]:
    """(r_i - mean) / (std + 1e-4) within one group, one value a completion.

    `totals` are finite, or None for a completion that could not be scored: it is outside mean and std and gets 0.
    The std is the sample's (n - 1). A group of equal totals, or with fewer than two scored, gets exact zeros.
    """
    scored = [total for total in totals if total is not None]
    if len(scored) < 2 or max(scored) - min(scored) <= DUST:
        return (0.0,) * len(totals)
    mean = math.fsum(scored) / len(scored)
    scale = statistics.stdev(scored) + EPSILON if divide_by_std else 1.0
    return tuple(0.0 if total is None else (total - mean) / scale for total in totals)


def part_advantages(
    groups: Sequence[Sequence[Mapping[str, float] | None]], weights: Mapping[str, float], *, divide_by_std: bool = True
) -> list[tuple[float, ...]]:
    """GDPO: each part is normalised within its group, then added by weight, then normalised over the whole batch.

    A completion's entry holds its gated parts by name, or is None where it could not be scored: it gets 0, and is
    outside every mean and std. A part that varies little thus counts as much as one that varies widely. As in TRL's
    `normalize_then_sum`, the last std is that of all completions of the batch.
    """
    sums: list[list[float | None]] = []
    for group in groups:
        names = dict.fromkeys(name for parts in group if parts is not None for name in parts)
        columns = [
            (weights[name], group_advantages([None if parts is None else parts.get(name) for parts in group]))
            for name in names
        ]
        sums.append(
            [
                None if parts is None else math.fsum(weight * column[i] for weight, column in columns)
                for i, parts in enumerate(group)
            ]
        )
    flat = iter(group_advantages([total for group in sums for total in group], divide_by_std=divide_by_std))
    return [tuple(next(flat) for _ in group) for group in sums]
