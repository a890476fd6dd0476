"""Does this device compute what the plain path computes? Random weights of a true shape, each way that a step may take.

`python benchmarks/device_check.py --shape mid --dtype float32 bfloat16 --out check.json` compares, on prompts with one,
two and no images and completions of different lengths, log-probs and LoRA gradients of the shared-prefix pass with
those of transformers' own forward, one completion at a time (rarl.policy.plain), with and without gradient
checkpointing; the reference; the sampler's log-probs with the trainer's; and an update on what sampling recorded with
one that computes all anew. Largest differences go into the JSON; the exit status is 1 where one is out of bounds.

In float32, TF32 off, the bound is absolute. In bfloat16 it is a multiple of what the rounding costs the plain path
itself: its distance from the float32 computation on the very same weights. Matrices are scaled so that a layer keeps
the size of its input, which is much sharper than a fresh initialisation: a wrong position, mask or adapter then shows.

Measured on a CPU, 8 and 28 layers of width 512: in float32 log-probs within 9e-6, gradients within 5e-6; in bfloat16
the shared-prefix pass is as far from float32 as the plain path (a log-prob 0.02 and 0.03 on average, 0.09 and 0.13 at
most; gradients 5 and 7 %), the sampler from the trainer 0.02 on average and 0.11 at most.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from versus.case import QUESTION, Case, Noise, grid
from versus.rarl_side import grpo_of, made_up_group

from rarl.algo.batch import GroupBatch
from rarl.benchmarking import random_policy
from rarl.draws import Draws
from rarl.engines import NativeEngine
from rarl.policy import Policy, decoding
from rarl.policy.plain import plain_logprobs
from rarl.prompting import ask, load_pool
from rarl.terminal import progress
from rarl.training.grouping import to_batch
from rarl.training.grpo import Grpo
from rarl.types import Example, Group, Prompt, Sampling

TEMPERATURE = 0.7
SIZES = (3, 2, 1)  # completions of the three prompts
GAIN = 1.0  # of a matrix on rows of independent numbers
ADAPTER = 0.2  # standard deviation of B
FLOAT32 = 1e-4  # largest |log-prob difference| in nats, and of a tensor's gradient ||difference|| / ||gradient||
ROUNDING = 3.0  # two computations in bfloat16 may lie so many times apart what it costs one
VISIBLE = 0.01  # nats: the adapter must change log-probs by more, or the comparison is blind

NUMBERS = ("logprobs_max", "logprobs_mean", "gradients_worst")
Gradients = dict[str, Tensor]


@dataclass(frozen=True)
class Pass:
    """Log-probs [B, T] of a batch, and the adapter's gradients of a weighting of them where there was a backward."""

    logprobs_BT: Tensor
    gradients: Gradients


