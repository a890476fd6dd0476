"""The policy-gradient objectives: what differs between them is data (`OBJECTIVES`), what they share is `policy_loss`.

All minimise  sum_i sum_t w_it (surrogate_it + beta KL_it) / N  over the completions i and tokens t of an optimizer
batch, where w_it is 1 / length_i or 1. What each takes:

| objective | ratio rho          | surrogate          | w_it         | N                       | advantage      |
|-----------|--------------------|--------------------|--------------|-------------------------|----------------|
| grpo      | of the token       | clipped            | 1 / length_i | completions             | divided by std |
| dapo      | of the token       | clipped            | 1            | tokens                  | divided by std |
| dr_grpo   | of the token       | clipped            | 1            | completions x max length | not divided   |
| gspo      | of the completion  | clipped            | 1 / length_i | completions             | divided by std |
| cispo     | of the token       | weight is clipped  | 1            | tokens                  | divided by std |

Sources: GRPO: DeepSeekMath, arXiv 2402.03300, eq. 3 and 4. DAPO (clip-higher, token mean): arXiv 2503.14476, eq. 8.
Dr. GRPO: arXiv 2503.20783, section 3.2. GSPO: arXiv 2507.18071, eq. 5 to 7. CISPO: MiniMax-M1, arXiv 2506.13585,
eq. 4 and 5. KL estimator k3: Schulman, "Approximating KL Divergence" (2020), http://joschu.net/blog/kl-approx.html.

Differences from TRL 1.16 (`GRPOTrainer._compute_loss`), each held by a test:
- TRL multiplies the KL term by the ratio (DeepSeek-V3.2) unless `use_bias_correction_kl=False`; here, as in
  DeepSeekMath, it is not multiplied.
- TRL's cispo takes the absolute bound of the weight as `epsilon_high`; here the bound is 1 + clip_high, as in eq. 5.
  Neither has a lower bound: MiniMax-M1's formula has one, its experiments leave it out.
- TRL divides grpo, dr_grpo and gspo by the completions of each micro-batch, then by the number of micro-batches; here
  N is counted once over the whole optimizer batch, so uneven micro-batches give the same sum. TRL counts completions
  that could not be scored in N; here they are never passed in.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# (ratio, logprobs_BT, advantages_B1, clip_low, clip_high) -> (loss, clipped at the low bound, at the high bound);
# the ratio and what follows from it alone are [B, T], or [B, 1] where the ratio is the whole completion's.
Surrogate = Callable[[Tensor, Tensor, Tensor, float, float], tuple[Tensor, Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class Objective:
    """What one policy-gradient objective does in its own way."""

    count: Callable[[Sequence[int], int], int]  # N, from the completions' lengths and the maximal length
    surrogate: Surrogate
    sequence_ratio: bool = False  # one length-normalised ratio a completion
    length_normalised: bool = False  # a completion's tokens are averaged, not summed
    divide_by_std: bool = True  # of the advantages


@dataclass(frozen=True, slots=True)
class LossOutput:
    """One micro-batch's share of the loss. Everything adds up over micro-batches; all but `loss` is detached.

    `kl` is the sum of k3 over tokens (0 without a reference). `clipped_low` and `clipped_high` count the tokens
    for which the clip took effect at that bound; where the ratio is a completion's, all its tokens count.
    """

    loss: Tensor
    kl: float
    clipped_low: int
    clipped_high: int
    tokens: int


def clipped(
    ratio: Tensor, logprobs_BT: Tensor, advantages_B1: Tensor, clip_low: float, clip_high: float
) -> tuple[Tensor, Tensor, Tensor]:
    """PPO's pessimistic bound: -min(rho A, clip(rho, 1 - clip_low, 1 + clip_high) A)."""
    bounded = ratio.clamp(1 - clip_low, 1 + clip_high)
    loss = -torch.min(ratio * advantages_B1, bounded * advantages_B1)
    low = (ratio < 1 - clip_low) & (advantages_B1 < 0)
    high = (ratio > 1 + clip_high) & (advantages_B1 > 0)
    return loss, low, high


