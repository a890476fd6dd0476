"""One step of ours on this device: seconds by phase, peak memory, and how near decoding is to what memory allows.

`python benchmarks/device_step.py --model qwen2-vl-2b --dtype bfloat16 --device cuda --shape 900,8,200 --out step.json`
measures what vs_trl.py measures of our side, without a checkpoint on disk and with one more number: decoding reads the
language model's weights and all keys and values once a token, so the bytes over the device's copy bandwidth, measured
here, are the least seconds that it can take. Decoding is what sampling takes beyond its prefill, the sampling of one
token.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from versus.case import Case
from versus.meter import Meter
from versus.rarl_side import measure_policy
from vs_trl import shape

from rarl.benchmarking import random_policy
from rarl.draws import Draws
from rarl.engines import NativeEngine
from rarl.policy import Policy
from rarl.roofline import Lengths, device_rates, step_work
from rarl.types import Sampling

REPEATS = 3  # of the prefill


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=shape, required=True, metavar="VISION_TOKENS,G,NEW_TOKENS")
    parser.add_argument("--groups", type=int, default=1, help="prompts of a step")
    parser.add_argument("--model", default="mid")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--steps", type=int, default=1, help="steps to measure and average, after one to warm up")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    if args.device == "cpu":
        torch.set_num_threads(1)
    given: dict[str, Any] = {name: getattr(args, name) for name in ("groups", "model", "dtype", "device", "steps")}
    case = Case(*args.shape, **given)
    found = measure(case)
    args.out.write_text(json.dumps(found, indent=2) + "\n")
    print(line(case, found))


def measure(case: Case) -> dict[str, Any]:
    policy = random_policy(case.model, case.dtype, case.device)
    found = measure_policy(policy, case)
    return {
        **found,
        "peak_bytes": found["baseline_bytes"] + found["peak_over_baseline_bytes"],
        "decode": decoding(policy, case, found["wall_seconds"]["sampling"], found["prompt_tokens"]),
    }


def decoding(policy: Policy, case: Case, sampling_seconds: float, prompt_tokens: Sequence[int]) -> dict[str, float]:
    """Tokens a second, and the most that the memory's bandwidth allows; wall seconds."""
    prefill = prefill_seconds(policy, case)
    bandwidth = device_rates(policy.device, policy.head_VH.dtype).bytes
    lengths = [Lengths(tokens, (case.new_tokens,) * case.group_size) for tokens in prompt_tokens]
    work = step_work(policy.base.model.language_model.config, lengths, policy.head_VH.element_size())
    read = work["decode"].bytes - work["reference"].bytes  # the first token comes of the prefill, which reads them too
    decoded, seconds = case.completions * (case.new_tokens - 1), sampling_seconds - prefill
    return {
        "prefill_seconds": prefill,
        "decode_seconds": seconds,
        "tokens_per_second": decoded / seconds,
        "copy_bytes_per_second": bandwidth,
        "bytes": read,
        "bound_seconds": read / bandwidth,
        "share_of_bound": read / bandwidth / seconds,
    }


def prefill_seconds(policy: Policy, case: Case) -> float:
    """Of a sampling that ends with its first token; the best of several."""
    engine, meter, times = NativeEngine(policy), Meter(policy.device), []
    policy.recording = None
    for _ in range(REPEATS):
        meter.restart()
        with meter.phase("prefill"):
            engine.generate(case.prompts, case.group_size, Sampling(max_new_tokens=1), Draws(0))
        times.append(meter.wall["prefill"])
    return min(times)


def line(case: Case, found: dict[str, Any]) -> str:
    """For the eye."""
    seconds, decode = found["wall_seconds"], found["decode"]
    phases = ", ".join(f"{name} {seconds[name]:.2f}" for name in ("sampling", "reference", "forward", "backward"))
    return (
        f"{case.groups} groups: step {seconds['step']:.2f} s ({phases}); "
        f"decode {decode['tokens_per_second']:.0f} tokens/s, {decode['share_of_bound']:.0%} of the bytes-bound rate; "
        f"peak {found['peak_bytes'] / 1e9:.2f} GB"
    )


if __name__ == "__main__":
    main()
