"""Log-probabilities of completion tokens without ever holding a [tokens x vocabulary] tensor."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from rarl.policy.half import product, product_back

CHUNK = 256  # rows of logits held at once: 256 x 151,936 in float32 are 156 MB


class TokenLogprobs(NamedTuple):
    """Of each token: its log-probability (differentiable) and the entropy it was drawn under (not)."""

    logprobs: Tensor
    entropy: Tensor


def masked_logits(hidden_TH: Tensor, head_VH: Tensor, suppressed_V: Tensor, temperature: float) -> Tensor:
    """Logits [T, V] in float32 as the sampler and the trainer both see them: suppressed tokens can't be."""
    logits_TV = product(hidden_TH, head_VH).float()
    return logits_TV.div_(temperature).masked_fill_(suppressed_V, float("-inf"))


class _ChunkedLogprobs(torch.autograd.Function):
    """The gradient of a log-softmax with respect to its input row, (onehot - p) @ head / temperature, is a row of the
    size of the hidden state: it is computed in the forward, while p is there, and nothing of size V is saved."""

    @staticmethod
    def forward(
        ctx: Any, hidden_TH: Tensor, head_VH: Tensor, targets_T: Tensor, suppressed_V: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        logprobs_T = hidden_TH.new_empty(len(targets_T), dtype=torch.float32)
        entropy_T = torch.empty_like(logprobs_T)
        needs_grad = ctx.needs_input_grad[0]
        direction_TH = torch.empty_like(hidden_TH) if needs_grad else None
        for start in range(0, len(targets_T), CHUNK):
            rows = slice(start, start + CHUNK)
            logits_tV = masked_logits(hidden_TH[rows], head_VH, suppressed_V, temperature)
            logsum_t = logits_tV.logsumexp(-1)
            logprobs_T[rows] = logits_tV.gather(1, targets_T[rows, None])[:, 0] - logsum_t
            probs_tV = (logits_tV - logsum_t[:, None]).exp_()
            # A suppressed token has p = 0 and logit -inf, and adds nothing.
            entropy_T[rows] = logsum_t - (probs_tV * logits_tV.masked_fill_(suppressed_V, 0.0)).sum(-1)
            if direction_TH is not None:
                mean_tH = product_back(probs_tV.to(head_VH.dtype), head_VH)
                direction_TH[rows] = (head_VH[targets_T[rows]] - mean_tH) / temperature
        if direction_TH is not None:
            ctx.save_for_backward(direction_TH)
        ctx.mark_non_differentiable(entropy_T)
        return logprobs_T, entropy_T

    @staticmethod
    def backward(ctx: Any, grad_T: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        (direction_TH,) = ctx.saved_tensors
        return direction_TH * grad_T[:, None].to(direction_TH.dtype), None, None, None, None


def token_logprobs(
    hidden_TH: Tensor, head_VH: Tensor, targets_T: Tensor, suppressed_V: Tensor, temperature: float
) -> TokenLogprobs:
    """Log-probability and entropy of each target under the frozen output head [V, H].

    `suppressed_V` marks tokens that the sampler may not draw; `temperature` is the sampler's.
    """
    scores = _ChunkedLogprobs.apply(hidden_TH, head_VH, targets_T, suppressed_V, temperature)  # type: ignore[no-untyped-call]
    return TokenLogprobs(*scores)
