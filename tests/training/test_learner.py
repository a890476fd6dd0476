from pathlib import Path

import pytest
import torch

import small_model
from rarl.config import Train
from rarl.errors import RarlError
from rarl.training.learner import Learner, learning_rate


def test_learning_rates_by_hand() -> None:
    linear = Train(steps=10, lr=1.0, warmup_steps=0, schedule="linear")
    assert [round(learning_rate(step, linear), 6) for step in (0, 5, 9, 10)] == [1.0, 0.5, 0.1, 0.0]
    warm = Train(steps=10, lr=1.0, warmup_steps=3, schedule="constant")
    assert [learning_rate(step, warm) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    cosine = Train(steps=8, lr=2.0, warmup_steps=0, schedule="cosine")
    assert [round(learning_rate(step, cosine), 6) for step in (0, 4, 8)] == [2.0, 1.0, 0.0]


def take_steps(learner: Learner, policy, steps: range) -> None:
    for step in steps:
        learner.step = step
        for i, parameter in enumerate(policy.trainable()):
            parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(100 * step + i))
        learner.update()


def test_saved_and_loaded_it_goes_on_exactly(tmp_path: Path) -> None:
    config = Train(steps=6, lr=0.1)
    whole, first, second = small_model.policy(), small_model.policy(), small_model.policy(seed=0, lora_scale=9.0)
    take_steps(Learner(whole, config), whole, range(6))
    learner = Learner(first, config)
    take_steps(learner, first, range(3))
    learner.step = 3
    learner.save(tmp_path, {})
    resumed = Learner(second, config)
    resumed.load(tmp_path)
    assert resumed.step == 3
    take_steps(resumed, second, range(3, 6))
    for a, b in zip(whole.trainable(), second.trainable(), strict=True):
        assert torch.equal(a, b)


def test_only_between_steps_may_be_saved(tmp_path: Path) -> None:
    policy = small_model.policy()
    learner = Learner(policy, Train())
    assert learner.between_steps
    take_steps(learner, policy, range(1))
    assert not learner.between_steps, "a step may make several updates"
    learner.finish(0, {"loss": 0.5})
    assert learner.between_steps
    learner.save(tmp_path, {"train": {"lr": 1.0}})
    resumed = Learner(policy, Train())
    resumed.load(tmp_path)
    assert (resumed.step, resumed.pending) == (1, {"loss": 0.5})


def test_a_gradient_that_is_not_finite_is_not_applied() -> None:
    policy = small_model.policy()
    learner = Learner(policy, Train())
    before = [parameter.detach().clone() for parameter in policy.trainable()]
    policy.trainable()[0].grad = torch.full_like(policy.trainable()[0], float("nan"))
    with pytest.raises(RarlError, match=r"step 1: the gradient is nan"):
        learner.update()
    assert all(torch.equal(a, b) for a, b in zip(before, policy.trainable(), strict=True))


def test_gradients_are_clipped_to_the_norm() -> None:
    policy = small_model.policy()
    learner = Learner(policy, Train(max_grad_norm=0.5))
    for parameter in policy.trainable():
        parameter.grad = torch.ones_like(parameter)
    count = sum(parameter.numel() for parameter in policy.trainable())
    norm, _ = learner.update()
    assert norm == pytest.approx(count**0.5, rel=1e-5)
