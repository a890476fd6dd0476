"""This package's step: Grpo.sample and Grpo.update as training runs them, with a clock around their parts.

The forward is what is left of an update without the reference, the backward and the optimizer, so packing, loss and
metrics are in it. The guard that training runs every so many steps falls into the step that warms up. Vision features
are warm, an earlier step has seen the images; `cold` is what their first encoding costs.

Ragged completions are ended by their own seeds, and the engine runs untouched. A draw is the place of a number u in
[0, 1) among the cumulative probabilities, in the vocabulary's order. The first tokens of the vocabulary, a share of
about 1 % under random weights, count as end tokens; of the numbers that a seed gives, the one at the wished length is
the first that lies below all doubt in that share. The lengths are checked afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from rarl.algo.advantages import group_advantages
from rarl.config import Model, RunConfig
from rarl.draws import Draws, Name
from rarl.engines import NativeEngine
from rarl.engines.sampling import uniforms
from rarl.policy import Policy
from rarl.prompting import load_pool
from rarl.rewards import Scorer
from rarl.training.batches import Batches
from rarl.training.grpo import Grpo
from rarl.training.learner import Learner
from rarl.types import Group, Rollout, Score
from versus.case import BETA, LEARNING_RATE, LORA, MAX_GRAD_NORM, MAX_VISION_TOKENS, Case
from versus.meter import Meter
from versus.weights import load_adapter, tiny_forward

END_TOKENS = 8  # of some 800 that may be drawn
SURELY_END, SURELY_NOT = 0.002, 0.025  # their share of the probability is between these
SEEDS_AT_ONCE = 256


def measure(case: Case, folder: Path) -> dict[str, Any]:
    """Warm up, then sample, score by hand and update, `case.steps` times."""
    model = Model(
        base=str(folder),
        dtype=case.dtype,
        device=case.device,
        max_vision_tokens=MAX_VISION_TOKENS,
        gradient_checkpointing=case.checkpointing,
        cache_dir="off",  # features of an earlier measurement would hide what encoding the images costs
    )
    policy = Policy.load(model, LORA)
    load_adapter(policy.network, folder)
    return measure_policy(policy, case)


def measure_policy(policy: Policy, case: Case) -> dict[str, Any]:
    """The same of a policy at hand. It is not fit for anything else afterwards: clocks and counters stay in it."""
    _steer_ends(policy, case)
    grpo, draws = grpo_of(policy, case), _draws(policy, case)
    meter = Meter(policy.device)
    meter.count_images(policy.base.model.visual)
    policy.reference_logprobs = meter.timed("reference", policy.reference_logprobs)  # type: ignore[method-assign]
    torch.Tensor.backward = meter.timed("backward", torch.Tensor.backward)  # type: ignore[method-assign]
    grpo.learner.update = meter.timed("optimizer", grpo.learner.update)  # type: ignore[method-assign]
    tiny_forward(policy.network)
    meter.set_baseline()
    prompt_ids = [policy.encode(prompt).ids_P for prompt in case.prompts]  # the images, whose cost is `cold`
    cold_peak = meter.peak() - meter.baseline
    meter.reset_peak()
    before = 0
    for step in range(1 + case.steps):
        if step == 1:
            meter.restart()
            before = policy.language.tokens_computed
        with meter.phase("step"):
            lengths = _step(case, grpo, draws, meter)
    meter.tokens = policy.language.tokens_computed - before
    for clock in (meter.cpu, meter.wall):
        clock["forward"] = clock["update"] - clock["reference"] - clock["backward"] - clock["optimizer"]
    return {
        **meter.report(case.steps),
        "prompt_tokens": [len(ids_P) for ids_P in prompt_ids],
        "completion_tokens": lengths,
        "cold": {**_cold(policy, case, meter), "peak_over_baseline_bytes": cold_peak},
        "settings": {"tokens_per_batch": grpo.config.train.tokens_per_batch},
    }


def _step(case: Case, grpo: Grpo, draws: Draws, meter: Meter) -> list[int]:
    """One step of training on made-up rewards; the completions' lengths."""
    with meter.phase("sampling"):
        sampled = grpo.sample(case.prompts, draws, grpo.learner.step)
    with meter.phase("update"):
        grpo.update([made_up_group(rollouts) for rollouts in sampled])
    grpo.learner.step += 1  # as the training loop does
    lengths = [len(rollout.token_ids) for rollouts in sampled for rollout in rollouts]
    if lengths != case.lengths:
        raise SystemExit(f"the engine's completions are not as long as wished: {lengths} for {case.lengths}")
    return lengths


