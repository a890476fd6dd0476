"""How much better than its group a completion did.

Source: DeepSeekMath (arXiv 2402.03300, section 4.1.2); without the division by std: Dr. GRPO (arXiv 2503.20783).
"""

import math
import statistics
from collections.abc import Sequence

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