def clipped_weight(
    ratio: Tensor, logprobs_BT: Tensor, advantages_B1: Tensor, clip_low: float, clip_high: float
) -> tuple[Tensor, Tensor, Tensor]:
    """CISPO: -sg(min(rho, 1 + clip_high)) A log pi: every token keeps its gradient. `clip_low` has no effect."""
    weight = ratio.detach().clamp(max=1 + clip_high)
    high = (ratio > 1 + clip_high) & (advantages_B1 != 0)
    return -weight * advantages_B1 * logprobs_BT, torch.zeros_like(high), high


def completions(lengths: Sequence[int], max_length: int) -> int:
    return len(lengths)


def tokens(lengths: Sequence[int], max_length: int) -> int:
    return sum(lengths)


def slots(lengths: Sequence[int], max_length: int) -> int:
    return len(lengths) * max_length


OBJECTIVES: Mapping[str, Objective] = {
    "grpo": Objective(completions, clipped, length_normalised=True),
    "dapo": Objective(tokens, clipped),
    "dr_grpo": Objective(slots, clipped, divide_by_std=False),
    "gspo": Objective(completions, clipped, length_normalised=True, sequence_ratio=True),
    "cispo": Objective(tokens, clipped_weight),
}


def normaliser(objective: Objective, lengths: Sequence[int], max_length: int) -> float:
    """N over a whole optimizer batch, before it is cut into micro-batches; at least 1.

    `lengths` are the completions' lengths in tokens, only of those that were scored; `max_length` is what a
    completion may have at most.
    """
    return float(max(1, objective.count(lengths, max_length)))


def policy_loss(
    objective: Objective,
    logprobs_BT: Tensor,
    old_BT: Tensor,
    advantages_B: Tensor,
    mask_BT: Tensor,
    *,
    reference_BT: Tensor | None = None,
    beta: float = 0.0,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    n: float,
) -> LossOutput:
    """The loss of some of an optimizer batch's completions; summed over its micro-batches it is the batch's loss.

    Log-probs are of the sampled tokens, float32 or wider; gradients flow through `logprobs_BT` alone. `mask_BT` is
    true at a completion's tokens; what stands elsewhere (even nan) has no effect. The KL, against `reference_BT`, is
    weighted like the surrogate; beta 0 or no reference leaves it out. `n` is from `normaliser`.
    """
    mask_BT = mask_BT.bool()
    advantages_B1 = advantages_B.unsqueeze(1)
    lengths_B1 = mask_BT.sum(1, keepdim=True).clamp(min=1)
    logprobs_BT = logprobs_BT.masked_fill(~mask_BT, 0.0)
    log_ratio = (logprobs_BT - old_BT.detach()).masked_fill(~mask_BT, 0.0)
    if objective.sequence_ratio:
        log_ratio = log_ratio.sum(1, keepdim=True) / lengths_B1
    surrogate, low, high = objective.surrogate(log_ratio.exp(), logprobs_BT, advantages_B1, clip_low, clip_high)

    weights_BT = mask_BT.to(logprobs_BT.dtype)
    if objective.length_normalised:
        weights_BT = weights_BT / lengths_B1
    loss = (surrogate * weights_BT).sum()
    kl = 0.0
    if beta and reference_BT is not None:
        kl_BT = k3(logprobs_BT, reference_BT.detach().masked_fill(~mask_BT, 0.0))
        loss = loss + beta * (kl_BT * weights_BT).sum()
        kl = float(kl_BT.detach().sum())
    return LossOutput(
        loss=loss / n,
        kl=kl,
        clipped_low=int((low & mask_BT).sum()),
        clipped_high=int((high & mask_BT).sum()),
        tokens=int(mask_BT.sum()),
    )


def k3(logprobs_BT: Tensor, reference_BT: Tensor) -> Tensor:
    """Schulman's estimate of KL(pi_theta || pi_ref) from samples of pi_theta: unbiased and never negative."""
    log_ratio_BT = reference_BT - logprobs_BT
    return log_ratio_BT.exp() - log_ratio_BT - 1