def made_up_group(rollouts: list[Rollout]) -> Group:
    """Every second completion is right."""
    totals = [float(place % 2) for place in range(len(rollouts))]
    scores = tuple(Score(total, {}) for total in totals)
    return Group(rollouts[0].prompt, tuple(rollouts), scores, group_advantages(totals))


def grpo_of(policy: Policy, case: Case, *settings: str) -> Grpo:
    """Training as the case asks for it, without data, rewards or a run's folder; `settings` override it."""
    config = RunConfig().override(
        [
            f"rollout.group_size={case.group_size}",
            f"rollout.max_new_tokens={case.new_tokens}",
            f"rollout.prompts_per_step={case.groups}",
            f"train.beta={BETA}",
            f"train.lr={LEARNING_RATE}",
            f"train.max_grad_norm={MAX_GRAD_NORM}",
            "train.schedule=constant",
            "train.warmup_steps=0",
            *settings,
        ]
    )
    batches, learner = Batches((), case.groups, Draws(0)), Learner(policy, config.train)
    scorer = Scorer(config.reward.weights, config.reward.gates)
    pool = load_pool(config.prompt.pool)
    return Grpo(policy, NativeEngine(policy), learner, batches, pool, scorer, config, lambda step, groups: None)


def _cold(policy: Policy, case: Case, meter: Meter) -> dict[str, Any]:
    """What the images of a step cost when nothing is kept of them: reading, patches and the vision tower."""
    seen, meter.images = meter.images, 0
    with meter.phase("cold"), torch.no_grad():
        for prompt in case.prompts:
            [source] = prompt.example.images
            pixels = policy.processor.pixels(source.read(), source.name)
            policy.base.model.get_image_features(
                pixels.patches.to(policy.device), pixels.grid_3[None].to(policy.device), return_dict=True
            )
    encodes, meter.images = meter.images, seen
    return {"cpu_seconds": meter.cpu["cold"], "wall_seconds": meter.wall["cold"], "image_encodes": encodes}


def _steer_ends(policy: Policy, case: Case) -> None:
    """No completion ends before its length is reached; a ragged one ends there."""
    policy.suppressed_V[list(policy.end_ids)] = True
    allowed = (~policy.suppressed_V).nonzero()[:, 0].tolist()
    policy.end_ids = tuple(allowed[:END_TOKENS]) if case.ragged else ()


@dataclass(frozen=True)
class _Seed(Draws):
    def integer(self) -> int:
        return self.seed


@dataclass(frozen=True)
class _Seeds(Draws):
    """A seed chosen for each (example, completion)."""

    chosen: Mapping[tuple[Name, ...], int] = field(default_factory=dict)

    def at(self, *names: Name) -> Draws:
        return _Seed(self.chosen[names])


def _draws(policy: Policy, case: Case) -> Draws:
    if not case.ragged:
        return Draws(0)
    names = [(prompt.example.id, place) for prompt in case.prompts for place in range(case.group_size)]
    ends = enumerate(zip(names, case.lengths, strict=True))
    return _Seeds(0, (), {name: _seed(length, row) for row, (name, length) in ends})


def _seed(length: int, row: int) -> int:
    """A seed whose numbers end a completion at this length and not before."""
    first = row << 32
    while True:
        uniform_ST = uniforms(range(first, first + SEEDS_AT_ONCE), length)
        fits_S = (uniform_ST[:, -1] < SURELY_END) & (uniform_ST[:, :-1] >= SURELY_NOT).all(1)
        if fits_S.any():
            return first + int(fits_S.int().argmax())
        first += SEEDS_AT_ONCE
