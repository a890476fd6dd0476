"""The least that a step can cost on a device: its floating-point operations and the bytes it must read, over the rates
at which the device multiplies and copies. What a step takes beyond that is overhead."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch

MEASURE_SECONDS = 0.2
COPY_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Work:
    """Multiplications and additions, and bytes of weights, keys and values that must be read."""

    flops: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Rates:
    """What a device does in a second at best: measured on a large product and a large copy (read and write)."""

    flops: float
    bytes: float

    def seconds(self, work: Work) -> float:
        return max(work.flops / self.flops, work.bytes / self.bytes)


@dataclass(frozen=True, slots=True)
class Lengths:
    """In tokens: of a prompt and of the completions behind it."""

    prompt: int
    completions: Sequence[int]


def step_work(text: Any, groups: Sequence[Lengths], element: int, *, recorded: bool = True) -> Mapping[str, Work]:
    """By phase, for a language model's config, prompts shared by their groups and weights of `element` bytes.

    Where sampling's products are `recorded`, the forward of training needs only the output head. The
    backward has no gradient of a weight but the adapter's, which is left out here as the adapter's own products are.
    """
    width, layers = text.hidden_size, text.num_hidden_layers
    key_width = width * text.num_key_value_heads // text.num_attention_heads
    first = width * (width + 2 * key_width)
    layer = first + width * width + 3 * width * text.intermediate_size
    head = width * text.vocab_size
    prompts = sum(group.prompt for group in groups)
    fed = sum(length - 1 for group in groups for length in group.completions)
    drawn = sum(length for group in groups for length in group.completions)
    # Of a prompt only the last row goes through the last layer beyond its keys and values.
    prefill = 2.0 * (prompts * (layers - 1) * layer + prompts * first + len(groups) * (layer - first))
    prefill += 4.0 * layers * width * sum(group.prompt * (group.prompt + 1) / 2 for group in groups)
    attended = sum(_attended(group) for group in groups)
    decode = 2.0 * fed * layers * layer + 4.0 * layers * width * attended
    steps = max(max(group.completions) for group in groups)
    weights = element * (layers * layer + head)
    kept = element * 2 * layers * key_width
    read = sum(kept * _read(group) for group in groups)
    return {
        "prefill": Work(prefill, weights),
        "decode": Work(decode + 2.0 * drawn * head, steps * weights + read),
        "reference": Work(prefill + decode + 2.0 * drawn * head, weights),
        # Twice the head: the direction of its gradient too, while the probabilities are there.
        "forward": Work(4.0 * drawn * head + (0.0 if recorded else prefill + decode), 0.0 if recorded else weights),
        "backward": Work(prefill + decode, weights),
    }


def _attended(group: Lengths) -> float:
    """Pairs of a fed token and one that it attends to."""
    return sum((n - 1) * group.prompt + (n - 1) * n / 2 for n in group.completions)


def _read(group: Lengths) -> float:
    """Keys read in all decode steps: the prompt's once a step for the group, each completion's own."""
    return (max(group.completions) - 1) * group.prompt + sum((n - 1) * n / 2 for n in group.completions)


def device_rates(device: torch.device, dtype: torch.dtype) -> Rates:
    """Measured on the device as it is now, in `dtype`, with as many threads as torch has."""
    side = 8192 if device.type == "cuda" else 1024
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    source = torch.ones(COPY_BYTES, dtype=torch.uint8, device=device)
    into = torch.empty_like(source)
    multiply, copy = _rate(lambda: left @ right, device), _rate(lambda: into.copy_(source), device)
    return Rates(flops=multiply * 2.0 * side**3, bytes=copy * 2.0 * COPY_BYTES)


def _rate(call: Callable[[], Any], device: torch.device) -> float:
    """Calls in a second, the best of several rounds."""
    best = 0.0
    for _ in range(3):
        count, start = 0, perf_counter()
        while perf_counter() - start < MEASURE_SECONDS / 3:
            call()
            count += 1
            _wait(device)
        best = max(best, count / (perf_counter() - start))
    return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
