"""A training pass on what sampling kept against the same pass computed anew."""

from dataclasses import replace

import pytest
import torch

import small_model
from rarl.algo.batch import GroupBatch
from rarl.config import Lora
from rarl.draws import Draws
from rarl.engines import NativeEngine
from rarl.policy import Policy
from rarl.policy.linear import Projection
from rarl.policy.recording import Recording
from rarl.training.grouping import to_batch
from rarl.types import Group, Rollout, Sampling, Score

ROOM = 1_000
PROMPTS = [
    small_model.prompt(images=1),
    small_model.prompt("What is the diagnosis, in a longer question?", images=2, seed=1),
    small_model.prompt("Is it large?", images=0, seed=2),
]


def sampled(policy: Policy, *, prompts_per_batch: int | None = None) -> list[list[Rollout]]:
    """Completions of different lengths: some end tokens come early."""
    policy.end_ids = (*policy.end_ids, *range(40, 60))
    engine = NativeEngine(policy, prompts_per_batch)
    return engine.generate(PROMPTS, 4, Sampling(max_new_tokens=9), Draws(1))


def batch(groups: list[list[Rollout]]) -> GroupBatch:
    scores = (Score(1.0, {}),) * 4
    return to_batch([Group(g[0].prompt, tuple(g), scores[: len(g)], (1.0,) * len(g)) for g in groups])


def gradients(policy: Policy, group_batch: GroupBatch) -> tuple[torch.Tensor, list[torch.Tensor]]:
    for parameter in policy.trainable():
        parameter.grad = None
    logprobs_BT = policy.logprobs(group_batch, 0.8).logprobs
    weights_BT = torch.randn(logprobs_BT.shape, generator=torch.Generator().manual_seed(4))
    (logprobs_BT * weights_BT * group_batch.mask_BT).sum().backward()
    return logprobs_BT.detach(), [parameter.grad.clone() for parameter in policy.trainable()]


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of every product with a frozen weight."""
    rows: list[int] = []
    forward = Projection.forward

    def counting(self: Projection, rows_TI: torch.Tensor, known: torch.Tensor | None = None) -> object:
        rows.append(len(rows_TI) if known is None else 0)
        return forward(self, rows_TI, known)

    monkeypatch.setattr(Projection, "forward", counting)
    return rows


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("prompts_per_batch", [None, 2])
def test_log_probs_and_gradients_are_those_of_a_pass_computed_anew(
    checkpointing: bool, prompts_per_batch: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = small_model.policy()
    policy.language.checkpointing = checkpointing
    policy.recording = Recording(ROOM)
    groups = sampled(policy, prompts_per_batch=prompts_per_batch)
    lengths = [len(rollout.token_ids) for group in groups for rollout in group]
    assert len(set(lengths)) > 3
    assert 1 in lengths
    groups[1] = groups[1][1:3]  # not all that was sampled need be trained on
    rows = counted(monkeypatch)
    recorded_BT, recorded = gradients(policy, batch(groups))
    assert sum(rows) == 0  # nothing was multiplied anew
    assert policy.recording is None
    fresh_BT, fresh = gradients(policy, batch(groups))
    assert sum(rows) > 0
    torch.testing.assert_close(recorded_BT, fresh_BT, atol=1e-5, rtol=0)
    for a, b in zip(recorded, fresh, strict=True):
        assert b.norm() > 0.1
        assert (a - b).norm() <= 1e-5 * b.norm()


def test_an_adapter_on_some_linears_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy(small_model.network(), small_model.processor(), Lora(r=2, targets=("v_proj", "up_proj")))
    for parameter in policy.trainable():
        torch.nn.init.normal_(parameter.data, std=0.2)
    policy.recording = Recording(ROOM)
    group_batch = batch(sampled(policy))
    _, recorded = gradients(policy, group_batch)
    _, fresh = gradients(policy, group_batch)
    for a, b in zip(recorded, fresh, strict=True):
        assert (a - b).norm() <= 1e-5 * b.norm()


def test_what_was_not_sampled_here_is_computed() -> None:
    policy = small_model.policy()
    policy.recording = Recording(ROOM)
    groups = sampled(policy)
    changed = replace(groups[0][0], token_ids=(7, *groups[0][0].token_ids[1:]))
    assert policy.recording.replay(batch([[changed]]), keep=False) is None
    elsewhere = replace(groups[0][0], prompt=small_model.prompt(images=1))
    assert policy.recording.replay(batch([[elsewhere]]), keep=False) is None


def test_a_pass_without_gradients_leaves_the_recording_to_the_one_with() -> None:
    policy = small_model.policy()
    policy.recording = Recording(ROOM)
    group_batch = batch(sampled(policy))
    policy.reference_logprobs(group_batch, 0.8)
    with torch.no_grad():
        policy.logprobs(group_batch, 0.8)
    assert policy.recording is not None


def test_what_was_given_away_is_freed() -> None:
    policy = small_model.policy()
    policy.recording = recording = Recording(ROOM)
    group_batch = batch(sampled(policy))
    assert len(recording.kept) == 12
    policy.logprobs(group_batch, 0.8)
    assert recording.kept == {}