@dataclass(frozen=True)
class Difference:
    """Between two computations: of log-probs in nats, of gradients relative by tensor. None: not compared."""

    logprobs_max: float | None = None
    logprobs_mean: float | None = None
    gradients_worst: float | None = None
    tensor: str = ""

    def within(self, bound: Difference) -> bool:
        found, limits = self.known(), bound.known()
        return all(found[name] <= limits[name] for name in NUMBERS if name in found and name in limits)  # not so nan

    def times(self, factor: float) -> Difference:
        return Difference(**{name: factor * value for name, value in self.known().items() if name in NUMBERS})

    def known(self) -> dict[str, Any]:
        """What was compared."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="mid", help="of the random weights: tiny, mid or qwen2-vl-2b")
    parser.add_argument("--dtype", nargs="+", choices=("float32", "bfloat16"), default=["float32", "bfloat16"])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--vision-tokens", type=int, default=64, help="of the largest image")
    parser.add_argument("--new-tokens", type=int, default=16, help="of the longest completion")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    torch.set_float32_matmul_precision("highest")  # no TF32
    torch.backends.cudnn.allow_tf32 = False
    check = partial(check_dtype, args.shape, device=args.device, vision=args.vision_tokens, new=args.new_tokens)
    found = {dtype: check(dtype=dtype) for dtype in progress(args.dtype, "checks", total=len(args.dtype))}
    result = {"shape": args.shape, "device": args.device, "tf32": False, **found}
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    print("; ".join(summary(dtype, one["checks"]) for dtype, one in found.items()))
    failed = [f"{dtype}: {row['name']}" for dtype, one in found.items() for row in one["checks"] if not row["passed"]]
    if failed:
        raise SystemExit("beyond the bound: " + ", ".join(failed))


def summary(dtype: str, rows: Sequence[Mapping[str, Any]]) -> str:
    logprobs, gradients = (max(row.get(name, 0.0) for row in rows) for name in ("logprobs_max", "gradients_worst"))
    passed = sum(row["passed"] for row in rows)
    return f"{dtype} {passed} of {len(rows)} hold, log-probs within {logprobs:.1e}, gradients within {gradients:.1e}"


def check_dtype(shape: str, *, dtype: str, device: str, vision: int, new: int) -> dict[str, Any]:
    """All comparisons in one dtype; the reports of each, and in bfloat16 what rounding costs the plain path."""
    policy = sharpened(random_policy(shape, dtype, device))
    prompts = mixed_prompts(vision)
    batch = random_batch(policy, prompts, new)
    weights_BT = torch.randn(batch.mask_BT.shape, generator=torch.Generator().manual_seed(4)).to(policy.device)
    plain = plain_pass(policy, batch, weights_BT)
    reference_BT = plain_reference(policy, batch)
    if dtype == "float32":
        bound = Difference(logprobs_max=FLOAT32, gradients_worst=FLOAT32)
        truth, noise = plain, None
    else:
        twin = in_float32(policy, shape, device)
        truth, true_reference_BT = plain_pass(twin, batch, weights_BT), plain_reference(twin, batch)
        del twin
        noise = difference(plain, truth, batch.mask_BT)
        bound, reference_BT = noise.times(ROUNDING), true_reference_BT
    rows = []
    for name, found in compared(policy, batch, weights_BT, truth, reference_BT, new):
        rows.append({"name": name, **found.known(), "bound": bound.known(), "passed": found.within(bound)})
    visible = float((truth.logprobs_BT - reference_BT).abs().sum() / batch.mask_BT.sum())
    smallest = min(float(gradient.norm()) for gradient in truth.gradients.values())
    if not (visible > VISIBLE and smallest > 0):
        raise SystemExit(
            f"the check is blind: the adapter changes log-probs by {visible:.2g}, a gradient is {smallest}"
        )
    return {"adapter_changes_logprobs_by": visible, "rounding": noise and noise.known(), "checks": rows}


def compared(
    policy: Policy, batch: GroupBatch, weights_BT: Tensor, truth: Pass, reference_BT: Tensor, new: int
) -> Iterator[tuple[str, Difference]]:
    """Every way to compute the step, against the truth or against another way."""
    for name, checkpointing in (("shared prefix", False), ("shared prefix, checkpointing", True)):
        policy.language.checkpointing = checkpointing
        found = one_pass(policy, weights_BT, lambda: policy.logprobs(batch, TEMPERATURE).logprobs)
        yield name, difference(found, truth, batch.mask_BT)
    reference = Pass(policy.reference_logprobs(batch, TEMPERATURE), {})
    yield "reference", difference(reference, Pass(reference_BT, {}), batch.mask_BT)
    case = Case(0, max(SIZES), new)
    grpo = grpo_of(policy, case, f"rollout.temperature={TEMPERATURE}", "train.parity_tolerance=1e9")
    for name, checkpointing in (("recording", False), ("recording, checkpointing", True)):
        policy.language.checkpointing = checkpointing
        yield from updates(grpo, batch.prompts, name)
    policy.language.checkpointing = False
    yield from samplers(policy, batch.prompts, new)


def samplers(policy: Policy, prompts: Sequence[Prompt], new: int) -> Iterator[tuple[str, Difference]]:
    """Completions that end early, with few places for keys at a time: on CUDA, graphs are recorded again and again."""
    engine, ends, segment = NativeEngine(policy), policy.end_ids, decoding.SEGMENT
    policy.end_ids, decoding.SEGMENT = (*ends, *range(0, len(policy.head_VH), 12)), 7
    held = []
    for name, temperature, top_p in (("top-p", TEMPERATURE, 0.9), ("greedy", 0.0, 1.0)):
        sampled = engine.generate(prompts, 8, Sampling(temperature, top_p, 2 * new), Draws(1))
        again = to_batch([made_up_group(rollouts) for rollouts in sampled])
        with torch.no_grad():
            trained = Pass(policy.logprobs(again, temperature or 1.0).logprobs, {})
        yield (
            f"{name} sampler against trainer",
            difference(Pass(again.sampled_BT.to(policy.device), {}), trained, again.mask_BT),
        )
    for number in range(6 if policy.device.type == "cuda" else 0):
        engine.generate(prompts, 8, Sampling(TEMPERATURE, 1.0, 2 * new), Draws(number))
        held.append(torch.cuda.memory_reserved(policy.device))
    if held and held[-1] > held[2]:
        raise SystemExit(f"sampling again and again takes more and more memory: {held} bytes")
    policy.end_ids, decoding.SEGMENT = ends, segment


def updates(grpo: Grpo, prompts: Sequence[Prompt], name: str) -> Iterator[tuple[str, Difference]]:
    """The update that training makes of what sampling has recorded, where it does, and the same computed anew."""
    policy = grpo.policy
    groups = [made_up_group(rollouts) for rollouts in grpo.sample(prompts, Draws(0), step=1)]
    recording = policy.recording
    recorded, _ = gradients_of_update(grpo, groups)
    fresh, parity = gradients_of_update(grpo, groups)
    if recording is not None:
        if recording.kept and not policy.language.checkpointing:
            raise SystemExit("training did not take over what sampling recorded")
        yield name, relative(recorded, fresh)
    if name == "recording":
        yield "sampler against trainer", Difference(parity["parity/max"], parity["parity/mean"])
        batch = to_batch(groups)
        with torch.no_grad():
            plain = Pass(plain_logprobs(policy, batch, TEMPERATURE), {})
        sampled = Pass(batch.sampled_BT.to(policy.device), {})
        yield "sampler against the plain path", difference(sampled, plain, batch.mask_BT)


def gradients_of_update(grpo: Grpo, groups: Sequence[Group]) -> tuple[Gradients, Mapping[str, Any]]:
    """Of an update whose optimizer does not move; and its metrics."""
    learner, kept = grpo.learner, Gradients()

    def look(allowed: object) -> tuple[float, float]:
        kept.update(taken(grpo.policy))
        return 0.0, 0.0

    learner.update = look  # type: ignore[method-assign]
    try:
        values = grpo.update(groups)
    finally:
        del learner.update
    return kept, values


def one_pass(policy: Policy, weights_BT: Tensor, compute: Callable[[], Tensor]) -> Pass:
    logprobs_BT = compute()
    (logprobs_BT * weights_BT).sum().backward()
    return Pass(logprobs_BT.detach(), taken(policy))


def plain_pass(policy: Policy, batch: GroupBatch, weights_BT: Tensor) -> Pass:
    """A completion at a time, backward included: the graphs of all of them would not fit at a large shape."""
    logprobs_BT = torch.zeros_like(weights_BT)
    for row, one in enumerate(rows_of(batch)):
        logprobs_1T = plain_logprobs(policy, one, TEMPERATURE)
        (logprobs_1T * weights_BT[row]).sum().backward()
        logprobs_BT[row] = logprobs_1T[0].detach()
    return Pass(logprobs_BT, taken(policy))


@torch.no_grad()
def plain_reference(policy: Policy, batch: GroupBatch) -> Tensor:
    """Log-probs [B, T] without the adapter."""
    network: Any = policy.network
    with network.disable_adapter():
        return torch.cat([plain_logprobs(policy, one, TEMPERATURE) for one in rows_of(batch)])


def rows_of(batch: GroupBatch) -> Iterator[GroupBatch]:
    """Each completion as a batch of its own."""
    prompts = [prompt for prompt, size in zip(batch.prompts, batch.sizes, strict=True) for _ in range(size)]
    for row, prompt in enumerate(prompts):
        one = slice(row, row + 1)
        tensors = (batch.completion_ids_BT, batch.mask_BT, batch.advantages_B, batch.sampled_BT)
        yield GroupBatch((prompt,), (1,), *(tensor[one] for tensor in tensors))


def taken(policy: Policy) -> Gradients:
    """The adapter's gradients by name; they are taken away from it."""
    found = {}
    for name, parameter in policy.network.named_parameters():
        if parameter.requires_grad:
            if parameter.grad is None:
                raise SystemExit(f"{name} got no gradient")
            found[name], parameter.grad = parameter.grad.float(), None
    return found


