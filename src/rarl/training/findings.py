"""What each guard finds in a step before the optimizer does: nothing, or numbers gone bad and who caused them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rarl.algo.batch import GroupBatch
from rarl.algo.losses import k3
from rarl.guarding import Guards
from rarl.types import Group, Rollout


@dataclass
class Rows:
    """What a pass measures of each of its completions, in order; KL and entropy are means over its tokens."""

    finite: list[bool] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)
    entropy: list[float] = field(default_factory=list)

    def add(
        self, batch: GroupBatch, logprobs_BT: Tensor, entropy_BT: Tensor, reference_BT: Tensor | None = None
    ) -> None:
        """One micro-batch; all but its tokens is 0."""
        lengths_B = torch.tensor(batch.lengths, device=logprobs_BT.device)
        logprobs_BT = logprobs_BT.detach()
        self.finite += logprobs_BT.isfinite().all(1).tolist()
        self.entropy += (entropy_BT.detach().sum(1) / lengths_B).tolist()
        if reference_BT is not None:
            self.kl += (k3(logprobs_BT, reference_BT).sum(1) / lengths_B).tolist()


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass over a step's completions, before the optimizer's update; kl and entropy are means over all tokens."""

    rollouts: Sequence[Rollout]  # those that were trained on, in the order of `rows`
    rows: Rows
    loss: float
    norm: float = 0.0  # the gradient's
    kl: float | None = None
    entropy: float | None = None
    groups: Sequence[Group] = ()  # as sampled; empty where they are no business of guards any more
    unscored: Sequence[Rollout] = ()  # those of the groups that could not be scored

    def where(self, chosen: Sequence[bool]) -> list[Rollout]:
        """The completions chosen, or all where none is: then no single one can be told."""
        return [r for r, one in zip(self.rollouts, chosen, strict=True) if one] or list(self.rollouts)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a guard found bad: in words, as a number beside its limit where there is one, and in which completions."""

    guard: str
    says: str
    rollouts: Sequence[Rollout]
    value: float | None = None
    limit: float | None = None
    steps: int = 1  # so many in a row make it fire


Found = Finding | None


def look(seen: Pass, guards: Guards) -> dict[str, Found]:
    """What each guard that is on and has something to look at finds; None: nothing."""
    found = {"nonfinite": _nonfinite(seen)}
    if seen.kl is not None and math.isfinite(seen.kl):
        found["kl"] = _kl(seen, seen.kl, guards.kl.limit)
    if seen.entropy is not None and math.isfinite(seen.entropy):
        found["entropy"] = _entropy(seen, seen.entropy, guards)
    if compared := [group for group in seen.groups if _scored(group) > 1]:
        found["no_signal"] = _no_signal(compared, guards.no_signal.steps)
    if seen.groups:
        found["unscored"] = _unscored(seen, guards.unscored.limit)
    return {guard: finding for guard, finding in found.items() if guards.action(guard) != "off"}


def _nonfinite(seen: Pass) -> Found:
    bad = [not finite for finite in seen.rows.finite]
    if any(bad):
        says = f"the log-probs of {sum(bad)} of {len(bad)} completions are not finite"
    elif not math.isfinite(seen.loss):
        says = f"the loss is {seen.loss}"
    elif not math.isfinite(seen.norm):
        says = f"the gradient is {seen.norm}"
    else:
        return None
    return Finding("nonfinite", says, seen.where(bad))


def _kl(seen: Pass, kl: float, limit: float) -> Found:
    if kl <= limit:
        return None
    says = f"the mean KL to the reference is {kl:.3g}, {limit:g} is allowed"
    return Finding("kl", says, seen.where([each > limit for each in seen.rows.kl]), kl, limit)


def _entropy(seen: Pass, entropy: float, guards: Guards) -> Found:
    limit, steps = guards.entropy.limit, guards.entropy.steps
    if entropy >= limit:
        return None
    says = f"the mean entropy is {entropy:.3g}, and has been below {limit:g} for {steps} steps"
    return Finding("entropy", says, seen.where([each < limit for each in seen.rows.entropy]), entropy, limit, steps)


def _scored(group: Group) -> int:
    return sum(score.total is not None for score in group.scores)


def _no_signal(groups: Sequence[Group], steps: int) -> Found:
    if any(group.informative for group in groups):
        return None
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    return Finding("no_signal", f"for {steps} steps all rewards in each group were the same", rollouts, steps=steps)


def _unscored(seen: Pass, limit: float) -> Found:
    count = sum(len(group.rollouts) for group in seen.groups)
    share = len(seen.unscored) / count
    if share <= limit:
        return None
    says = f"{len(seen.unscored)} of {count} completions could not be scored, {limit:.0%} may be"
    return Finding("unscored", says, seen.unscored, share, limit)
