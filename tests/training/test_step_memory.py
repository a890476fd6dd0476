"""A step for which there is not enough memory: the same step again, in smaller parts."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import small_model
from rarl.config import RunConfig
from rarl.draws import Draws
from rarl.engines import NativeEngine
from rarl.errors import MemoryShortError
from rarl.policy import Policy
from rarl.prompting import load_pool
from rarl.rewards import RewardLog
from rarl.training.batches import Batches
from rarl.training.grpo import Grpo
from rarl.training.learner import Learner, Standing
from rarl.training.loop import Clock
from rarl.training.memory import ran_out
from rarl.training.supervised import Supervised
from rarl.types import Group, Prompt, Rollout, Score

EXAMPLES = [small_model.prompt(f"Question {i}?", images=i, seed=i).example for i in range(3)]
SETTINGS = ["rollout.group_size=4", "rollout.max_new_tokens=6", "rollout.prompts_per_step=3", "train.warmup_steps=0"]
ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes"),
]


class Rewards:
    """Equal tokens get equal rewards, and groups differ within; `asked` counts completions."""

    asked = 0

    def take_log(self) -> RewardLog:
        return RewardLog()

    def failed_on(self, score: Score) -> bool:
        return False

    def score(self, rollouts: Sequence[Rollout], step: int) -> list[Score]:
        self.asked += len(rollouts)
        return [Score(sum(token < 160 for token in rollout.token_ids) / 6, {}) for rollout in rollouts]


def grpo(*overrides: str) -> tuple[Grpo, list[Group]]:
    config = RunConfig().override([*SETTINGS, *overrides])
    policy, written = small_model.policy(), list[Group]()
    learner, batches = Learner(policy, config.train), Batches(EXAMPLES, 3, Draws(0))
    method = Grpo(
        *(policy, NativeEngine(policy), learner, batches, load_pool("default"), Rewards(), config),  # type: ignore[arg-type]
        lambda step, groups: written.extend(groups),
    )
    return method, written


def limit(
    policy: Policy, most: int, monkeypatch: pytest.MonkeyPatch, error: BaseException, after: int = 0
) -> list[int]:
    """A device that holds a backward of at most so many completions, but for the first `after`; what it was asked."""
    logprobs, asked = policy.logprobs, list[int]()

    def short(batch: Any, temperature: float, *, adapted: bool = True) -> Any:
        found = logprobs(batch, temperature, adapted=adapted)
        if found.logprobs.requires_grad:
            asked.append(len(batch.mask_BT))
            if len(batch.mask_BT) > most and len(asked) > after:

                def fail(grad: torch.Tensor) -> torch.Tensor:
                    raise error

                found.logprobs.register_hook(fail)
        return found

    monkeypatch.setattr(policy, "logprobs", short)
    return asked


def gradients(method: Grpo, monkeypatch: pytest.MonkeyPatch) -> list[list[torch.Tensor]]:
    """Those of each update, as the optimizer gets them."""
    update, taken = method.learner.update, list[list[torch.Tensor]]()

    def watched(allowed: Callable[[float], bool]) -> tuple[float, float | None]:
        taken.append([parameter.grad.clone() for parameter in method.policy.trainable()])
        return update(allowed)

    monkeypatch.setattr(method.learner, "update", watched)
    return taken


def require_close(found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> None:
    assert any(grad.norm() > 0 for grad in expected)
    for a, b in zip(found, expected, strict=True):
        assert (a - b).norm() <= 1e-4 * b.norm()


@pytest.mark.parametrize("error", ERRORS, ids=["cuda", "host", "linux", "windows"])
def test_the_step_is_repeated_in_parts_with_the_same_gradient(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, rollouts = grpo()
    expected = gradients(whole, monkeypatch)
    values = whole.step(0, EXAMPLES, Clock())
    method, again = grpo()
    asked = limit(method.policy, 4, monkeypatch, error)
    taken = gradients(method, monkeypatch)
    found = method.step(0, EXAMPLES, Clock())
    assert asked[:1] == [12]
    assert sum(size for size in asked[asked.index(4) :] if size <= 4) >= 12
    require_close(taken[0], expected[0])
    assert again == rollouts, "nothing was sampled again"
    assert method.scorer.asked == 12, "and no reward asked"  # type: ignore[attr-defined]
    for name in ("loss", "kl", "entropy", "parity/mean", "grad_norm", "reward/mean"):
        assert found[name] == pytest.approx(values[name], rel=1e-3, abs=1e-6), name
    budget = found["memory/tokens_per_batch"]
    assert budget is not None
    assert budget < 1000
    assert "memory/tokens_per_batch" not in values
    assert method.learner.standing.changed_at(1), "so it is saved"


def test_what_was_cut_stays_cut_also_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method, _ = grpo()
    asked = limit(method.policy, 4, monkeypatch, MemoryError())
    method.learner.finish(0, method.step(0, EXAMPLES, Clock()))
    asked.clear()
    method.step(1, EXAMPLES, Clock())
    assert max(asked) <= 4, "it isn't tried again"
    assert len(method.learner.standing.cuts) <= 2
    method.learner.save(tmp_path, {})
    resumed, _ = grpo()
    resumed.learner.load(tmp_path)
    assert resumed.learner.standing == method.learner.standing
    assert isinstance(resumed.learner.standing, Standing)


def test_in_a_later_update_only_what_is_left_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ratio of the second update is against the first pass, which was cut otherwise."""
    settings = ("train.updates_per_batch=3", "train.lr=0.02")
    whole, _ = grpo(*settings)
    expected = gradients(whole, monkeypatch)
    values = whole.step(0, EXAMPLES, Clock())
    method, _ = grpo(*settings)
    asked = limit(method.policy, 4, monkeypatch, MemoryError(), after=1)
    taken = gradients(method, monkeypatch)
    found = method.step(0, EXAMPLES, Clock())
    assert asked[:2] == [12, 12]
    assert len(taken) == len(expected) == 3
    for a, b in zip(taken, expected, strict=True):
        require_close(a, b)
    for name in ("loss", "kl", "entropy", "clip/high", "parity/mean"):
        assert found[name] == pytest.approx(values[name], rel=1e-3, abs=1e-5), name


