"""What a GRPO step holds in memory: as `rarl plan` computes it, and as it is, by phase.

`python benchmarks/memory.py --shape 256,8,64 --out results.json` takes a step of 8 completions of 64 tokens about one
image of 256 vision tokens on random weights; `--shape` may be given several times. On CUDA the peak is the allocator's.
On the CPU every allocation of a tensor is taken from torch's profiler; a second step, in a process of its own and
without the profiler, gives the resident set.

No completion ends early. The optimizer has its moments from the start, as in every step but the first.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function
from versus.case import Case
from versus.meter import Meter
from vs_trl import CPU_THREADS, TAIL, shape

from rarl.benchmarking import random_policy
from rarl.config import Lora, RunConfig
from rarl.draws import Draws
from rarl.engines import NativeEngine
from rarl.environment import describe_environment
from rarl.planning import workload
from rarl.policy import Policy
from rarl.policy.footprint import footprint, needed_bytes, tensor_bytes
from rarl.policy.sizes import Sizes, sizes_of
from rarl.prompting import load_pool
from rarl.rewards import Scorer
from rarl.training.batches import Batches
from rarl.training.grpo import Grpo
from rarl.training.learner import Learner
from rarl.types import Group, Prompt, Rollout, Score

MARK = "phase "  # in the profile: what follows belongs to this phase
STARTING = "start"


class Peaks:
    """Bytes of tensors at the peak of each phase. On the CPU of those alone that were made since `watch`."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._phase = STARTING
        self.bytes: dict[str, int] = defaultdict(int)

    @contextmanager
    def watch(self) -> Iterator[None]:
        gc.collect()  # what is given up while it is watched would count as less than nothing
        profiler: AbstractContextManager[Any] = nullcontext()
        if not self._cuda:
            profiler = profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True)
        with profiler as profiled:
            yield
            self._enter(STARTING)
        if not self._cuda:
            self._read(profiled)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A phase within another is not part of it."""
        outer = self._phase
        self._enter(name)
        try:
            yield
        finally:
            self._enter(outer)

    def within(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            with self.phase(name):
                return function(*arguments, **named)

        return call

    def _enter(self, name: str) -> None:
        if self._cuda:
            self.bytes[self._phase] = max(self.bytes[self._phase], torch.cuda.max_memory_allocated())
            torch.cuda.reset_peak_memory_stats()
        else:
            with record_function(MARK + name):
                pass
        self._phase = name

    def _read(self, profiled: Any) -> None:
        events = [(event.start_ns(), event) for event in profiled.profiler.kineto_results.events()]
        live, phase = 0, STARTING
        for _, event in sorted(events, key=lambda pair: pair[0]):
            if event.name().startswith(MARK):
                phase = event.name().removeprefix(MARK)
            elif event.name() == "[memory]":
                live += event.nbytes()
            self.bytes[phase] = max(self.bytes[phase], live)


def measured(make: Callable[[], Policy], config: RunConfig, prompts: Sequence[Prompt], device: torch.device) -> Peaks:
    """A policy made, the prompts' images encoded, a step taken."""
    peaks = Peaks(device)
    with peaks.watch():
        policy = make()
        grpo = _grpo(policy, config)
        for parameter in policy.trainable():
            parameter.grad = torch.zeros_like(parameter)
        grpo.learner.update()
        take_step(policy, grpo, prompts, peaks)
    return peaks


def take_step(policy: Policy, grpo: Grpo, prompts: Sequence[Prompt], peaks: Peaks) -> None:
    with peaks.phase("vision"):
        for prompt in prompts:
            policy.encode(prompt)
    with peaks.phase("sampling"):
        rollouts = grpo.sample(prompts, Draws(0), step=1)
    policy.reference_logprobs = peaks.within("reference", policy.reference_logprobs)  # type: ignore[method-assign]
    grpo.learner.update = peaks.within("update", grpo.learner.update)  # type: ignore[method-assign]
    with peaks.phase("training"):
        grpo.update([_made_up_scores(group) for group in rollouts])


def planned(policy: Policy, config: RunConfig, prompts: Sequence[Prompt]) -> tuple[Sizes, dict[str, dict[str, int]]]:
    """The policy's sizes, and the footprint of that step; its prompts are equally long."""
    sizes = sizes_of(policy.base.config, Lora(), policy.head_VH.dtype, policy.device)
    encoded = policy.encode(prompts[0])
    load = replace(
        workload(config, len(encoded)),
        groups=len(prompts),
        images=len(prompts),
        vision_tokens=sum(map(len, encoded.features_VH)),
        checkpointing=policy.language.checkpointing,
        evaluated=0,
    )
    return sizes, footprint(sizes, load)


