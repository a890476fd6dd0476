"""The guard that stops a run whose sampler and trainer part."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

import small_model
from rarl.config import RunConfig
from rarl.draws import Draws
from rarl.engines import NativeEngine
from rarl.errors import RarlError
from rarl.policy import Policy
from rarl.policy.recording import Products
from rarl.prompting import load_pool
from rarl.rewards import Scorer
from rarl.training.batches import Batches
from rarl.training.grpo import Grpo
from rarl.training.learner import Learner
from rarl.training.parity import require_adapter_at_work
from rarl.types import Group, Rollout, Sampling, Score

PROMPTS = [small_model.prompt(images=1), small_model.prompt("Is it large?", images=2, seed=1)]


def sampled(policy: Policy, log_prob: Callable[[float], float] = lambda value: value) -> list[Group]:
    """Groups from the native engine, what they say of their log-probs changed."""
    groups = NativeEngine(policy).generate(PROMPTS, 3, Sampling(max_new_tokens=6), Draws(0))
    changed = [[replace(r, logprobs=tuple(map(log_prob, r.logprobs))) for r in rollouts] for rollouts in groups]
    return [group(rollouts) for rollouts in changed]


def group(rollouts: list[Rollout]) -> Group:
    scores = tuple(Score(float(i), {}) for i in range(len(rollouts)))
    return Group(rollouts[0].prompt, tuple(rollouts), scores, (-1.0, 0.0, 1.0))


def grpo(policy: Policy, *overrides: str) -> Grpo:
    config = RunConfig().override(list(overrides))
    scorer = Scorer(config.reward.weights, config.reward.gates)
    learner, batches = Learner(policy, config.train), Batches((), 2, Draws(0))
    return Grpo(
        policy, NativeEngine(policy), learner, batches, load_pool("default"), scorer, config, lambda step, groups: None
    )


def test_the_native_engine_samples_what_is_trained() -> None:
    policy = small_model.policy()
    values = grpo(policy, "train.updates_per_batch=2").update(sampled(policy))
    assert 0 < values["parity/max"] < 1e-4  # type: ignore[operator]
    assert 0 < values["parity/mean"] <= values["parity/max"]  # type: ignore[operator]


@pytest.mark.parametrize("change", [lambda value: value - 0.01, lambda value: math.nan])
def test_an_engine_of_other_log_probs_stops_the_run_before_anything_is_learnt(change: Callable[[float], float]) -> None:
    policy = small_model.policy()
    before = [parameter.detach().clone() for parameter in policy.trainable()]
    with pytest.raises(RarlError, match=r"step 1: the log-probs of the engine and of training differ by (0.01|nan) a"):
        grpo(policy).update(sampled(policy, change))
    assert all(torch.equal(a, b) for a, b in zip(before, policy.trainable(), strict=True))


def test_the_tolerance_is_the_users() -> None:
    policy = small_model.policy()
    values = grpo(policy, "train.parity_tolerance=0.02").update(sampled(policy, lambda value: value - 0.01))
    assert values["parity/mean"] == pytest.approx(0.01, rel=1e-2)


def test_an_adapter_that_changes_nothing_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = small_model.policy()
    rollout = sampled(policy)[0].rollouts[0]
    require_adapter_at_work(policy, rollout, step=1)
    hidden = policy.language.hidden
    monkeypatch.setattr(policy.language, "hidden", lambda *arguments: hidden(*arguments[:-1], Products(adapted=False)))
    with pytest.raises(RarlError, match="step 1: the adapter is trained but not active"):
        require_adapter_at_work(policy, rollout, step=1)


def test_a_fresh_adapter_need_not_change_anything() -> None:
    policy = small_model.policy(lora_scale=0.0)
    require_adapter_at_work(policy, sampled(policy)[0].rollouts[0], step=1)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda groups: groups[:1], r"gave 1 groups of \{3\} completions for 2 of 3"),
        (lambda groups: [groups[0], groups[1][:2]], r"gave 2 groups of \{2, 3\} completions for 2 of 3"),
        (lambda groups: [[replace(groups[0][0], logprobs=()), *groups[0][1:]], groups[1]], r"with 0 log-probs"),
        (
            lambda groups: [[replace(groups[0][0], token_ids=(), logprobs=()), *groups[0][1:]], groups[1]],
            "a completion of 0 tokens",
        ),
    ],
)
def test_an_engine_that_gives_something_else_is_told(
    spoil: Callable[[list[list[Rollout]]], list[list[Rollout]]], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = grpo(small_model.policy(), "rollout.group_size=3", "rollout.max_new_tokens=6")
    generate = method.engine.generate
    monkeypatch.setattr(method.engine, "generate", lambda *arguments: spoil(generate(*arguments)))
    with pytest.raises(RarlError, match=f"rollout.engine .*{message}"):
        method.sample(PROMPTS, Draws(0), step=1)