def test_one_completion_at_a_time_is_the_least(monkeypatch: pytest.MonkeyPatch) -> None:
    method, _ = grpo()
    before = [parameter.detach().clone() for parameter in method.policy.trainable()]
    asked = limit(method.policy, 0, monkeypatch, MemoryError())
    with pytest.raises(MemoryShortError, match="step 1: memory ran out in training on one completion at a time"):
        method.step(0, EXAMPLES, Clock())
    assert asked[0] == 12
    assert asked[-1] == 1
    assert method.learner.between_steps
    assert not method.learner.standing.cuts, "on a larger device it goes on as it began"
    assert all(torch.equal(a, b) for a, b in zip(before, method.policy.trainable(), strict=True))


def test_another_error_is_no_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    method, _ = grpo()
    limit(method.policy, 4, monkeypatch, RuntimeError("CUDA error: an illegal memory access was encountered"))
    with pytest.raises(RuntimeError, match="illegal"):
        method.step(0, EXAMPLES, Clock())
    assert not ran_out(ValueError("nothing of the kind"))


def test_sampling_takes_fewer_prompts_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    method, _ = grpo()
    generate, asked = method.engine.generate, list[int]()

    def short(prompts: Sequence[Prompt], *arguments: Any) -> Any:
        asked.append(len(prompts))
        if len(prompts) > 1:
            raise MemoryError
        return generate(prompts, *arguments)

    monkeypatch.setattr(method.engine, "generate", short)
    values = method.step(0, EXAMPLES, Clock())
    assert asked == [3, 1, 1, 1]
    assert values["memory/prompts_per_batch"] == 1
    assert values["completion/tokens"] is not None
    monkeypatch.setattr(method.engine, "generate", lambda *arguments: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(MemoryShortError, match="in sampling for one prompt at a time"):
        method.step(1, EXAMPLES, Clock())


def test_supervised_steps_are_repeated_too(monkeypatch: pytest.MonkeyPatch) -> None:
    states = []
    for most in (3, 1):
        policy = small_model.policy()
        config = RunConfig().override([*SETTINGS, "run.method=sft", "train.lr=0.1"])
        learner = Learner(policy, config.train)
        asked = limit(policy, most, monkeypatch, MemoryError())
        values = Supervised(policy, learner, load_pool("default"), config).step(0, EXAMPLES, Clock())
        states.append((values["loss"], values["grad_norm"]))
    assert asked[-3:] == [1, 1, 1]
    assert states[0] == pytest.approx(states[1], rel=1e-4)
    assert math.isfinite(states[0][0])  # type: ignore[arg-type]