def measure(case: Case) -> dict[str, Any]:
    """One row of the result."""
    kept: list[Policy] = []

    def make() -> Policy:
        kept.append(_policy(case))
        return kept[0]

    peaks = measured(make, _config(case), case.prompts, torch.device(case.device))
    sizes, phases = planned(kept[0], _config(case), case.prompts)
    found = {name: {"planned": sum(parts.values()), "measured": peaks.bytes[name]} for name, parts in phases.items()}
    return {
        "shape": f"{case.vision_tokens},{case.group_size},{case.new_tokens}",
        **{name: getattr(case, name) for name in ("groups", "checkpointing", "model", "dtype", "device")},
        "phases": found,
        "tensor_bytes": {
            "planned": tensor_bytes(phases),
            "measured": max(phase["measured"] for phase in found.values()),
        },
        "needed_bytes": needed_bytes(sizes, phases),
    }


def resident(case: Case) -> dict[str, int]:
    """The largest resident set of this process, after a step."""
    policy = _policy(case)
    take_step(policy, _grpo(policy, _config(case)), case.prompts, Peaks(policy.device))
    return {"resident_bytes": Meter(policy.device).peak()}


def _policy(case: Case) -> Policy:
    policy = random_policy(case.model, case.dtype, case.device)
    policy.language.checkpointing = case.checkpointing
    policy.end_ids = ()
    return policy


def _config(case: Case) -> RunConfig:
    return RunConfig().override([f"rollout.group_size={case.group_size}", f"rollout.max_new_tokens={case.new_tokens}"])


def _grpo(policy: Policy, config: RunConfig) -> Grpo:
    batches, learner = Batches((), 1, Draws(0)), Learner(policy, config.train)
    pool, scorer = load_pool(config.prompt.pool), Scorer(config.reward.weights, config.reward.gates)
    return Grpo(policy, NativeEngine(policy), learner, batches, pool, scorer, config, lambda step, groups: None)


def _made_up_scores(rollouts: Sequence[Rollout]) -> Group:
    totals = [float(place % 2) for place in range(len(rollouts))]
    scores = tuple(Score(total, {}) for total in totals)
    return Group(rollouts[0].prompt, tuple(rollouts), scores, tuple(2 * total - 1 for total in totals))


def in_its_own_process(case: Case) -> dict[str, Any]:
    """The row, and on the CPU the resident set beside it; SystemExit if a process fails."""
    row: dict[str, Any] = {}
    for side in ("tensors", *(("resident",) if case.device == "cpu" else ())):
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch) / "side.json"
            command = [sys.executable, __file__, "--side", side, "--case", case.to_json(), "--out", str(out)]
            environment = os.environ | (CPU_THREADS if case.device == "cpu" else {})
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            if done.returncode:
                raise SystemExit(f"{side} failed on {case}\n{done.stderr[-TAIL:]}")
            row |= json.loads(out.read_text())
    return row


def line(row: dict[str, Any]) -> str:
    """A row for the eye."""
    tensors = row["tensor_bytes"]
    words = f"{row['shape']} x {row['groups']}{' checkpointing' * row['checkpointing']}: "
    words += f"{tensors['planned'] / 1e6:,.1f} MB planned, {tensors['measured'] / 1e6:,.1f} MB measured"
    by_phase = (f"{name} {each['planned'] / each['measured'] - 1:+.1%}" for name, each in row["phases"].items())
    resident = f"; {row['resident_bytes'] / 1e6:,.0f} MB resident, {row['needed_bytes'] / 1e6:,.0f} MB planned"
    return f"{words} ({', '.join(by_phase)}){resident if 'resident_bytes' in row else ''}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=shape, action="append", default=[], metavar="VISION_TOKENS,G,NEW_TOKENS")
    parser.add_argument("--groups", type=int, default=1, help="prompts of a step")
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing")
    parser.add_argument("--model", choices=("mid", "tiny", "qwen2-vl-2b"), default="mid")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--out", type=Path, required=True)
    for internal in ("--side", "--case"):  # how it calls itself
        parser.add_argument(internal, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.side:
        side = {"tensors": measure, "resident": resident}[args.side]
        args.out.write_text(json.dumps(side(Case.from_json(args.case))))
        return
    if not args.shape:
        raise SystemExit("give at least one --shape, say --shape 256,8,64")
    given = {name: getattr(args, name) for name in ("groups", "checkpointing", "model", "dtype", "device")}
    rows = []
    for one in args.shape:
        rows.append(in_its_own_process(Case(*one, **given)))
        print(line(rows[-1]))
    args.out.write_text(json.dumps({"rows": rows, "environment": describe_environment()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
