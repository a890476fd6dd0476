"""GRPO: sample a group for each prompt, score it, push the policy towards what did better than its group.

Source: DeepSeekMath (arXiv 2402.03300); as RARL (arXiv 2506.06600) uses it, with rewards for the answer and for the
reasoning, and an instruction drawn for every training prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor

from rarl.algo.advantages import group_advantages, part_advantages
from rarl.algo.batch import GroupBatch
from rarl.algo.losses import OBJECTIVES, LossOutput, normaliser, policy_loss
from rarl.config import RunConfig
from rarl.draws import Draws
from rarl.errors import RarlError
from rarl.policy import Policy
from rarl.policy.recording import Recording
from rarl.prompting import Pool, instruct
from rarl.rewards import Scorer
from rarl.training.batches import Batches
from rarl.training.findings import Pass
from rarl.training.grouping import group_batches, halved, scored_lengths, scored_rollouts
from rarl.training.learner import Learner
from rarl.training.loop import Clock
from rarl.training.memory import PROMPTS, TOKENS, Memory
from rarl.training.metrics import Values, finite, group_metrics, log_metrics
from rarl.training.parity import EVERY, TOLERANCE, require_adapter_at_work
from rarl.training.passes import Progress, to_padded, to_rows
from rarl.types import Engine, Example, Group, Prompt, Rollout, Sampling, Score


@dataclass(frozen=True)
class Grpo:
    """One optimizer step of GRPO, and all that it needs."""

    policy: Policy
    engine: Engine
    learner: Learner
    batches: Batches
    pool: Pool
    scorer: Scorer
    config: RunConfig
    write: Callable[[int, Sequence[Group]], None]
    allow: Callable[[Pass], bool] = lambda seen: True  # the guards' word on each pass, before its update

    def step(self, step: int, examples: list[Example], clock: Clock) -> Values:
        """Sample, score, update; the step's metrics."""
        draws = Draws(self.config.run.seed).at("step", step)
        sample = partial(self._groups, step=step, clock=clock)
        groups, replaced = self._informative(sample(examples, draws), draws, sample)
        self.write(step + 1, groups)
        if step % EVERY == 0:
            require_adapter_at_work(self.policy, groups[0].rollouts[0], step + 1)
        with clock.phase("train"):
            values = group_metrics(groups, replaced) | log_metrics(self.scorer.take_log())
            return finite(values | self.update(groups))

    def _groups(self, examples: Sequence[Example], draws: Draws, *, step: int, clock: Clock) -> list[Group]:
        """A scored group of completions for each example, all under one instruction."""
        diversity, reasoning = self.config.prompt.diversity, self.config.prompt.reasoning
        prompts = [instruct(each, self.pool, draws, diversity=diversity, reasoning=reasoning) for each in examples]
        with clock.phase("sample"):
            completions = self.sample(prompts, draws, step)
        with clock.phase("score"):
            scores = self.scorer.score([rollout for group in completions for rollout in group], step)
        grouped = [tuple(scores[len(rollouts) * i :][: len(rollouts)]) for i, rollouts in enumerate(completions)]
        advantages = self._advantages(grouped)
        groups = zip(prompts, completions, grouped, advantages, strict=True)
        return [Group(prompt, tuple(rollouts), mine, theirs) for prompt, rollouts, mine, theirs in groups]

    def _advantages(self, groups: Sequence[Sequence[Score]]) -> list[tuple[float, ...]]:
        """How much better than its group each completion did, by its total or by its parts."""
        divide_by_std = OBJECTIVES[self.config.train.loss].divide_by_std
        if self.config.reward.normalise == "total":
            totals = ([score.total for score in group] for group in groups)
            return [group_advantages(group, divide_by_std=divide_by_std) for group in totals]
        parts = [[None if s.total is None else self.scorer.gated(s.parts) for s in group] for group in groups]
        return part_advantages(parts, self.scorer.weights, divide_by_std=divide_by_std)

    def sample(self, prompts: Sequence[Prompt], draws: Draws, step: int) -> list[list[Rollout]]:
        """A group of completions for each prompt; what that computes is kept for `update` where there is room."""
        rollout = self.config.rollout
        self.policy.recording = self._recording(prompts, step)
        sampling = Sampling(rollout.temperature, rollout.top_p, rollout.max_new_tokens)

        def generate(size: int) -> list[list[Rollout]]:
            """So many prompts at a time; a completion's draws are its own, whatever it is sampled beside."""
            parts = [prompts[start : start + size] for start in range(0, len(prompts), size)]
            return [g for part in parts for g in self.engine.generate(part, rollout.group_size, sampling, draws)]

        groups = self.memory.fitting(PROMPTS, max(1, len(prompts)), generate, lambda size: size // 2)
        _require_contract(groups, len(prompts), rollout.group_size)
        return groups

    @property
    def memory(self) -> Memory:
        return Memory(self.policy, self.learner)

    def _recording(self, prompts: Sequence[Prompt], step: int) -> Recording | None:
        """For sampling's products, where one micro-batch of training would hold as many anyway.

        Now and then there is none, so that parity is seen between two computations. On CUDA there is never one: a
        product costs less there than the launches that would keep it. Nor is there where memory has run out before.
        """
        rollout, train = self.config.rollout, self.config.train
        if train.resample or step % EVERY == 0 or self.policy.device.type == "cuda" or self.memory.short:
            return None
        prompt_tokens = sum(len(self.policy.encode(prompt)) for prompt in prompts)
        completions = len(prompts) * rollout.group_size
        if prompt_tokens + completions * rollout.max_new_tokens > train.tokens_per_batch:
            return None
        return Recording(prompt_tokens + completions * (rollout.max_new_tokens - 1))

    def _informative(
        self, groups: list[Group], draws: Draws, sample: Callable[[Sequence[Example], Draws], list[Group]]
    ) -> tuple[list[Group], int]:
        """Groups in which all did equally well teach nothing: replace them by others, `train.resample` times over."""
        replaced = 0
        for attempt in range(self.config.train.resample):
            kept = [group for group in groups if group.informative]
            missing = len(groups) - len(kept)
            if not missing:
                break
            seen = [group.prompt.example for group in groups]
            others = self.batches.others(seen, missing, draws.at("resample", attempt))
            fresh = [group for group in sample(others, draws.at("again", attempt)) if group.informative]
            stale = [group for group in groups if not group.informative]
            groups = [*kept, *fresh, *stale[: missing - len(fresh)]]
            replaced += len(fresh)
        return groups, replaced

    def update(self, groups: Sequence[Group]) -> Values:
        """`updates_per_batch` steps of the optimizer on the same groups; N is counted before they are cut.

        A pass that the guards do not allow is dropped, and those that would follow.
        """
        train = self.config.train
        n = normaliser(OBJECTIVES[train.loss], scored_lengths(groups), self.config.rollout.max_new_tokens)
        # Without a KL, equal completions have no gradient: they count in N and cost nothing.
        taught = groups if train.beta else [group for group in groups if group.informative]
        done = Progress()
        for _ in range(train.updates_per_batch):
            attempt = partial(self._pass, taught, n, done)
            done = self.memory.fitting(TOKENS, train.tokens_per_batch, attempt, partial(self._smaller, taught))
            if not self._updated(self._seen(groups, taught, done), done):
                break
        self.policy.recording = None  # what no batch asked for is of no use under other weights
        return done.sums.means(with_kl=bool(train.beta)) | done.parity.values() | self.memory.values()

    def _pass(self, groups: Sequence[Group], n: float, before: Progress, budget: int) -> Progress:
        """One pass, its gradients gathered, in micro-batches of at most so many tokens."""
        done, temperature, batches = before.begun(), self.config.rollout.temperature, self._batches(groups, budget)
        if self.config.train.beta and not done.references:
            done.references = [
                row for batch in batches for row in to_rows(batch, self.policy.reference_logprobs(batch, temperature))
            ]
        for batch in batches:
            logprobs_BT, entropy_BT = self.policy.logprobs(batch, temperature)
            members = slice(len(done.rows.finite), len(done.rows.finite) + len(batch.mask_BT))
            if done.sums.passes == 1:
                done.olds += to_rows(batch, logprobs_BT.detach())
                done.parity.add(batch, logprobs_BT)
            reference_BT = to_padded(done.references[members]) if done.references else None
            output = self._loss(batch, logprobs_BT, to_padded(done.olds[members]), reference_BT, n)
            output.loss.backward()
            done.sums.add(output, float(entropy_BT.detach().sum()))
            done.rows.add(batch, logprobs_BT, entropy_BT, reference_BT)
        return done

    def _batches(self, groups: Sequence[Group], budget: int) -> list[GroupBatch]:
        return list(group_batches(groups, budget, self._prompt_length))

    def _smaller(self, groups: Sequence[Group], budget: int) -> int:
        return halved(self._batches(groups, budget), self._prompt_length)

    def _prompt_length(self, prompt: Prompt) -> int:
        return len(self.policy.encode(prompt))

    def _updated(self, seen: Pass, done: Progress) -> bool:
        """Whether the optimizer took the gradient: if the guards allow it, and what is trained is what was sampled."""

        def allowed(norm: float) -> bool:
            if not self.allow(replace(seen, norm=norm)):
                return False
            done.parity.require(self._tolerance(), self.learner.step + 1)
            return True

        done.sums.grad_norm, rate = self.learner.update(allowed)
        if rate is None:
            return False
        done.sums.lr = rate
        return True

    def _seen(self, groups: Sequence[Group], taught: Sequence[Group], done: Progress) -> Pass:
        """What guards look at: in the first pass the step, in a later one, under weights that moved, its numbers."""
        rollouts = scored_rollouts(taught)
        if done.sums.passes > 1:
            return Pass(rollouts, done.rows, done.sums.loss)
        values = done.sums.means(with_kl=bool(self.config.train.beta))
        members = (pair for group in groups for pair in zip(group.rollouts, group.scores, strict=True))
        unscored = [rollout for rollout, score in members if self.scorer.failed_on(score)]
        return Pass(rollouts, done.rows, done.sums.loss, 0.0, values["kl"], values["entropy"], groups, unscored)

    def _tolerance(self) -> float:
        return self.config.train.parity_tolerance or TOLERANCE[self.policy.head_VH.dtype]

    def _loss(
        self, batch: GroupBatch, logprobs_BT: Tensor, old_BT: Tensor, reference_BT: Tensor | None, n: float
    ) -> LossOutput:
        train, device = self.config.train, logprobs_BT.device
        return policy_loss(
            OBJECTIVES[train.loss],
            logprobs_BT,
            old_BT,
            batch.advantages_B.to(device),
            batch.mask_BT.to(device),
            reference_BT=reference_BT,
            beta=train.beta,
            clip_low=train.clip_low,
            clip_high=train.clip_high,
            n=n,
        )


def _require_contract(groups: Sequence[Sequence[Rollout]], prompts: int, size: int) -> None:
    """RarlError unless an engine, which may be the user's, gave what was asked for."""
    sizes = {len(group) for group in groups}
    if len(groups) != prompts or sizes - {size}:
        raise RarlError(f"rollout.engine gave {len(groups)} groups of {sizes} completions for {prompts} of {size}")
    for rollout in (rollout for group in groups for rollout in group):
        tokens, logprobs = len(rollout.token_ids), len(rollout.logprobs)
        if not tokens or tokens != logprobs:
            raise RarlError(
                f"rollout.engine gave a completion of {tokens} tokens with {logprobs} log-probs, not as many"
            )
