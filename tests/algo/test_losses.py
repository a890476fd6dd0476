"""Each objective against the papers' formulas written as loops over scalars, and against TRL's own loss."""

import math
from collections import defaultdict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from rarl.algo.losses import OBJECTIVES, LossOutput, normaliser, policy_loss

NAMES = sorted(OBJECTIVES)
LENGTHS = (5, 1, 4, 2, 5, 3)
MAX_LENGTH = 7
LOW, HIGH = 0.2, 0.3


@pytest.fixture
def batch() -> dict[str, Tensor]:
    """Six completions whose ratios lie on both sides of both bounds, with garbage where there is no token."""
    generator = torch.Generator().manual_seed(3)
    shape = (len(LENGTHS), max(LENGTHS))
    mask = torch.arange(shape[1])[None, :] < torch.tensor(LENGTHS)[:, None]
    old = -2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 0.1
    logprobs = old + 0.35 * torch.randn(shape, generator=generator, dtype=torch.float64)
    logprobs[0] = old[0] + 0.5  # a whole completion above the bound, one below it: for the sequence ratio
    logprobs[4] = old[4] - 0.5
    return {
        "logprobs_BT": logprobs.masked_fill(~mask, float("nan")).requires_grad_(),
        "old_BT": old.masked_fill(~mask, float("inf")),
        "reference_BT": (old - 0.1).masked_fill(~mask, float("nan")),
        "advantages_B": torch.tensor([1.2, -0.7, 0.4, 0.0, -1.1, 0.9], dtype=torch.float64),
        "mask_BT": mask,
    }


def loss_of(name: str, batch: dict[str, Tensor], rows: slice = slice(None), **changes: Any) -> LossOutput:
    objective = OBJECTIVES[name]
    settings = {"beta": 0.0, "clip_low": LOW, "clip_high": HIGH, "n": normaliser(objective, LENGTHS, MAX_LENGTH)}
    return policy_loss(objective, **{key: value[rows] for key, value in batch.items()}, **(settings | changes))


# The papers, scalar by scalar. lp, old, ref: the log-probs of one completion's tokens; A: its advantage.


def clip(x: float, low: float, high: float) -> float:
    return max(low, min(x, high))


def ppo(rho: float, a: float) -> float:
    return -min(rho * a, clip(rho, 1 - LOW, 1 + HIGH) * a)


def k3(lp: float, ref: float) -> float:
    return math.exp(ref - lp) - (ref - lp) - 1


def by_the_papers(name: str, rows: list[tuple[list[float], list[float], list[float], float]], beta: float) -> float:
    """`rows` hold, a completion, the live log-probs, the old ones, the reference's, and the advantage."""
    total = 0.0
    for lp, old, ref, a in rows:
        count = len(lp)
        kl = [k3(x, r) for x, r in zip(lp, ref, strict=True)]
        ratios = [math.exp(x - o) for x, o in zip(lp, old, strict=True)]
        if name == "grpo":
            total += sum(ppo(rho, a) + beta * k for rho, k in zip(ratios, kl, strict=True)) / count / len(rows)
        elif name == "dapo":
            total += sum(ppo(rho, a) + beta * k for rho, k in zip(ratios, kl, strict=True)) / sum(LENGTHS)
        elif name == "dr_grpo":
            total += sum(ppo(rho, a) + beta * k for rho, k in zip(ratios, kl, strict=True)) / (len(rows) * MAX_LENGTH)
        elif name == "gspo":
            s = math.prod(ratios) ** (1 / count)
            total += (ppo(s, a) + beta * sum(kl) / count) / len(rows)
        elif name == "cispo":  # value only; the gradient is in cispo_gradient
            weights = [min(rho, 1 + HIGH) for rho in ratios]
            parts = [-w * a * x + beta * k for w, x, k in zip(weights, lp, kl, strict=True)]
            total += sum(parts) / sum(LENGTHS)
    return total


def scalars(batch: dict[str, Tensor]) -> list[tuple[list[float], list[float], list[float], float]]:
    return [
        (
            batch["logprobs_BT"][i, :length].tolist(),
            batch["old_BT"][i, :length].tolist(),
            batch["reference_BT"][i, :length].tolist(),
            batch["advantages_B"][i].item(),
        )
        for i, length in enumerate(LENGTHS)
    ]


