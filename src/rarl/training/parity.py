"""A guard: the network that is trained is the one that sampled, and its adapter is at work."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rarl.algo.batch import GroupBatch
from rarl.errors import RarlError
from rarl.policy import Policy
from rarl.training.grouping import to_batch
from rarl.training.metrics import Values
from rarl.types import Group, Rollout, Score

# Mean difference of a token's two log-probs that rounding explains; what it comes to is in docs/performance.md.
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}
EVERY = 20  # steps between looks at the adapter, which cost a forward over one completion


@dataclass
class Parity:
    """Sums of |the sampler's log-prob - the trainer's| over the tokens of a step."""

    total: float = 0.0
    largest: float = 0.0
    tokens: int = 0

    def add(self, batch: GroupBatch, logprobs_BT: Tensor) -> None:
        """One micro-batch, under the weights that sampled it."""
        device = logprobs_BT.device
        gaps_T = (logprobs_BT.detach() - batch.sampled_BT.to(device)).abs()[batch.mask_BT.to(device)]
        self.total += float(gaps_T.sum())
        self.largest = max(self.largest, float(gaps_T.max()))
        self.tokens += len(gaps_T)

    def values(self) -> Values:
        """None where nothing was trained on."""
        return {
            "parity/mean": self.total / self.tokens if self.tokens else None,
            "parity/max": self.largest if self.tokens else None,
        }

    def require(self, tolerance: float, step: int) -> None:
        """RarlError where sampler and trainer part: what is trained would then not be what was sampled."""
        if not self.tokens:
            return
        gap = self.total / self.tokens
        if not gap <= tolerance:  # nan too
            raise RarlError(
                f"step {step}: the log-probs of the engine and of training differ by {gap:.3g} a token, {tolerance:g} "
                "is allowed (train.parity_tolerance): the engine samples from other weights or logits than are trained"
            )


def require_adapter_at_work(policy: Policy, rollout: Rollout, step: int) -> None:
    """RarlError where the adapter has been trained and yet changes no log-prob of a completion."""
    trained = [parameter for name, parameter in policy.network.named_parameters() if "lora_B" in name]
    if not any(bool(B.any()) for B in trained):
        return  # nothing has been learnt yet
    batch = to_batch([Group(rollout.prompt, (rollout,), (Score(0.0, {}),), (0.0,))])
    with torch.no_grad():
        with_it, without = (policy.logprobs(batch, 1.0, adapted=adapted).logprobs for adapted in (True, False))
    if torch.equal(with_it, without):
        raise RarlError(f"step {step}: the adapter is trained but not active: the log-probs are the same without it")
