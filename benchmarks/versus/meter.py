"""Clocks by phase, peak memory over a baseline, and counters that have no noise."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import torch

TRAIN = ("reference", "forward", "backward", "optimizer")
PHASES = ("sampling", *TRAIN)


@dataclass
class Meter:
    """Seconds by phase: of the CPU (user and system, all threads of the process) and on the wall."""

    device: torch.device
    cpu: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    wall: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    images: int = 0  # through the vision tower
    tokens: int = 0  # through the language model
    baseline: int = 0  # bytes

    def now(self) -> tuple[float, float]:
        """CPU and wall seconds once the device has done what it was asked to."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.process_time(), time.perf_counter()

    def add(self, phase: str, since: tuple[float, float]) -> None:
        cpu, wall = self.now()
        self.cpu[phase] += cpu - since[0]
        self.wall[phase] += wall - since[1]

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        since = self.now()
        try:
            yield
        finally:
            self.add(name, since)

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time added to a phase."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.phase(name):
                return function(*args, **kwargs)

        return call

    def restart(self) -> None:
        """Forget what was counted up to here: it was the warm-up."""
        self.cpu.clear()
        self.wall.clear()
        self.images = self.tokens = 0

    def count_images(self, tower: torch.nn.Module) -> None:
        """Count every image that goes through a vision tower of Qwen2-VL's signature, and time its forward."""
        began = self.now()

        def before(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            nonlocal began
            self.images += len(kwargs["grid_thw"] if "grid_thw" in kwargs else args[1])
            began = self.now()

        tower.register_forward_pre_hook(before, with_kwargs=True)
        tower.register_forward_hook(lambda module, args, output: self.add("vision", began))

    def count_tokens(self, language_model: torch.nn.Module) -> None:
        """Count batch x length of every forward of transformers' language model."""

        def hook(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            fed = kwargs["inputs_embeds"] if kwargs.get("inputs_embeds") is not None else kwargs["input_ids"]
            self.tokens += fed.shape[0] * fed.shape[1]

        language_model.register_forward_pre_hook(hook, with_kwargs=True)

    def set_baseline(self) -> None:
        """What is held now is the model; the peak is counted from here on."""
        self.reset_peak()
        self.baseline = self.peak()

    def reset_peak(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            Path("/proc/self/clear_refs").write_text("5")  # Linux: the high-water mark falls to what is held

    def peak(self) -> int:
        """Bytes: of the device's allocator, or the process's largest resident set since the reset."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024

    def report(self, steps: int) -> dict[str, Any]:
        """What one step cost, on average over the measured ones."""
        return {
            "cpu_seconds": _by_phase(self.cpu, steps),
            "wall_seconds": _by_phase(self.wall, steps),
            "baseline_bytes": self.baseline,
            "peak_over_baseline_bytes": self.peak() - self.baseline,
            "image_encodes": self.images / steps,
            "lm_tokens": self.tokens / steps,
        }


def _by_phase(seconds: dict[str, float], steps: int) -> dict[str, float]:
    """The step, its phases, the training part of it, what is in no phase, and the vision tower's part of the phases."""
    each = {name: seconds[name] / steps for name in ("step", *PHASES, "vision")}
    each["train"] = sum(each[name] for name in TRAIN)
    each["other"] = each["step"] - sum(each[name] for name in PHASES)
    return {name: round(value, 4) for name, value in each.items()}
