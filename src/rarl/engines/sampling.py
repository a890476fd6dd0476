"""Drawing one token a row, each row from numbers of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rarl.types import Sampling


def uniforms(seeds: Sequence[int], count: int) -> Tensor:
    """Float32 [len(seeds), count] in [0, 1): row i depends on seeds[i] alone, whatever the batch around it."""
    rows = [np.random.Generator(np.random.Philox(seed)).random(count, dtype=np.float32) for seed in seeds]
    return torch.from_numpy(np.stack(rows))


def draw(logits_BV: Tensor, sampling: Sampling, uniform_B: Tensor) -> tuple[Tensor, Tensor]:
    """Token [B] and its log-prob [B] under logits that are already divided by the temperature.

    Inverse transform sampling. The log-prob is that of the full distribution: a top-p below 1 restricts what is
    drawn, not what is trained on. Temperature 0 takes the most likely token.
    """
    logprobs_BV = logits_BV.log_softmax(-1)
    if sampling.temperature == 0:
        tokens_B = logprobs_BV.argmax(-1)
    else:
        probs_BV, order_BV = logprobs_BV.exp(), None
        if sampling.top_p < 1:
            probs_BV, order_BV = probs_BV.sort(descending=True, stable=True)
            before_BV = probs_BV.cumsum(-1) - probs_BV
            probs_BV = probs_BV.masked_fill(before_BV >= sampling.top_p, 0.0)
        cumulative_BV = probs_BV.cumsum(-1)
        total_B = cumulative_BV[:, -1]
        # Strictly below the total, so that the place found is one where the sum grows: never a suppressed token.
        point_B = torch.minimum(uniform_B * total_B, total_B.nextafter(torch.zeros_like(total_B)))
        tokens_B = torch.searchsorted(cumulative_BV, point_B[:, None], right=True)[:, 0]
        if order_BV is not None:
            tokens_B = order_BV.gather(1, tokens_B[:, None])[:, 0]
    return tokens_B, logprobs_BV.gather(1, tokens_B[:, None])[:, 0]