def difference(one: Pass, other: Pass, mask_BT: Tensor) -> Difference:
    gaps_T = (one.logprobs_BT - other.logprobs_BT).abs()[mask_BT.to(one.logprobs_BT.device)]
    found = relative(one.gradients, other.gradients) if one.gradients else Difference()
    return Difference(float(gaps_T.max()), float(gaps_T.mean()), found.gradients_worst, found.tensor)


def relative(one: Gradients, other: Gradients) -> Difference:
    """The tensor whose gradients differ most, relative to the other's norm."""
    apart = {name: float((one[name] - other[name]).norm() / other[name].norm()) for name in other}
    worst = max(apart, key=lambda name: apart[name] if apart[name] == apart[name] else float("inf"))
    return Difference(None, None, apart[worst], worst)


@torch.no_grad()
def sharpened(policy: Policy) -> Policy:
    """In place: every matrix gets the gain, and the adapter a B that is seen."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in policy.network.named_parameters():
        if "lora_B" in name:
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * ADAPTER)
        elif parameter.ndim > 1 and not parameter.requires_grad:
            fan_in = parameter[0].numel()
            parameter.mul_(GAIN / (float(parameter.float().std()) * fan_in**0.5))
    return policy


def in_float32(policy: Policy, shape: str, device: str) -> Policy:
    """Another policy of the same weights, rounded as they are, that computes in float32."""
    twin = random_policy(shape, "float32", device)
    twin.network.load_state_dict(policy.network.state_dict())
    return twin


def mixed_prompts(vision: int) -> tuple[Prompt, ...]:
    """With one image of so many tokens, with two smaller ones, and with none."""
    large, middle, small = (
        Noise(number, *grid(max(4, tokens))) for number, tokens in enumerate((vision, vision // 2, vision // 4))
    )
    images: tuple[tuple[Noise, ...], ...] = ((large,), (middle, small), ())
    questions = (QUESTION, f"Compare the two images, please. {QUESTION}", "Is it large?")
    pool = load_pool("default")
    return tuple(
        ask(Example(f"{number}", f"{number}", sources, question, "yes"), pool.reasoning)
        for number, (sources, question) in enumerate(zip(images, questions, strict=True))
    )


def random_batch(policy: Policy, prompts: tuple[Prompt, ...], new: int) -> GroupBatch:
    """Completions of random tokens, from one token to `new`."""
    stream = Draws(0).at("lengths").stream()
    B = sum(SIZES)
    lengths_B = torch.tensor([new, 1, *(stream.randint(1, new) for _ in range(B - 2))])
    allowed = (~policy.suppressed_V).nonzero()[:, 0].cpu()
    ids_BT = allowed[torch.randint(len(allowed), (B, new), generator=torch.Generator().manual_seed(3))]
    mask_BT = torch.arange(new) < lengths_B[:, None]
    return GroupBatch(prompts, SIZES, ids_BT, mask_BT, torch.zeros(B), torch.zeros(B, new))


if __name__ == "__main__":
    main()
