"""What a step is judged by."""

from __future__ import annotations

import math
import resource
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import torch

from rarl.algo.losses import LossOutput
from rarl.rewards import RewardLog
from rarl.types import Finish, Group

Values = dict[str, float | None]


@dataclass
class LossSums:
    """What the passes of one step add up to."""

    loss: float = 0.0
    kl: float = 0.0
    entropy: float = 0.0
    clipped_low: int = 0
    clipped_high: int = 0
    tokens: int = 0
    passes: int = 0
    grad_norm: float | None = None  # of the last pass, before clipping
    lr: float | None = None  # of the last update

    def add(self, output: LossOutput, entropy: float) -> None:
        """One micro-batch; `entropy` is summed over its tokens."""
        self.loss += float(output.loss.detach())
        self.kl += output.kl
        self.entropy += entropy
        self.clipped_low += output.clipped_low
        self.clipped_high += output.clipped_high
        self.tokens += output.tokens

    def means(self, *, with_kl: bool) -> Values:
        """The loss by pass, the rest by token; None where no token was trained on."""
        tokens = self.tokens
        return {
            "loss": self.loss / self.passes,
            "kl": self.kl / tokens if tokens and with_kl else None,
            "entropy": self.entropy / tokens if tokens else None,
            "clip/low": self.clipped_low / tokens if tokens else None,
            "clip/high": self.clipped_high / tokens if tokens else None,
            "grad_norm": self.grad_norm,
            "lr": self.lr,
        }


def group_metrics(groups: Sequence[Group], replaced: int) -> Values:
    """Rewards, groups and completions of the groups that are trained on; means leave out what was not scored."""
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    scores = [score for group in groups for score in group.scores]
    totals = [score.total for score in scores]
    lengths = [len(rollout.token_ids) for rollout in rollouts]
    spreads = [spread(score.total for score in group.scores) for group in groups]
    names = sorted({name for score in scores for name in score.parts})
    parts = {name: [score.parts.get(name) for score in scores] for name in names}
    return {
        "reward/mean": mean(totals),
        "reward/std": spread(totals),
        "reward/std_in_group": mean(spreads),
        **{f"reward/{name}": mean(values) for name, values in parts.items()},
        **{f"reward/{name}/std": spread(values) for name, values in parts.items()},
        "rollouts/unscored": float(totals.count(None)),
        "groups/zero_variance": mean(float(not group.informative) for group in groups),
        "groups/replaced": float(replaced),
        "completion/tokens": float(sum(lengths)),
        "completion/length_mean": mean(lengths),
        "completion/length_min": float(min(lengths)),
        "completion/length_max": float(max(lengths)),
        "completion/cut_off": mean(float(rollout.finish is Finish.LENGTH) for rollout in rollouts),
    }


def log_metrics(log: RewardLog) -> Values:
    """How many completions each reward failed on, and what rewards logged by themselves."""
    failed = {f"reward/{name}/failed": float(count) for name, count in log.failed.items()}
    return failed | {f"reward/{name}": mean(values) for name, values in log.metrics.items()}


def finite(values: Values) -> Values:
    """None for what is no number to calculate with; JSON has no other word for it."""
    return {name: value if value is not None and math.isfinite(value) else None for name, value in values.items()}


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of what is there; None where nothing is."""
    there = [value for value in values if value is not None]
    return fmean(there) if there else None


def spread(values: Iterable[float | None]) -> float | None:
    """The sample's standard deviation of what is there; None for fewer than two."""
    there = [value for value in values if value is not None]
    return stdev(there) if len(there) > 1 else None


def peak_memory(device: torch.device) -> int:
    """Bytes, of this process so far: of the device's allocator, or the largest resident set on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