def finite_differences(name: str, batch: dict[str, Tensor], beta: float, step: float = 1e-6) -> Tensor:
    gradient = torch.zeros(len(LENGTHS), max(LENGTHS), dtype=torch.float64)
    for i, length in enumerate(LENGTHS):
        for t in range(length):
            values = []
            for sign in (+1, -1):
                rows = scalars(batch)
                rows[i][0][t] += sign * step
                values.append(by_the_papers(name, rows, beta))
            gradient[i, t] = (values[0] - values[1]) / (2 * step)
    return gradient


def cispo_gradient(batch: dict[str, Tensor], beta: float) -> Tensor:
    """MiniMax-M1: the weight is a constant, so d/d lp = -min(rho, 1 + eps) A for every token; plus beta d k3 / d lp."""
    gradient = torch.zeros(len(LENGTHS), max(LENGTHS), dtype=torch.float64)
    for i, (lp, old, ref, a) in enumerate(scalars(batch)):
        for t, (x, o, r) in enumerate(zip(lp, old, ref, strict=True)):
            gradient[i, t] = (-min(math.exp(x - o), 1 + HIGH) * a + beta * (1 - math.exp(r - x))) / sum(LENGTHS)
    return gradient


@pytest.mark.parametrize("beta", [0.0, 0.07])
@pytest.mark.parametrize("name", NAMES)
def test_equals_the_papers(name: str, beta: float, batch: dict[str, Tensor]) -> None:
    output = loss_of(name, batch, beta=beta)
    assert output.loss.item() == pytest.approx(by_the_papers(name, scalars(batch), beta), abs=1e-12)
    output.loss.backward()
    gradient = batch["logprobs_BT"].grad
    expected = cispo_gradient(batch, beta) if name == "cispo" else finite_differences(name, batch, beta)
    torch.testing.assert_close(gradient, expected, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_micro_batches_add_up(name: str, batch: dict[str, Tensor]) -> None:
    whole = loss_of(name, batch, beta=0.05)
    parts = [loss_of(name, batch, rows, beta=0.05) for rows in (slice(0, 1), slice(1, 4), slice(4, 6))]
    assert sum(part.loss.item() for part in parts) == pytest.approx(whole.loss.item(), abs=1e-12)
    assert sum(part.kl for part in parts) == pytest.approx(whole.kl, abs=1e-12)
    for count in ("clipped_low", "clipped_high", "tokens"):
        assert sum(getattr(part, count) for part in parts) == getattr(whole, count)


@pytest.mark.parametrize("name", NAMES)
def test_on_policy_gradient_is_minus_weight_times_advantage(name: str, batch: dict[str, Tensor]) -> None:
    batch["old_BT"] = batch["logprobs_BT"].detach().clone()
    loss_of(name, batch).loss.backward()
    n = {"grpo": 6, "gspo": 6, "dapo": 20, "cispo": 20, "dr_grpo": 42}[name]
    for i, length in enumerate(LENGTHS):
        weight = 1 / length if name in ("grpo", "gspo") else 1
        expected = torch.full((length,), -weight * batch["advantages_B"][i].item() / n, dtype=torch.float64)
        torch.testing.assert_close(batch["logprobs_BT"].grad[i, :length], expected)
        assert not batch["logprobs_BT"].grad[i, length:].any()


def test_normaliser() -> None:
    counted = {name: normaliser(OBJECTIVES[name], [3, 5, 2], 8) for name in NAMES}
    assert counted == {"grpo": 3, "gspo": 3, "dapo": 10, "cispo": 10, "dr_grpo": 24}
    assert all(normaliser(OBJECTIVES[name], [], 8) == 1 for name in NAMES)


def test_only_dr_grpo_keeps_the_advantage_undivided() -> None:
    assert [name for name in NAMES if not OBJECTIVES[name].divide_by_std] == ["dr_grpo"]


def test_counts_by_hand() -> None:
    ratios = torch.tensor([[0.5, 1.0, 2.0], [0.5, 1.0, 2.0]], dtype=torch.float64)
    arguments = {
        "logprobs_BT": ratios.log(),
        "old_BT": torch.zeros(2, 3, dtype=torch.float64),
        "advantages_B": torch.tensor([1.0, -1.0], dtype=torch.float64),
        "mask_BT": torch.tensor([[True, True, True], [True, True, False]]),
    }
    output = policy_loss(OBJECTIVES["grpo"], **arguments, clip_low=0.2, clip_high=0.2, n=2)
    assert (output.clipped_low, output.clipped_high, output.tokens) == (1, 1, 5)
    # gspo: s = (0.5 x 1 x 2)^(1/3) = 1, and (0.5 x 1)^(1/2) = 0.707 < 0.8 with A < 0: both its tokens are clipped
    output = policy_loss(OBJECTIVES["gspo"], **arguments, clip_low=0.2, clip_high=0.2, n=2)
    assert (output.clipped_low, output.clipped_high) == (2, 0)
    output = policy_loss(OBJECTIVES["cispo"], **arguments, clip_low=0.2, clip_high=0.2, n=5)
    assert (output.clipped_low, output.clipped_high) == (0, 1)


# TRL's own method, on the same tensors. Only its model call is replaced, by the log-probs at hand.


@pytest.fixture(scope="module")
def trl_trainer() -> Any:
    return pytest.importorskip("trl.trainer.grpo_trainer").GRPOTrainer


class Accelerator(SimpleNamespace):
    num_processes = 1
    gather = staticmethod(lambda x: x)
    reduce = staticmethod(lambda x, reduction: x)


def loss_of_trl(
    trainer: Any, name: str, batch: dict[str, Tensor], beta: float, bias_correction: bool = False
) -> Tensor:
    mask = batch["mask_BT"]
    clean = {key: value.masked_fill(~mask, -1.0) for key, value in batch.items() if key.endswith("logprobs_BT")}
    this = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *a, **k: (
            clean["logprobs_BT"],
            torch.zeros_like(mask, dtype=float),
            None,
        ),
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        importance_sampling_level="sequence" if name == "gspo" else "token",
        loss_type="grpo" if name == "gspo" else name,  # what TRL's own documentation says for GSPO
        beta=beta,
        epsilon_low=LOW,
        epsilon_high=1 + HIGH if name == "cispo" else HIGH,
        args=SimpleNamespace(use_bias_correction_kl=bias_correction, delta=None, steps_per_generation=1),
        use_vllm=False,
        model=SimpleNamespace(training=True),
        accelerator=Accelerator(),
        current_gradient_accumulation_steps=1,
        max_completion_length=MAX_LENGTH,
        _entropy_bonus_enabled=False,
        _metrics=defaultdict(lambda: defaultdict(list)),
    )
    inputs = {
        "prompt_ids": torch.ones(len(LENGTHS), 2, dtype=torch.long),
        "prompt_mask": torch.ones(len(LENGTHS), 2, dtype=torch.long),
        "completion_ids": torch.ones(mask.shape, dtype=torch.long),
        "completion_mask": mask.long(),
        "advantages": batch["advantages_B"],
        "old_per_token_logps": batch["old_BT"].masked_fill(~mask, -1.0),
        "ref_per_token_logps": batch["reference_BT"].masked_fill(~mask, -1.0),
        "num_items_in_batch": mask.sum(),
    }
    return trainer._compute_loss(this, None, inputs)


@pytest.mark.parametrize("beta", [0.0, 0.07])
@pytest.mark.parametrize("name", NAMES)
def test_equals_trl(name: str, beta: float, batch: dict[str, Tensor], trl_trainer: Any) -> None:
    ours = loss_of(name, batch, beta=beta).loss
    theirs = loss_of_trl(trl_trainer, name, batch, beta)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-12)
    leaf = batch["logprobs_BT"]
    (gradient,) = torch.autograd.grad(ours, leaf)
    (expected,) = torch.autograd.grad(theirs, leaf)
    torch.testing.assert_close(gradient, expected, atol=1e-12, rtol=1e-9)


def test_trl_multiplies_its_kl_by_the_ratio_unless_told_not_to(batch: dict[str, Tensor], trl_trainer: Any) -> None:
    ours = loss_of("grpo", batch, beta=0.07).loss.item()
    assert loss_of_trl(trl_trainer, "grpo", batch, 0.07, bias_correction=True).item() != pytest.approx(ours, abs=1e-6)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
