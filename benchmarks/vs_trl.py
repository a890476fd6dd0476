"""One GRPO step with LoRA, this package's against TRL's GRPOTrainer: seconds, memory, images encoded, tokens computed.

`python benchmarks/vs_trl.py --shape 256,8,64 --out results.json` takes a step of 8 completions of 64 tokens about one
image of 256 vision tokens on both sides, each in a process of its own: the same random checkpoint and adapter (LoRA
r = 8 on the language model's seven linears), the same prompts and completion lengths, beta 0.04, one optimizer step,
the second after one to warm up. `--shape` may be given several times. A ratio of seconds is TRL's by ours, that of
memory ours by TRL's: both are ours to win, the first above 1 and the second below. On the CPU it compares CPU seconds
under one thread, on CUDA wall seconds.

No completion ends early: the end token cannot be drawn. With `--ragged` each ends at a length of its own, uniform from
an eighth of the third number to the third number (128: 16 to 128), drawn once and dictated to both samplers.

Our vision features are warm; `rarl.cold` says what encoding the images costs, and the step's ratio with it. What was
chosen for TRL, and why, is in versus/trl_side.py. `vision` is the tower's forwards, a part of the other phases.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from versus.case import MAX_VISION_TOKENS, Case

from rarl.environment import describe_environment
from rarl.terminal import progress

SIDES = ("trl", "rarl")
OPTIONS = ("groups", "checkpointing", "ragged", "model", "dtype", "device")
CPU_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
TAIL = 3000  # characters of a failed side's error stream


@dataclass(frozen=True)
class Job:
    """One process: a side of a case, or the checkpoint that both start from."""

    side: str
    case: Case
    folder: Path

    def run(self) -> dict[str, Any]:
        """What the process measured; SystemExit with its last words if it failed."""
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch) / "side.json"
            words = ["--side", self.side, "--case", self.case.to_json(), "--folder", str(self.folder)]
            environment = os.environ | {"TOKENIZERS_PARALLELISM": "false", "TRL_EXPERIMENTAL_SILENCE": "1"}
            if self.case.device == "cpu":
                environment |= CPU_THREADS
            command = [sys.executable, __file__, *words, "--out", str(out)]
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            if done.returncode:
                raise SystemExit(f"{self.side} failed on {self.case}\n{done.stderr[-TAIL:]}")
            found: dict[str, Any] = json.loads(out.read_text())
            return found


def measure_side(side: str, case: Case, folder: Path) -> dict[str, Any]:
    """In the side's own process; it imports only what its side needs."""
    import torch

    if case.device == "cpu":
        torch.set_num_threads(1)
    if side == "build":
        from versus.weights import build

        build(case, folder)
        return {}
    if side == "trl":
        from versus.trl_side import measure
    else:
        from versus.rarl_side import measure
    device = torch.cuda.get_device_name() if case.device != "cpu" else "cpu"
    return {**measure(case, folder), "threads": torch.get_num_threads(), "device": device}


def row(case: Case, trl: dict[str, Any], rarl: dict[str, Any]) -> dict[str, Any]:
    """One row of the result; SystemExit if the two sides did not do the same work."""
    for what in ("prompt_tokens", "completion_tokens"):
        if trl[what] != rarl[what]:
            raise SystemExit(f"{case}: {what} are {trl[what]} on TRL's side and {rarl[what]} on ours")
    clock = "cpu_seconds" if case.device == "cpu" else "wall_seconds"
    ours, theirs, cold = rarl[clock], trl[clock], rarl["cold"]
    cold["ratio_step"] = round(theirs["step"] / (ours["step"] + cold[clock]), 3)
    return {
        "shape": f"{case.vision_tokens},{case.group_size},{case.new_tokens}",
        **{name: getattr(case, name) for name in OPTIONS},
        "steps": case.steps,
        "clock": clock,
        "ratio_step": round(theirs["step"] / ours["step"], 3),
        "ratio_train": round(theirs["train"] / ours["train"], 3),
        "ratio_memory": round(rarl["peak_over_baseline_bytes"] / trl["peak_over_baseline_bytes"], 3),
        "trl": trl,
        "rarl": rarl,
    }


def line(one: dict[str, Any]) -> str:
    """A row for the eye."""
    flags = "".join(f" {name}" for name in ("checkpointing", "ragged") if one[name])
    sides = ", ".join(f"{side} {one[side][one['clock']]['step']:.2f} s" for side in SIDES)
    cold = one["rarl"]["cold"]["ratio_step"]
    return (
        f"{one['shape']} x {one['groups']}{flags}: step {one['ratio_step']:.2f} x ({sides}; cold {cold:.2f} x), "
        f"train {one['ratio_train']:.2f} x, memory {one['ratio_memory']:.2f}"
    )


def shape(text: str) -> tuple[int, int, int]:
    """VISION_TOKENS,G,NEW_TOKENS"""
    try:
        vision_tokens, group_size, new_tokens = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not VISION_TOKENS,G,NEW_TOKENS, say 256,8,64") from None
    if not 4 <= vision_tokens <= MAX_VISION_TOKENS or group_size < 2 or new_tokens < 2:
        raise argparse.ArgumentTypeError(f"{text!r}: 4 to {MAX_VISION_TOKENS} vision tokens, G and new tokens from 2")
    return vision_tokens, group_size, new_tokens


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=shape, action="append", default=[], metavar="VISION_TOKENS,G,NEW_TOKENS")
    parser.add_argument("--groups", type=int, default=1, help="prompts of a step")
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing on both sides")
    parser.add_argument("--ragged", action="store_true", help="completions of different lengths")
    parser.add_argument("--model", choices=("mid", "tiny", "qwen2-vl-2b"), default="mid")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--steps", type=int, default=1, help="steps to measure and average")
    parser.add_argument(
        "--trl-micro-batch", dest="micro_batch", type=int, default=0, help="completions in TRL's forward; default: all"
    )
    parser.add_argument("--out", type=Path, required=True)
    for internal in ("--side", "--case", "--folder"):  # how it calls itself
        parser.add_argument(internal, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if min(args.groups, args.steps) < 1:
        parser.error("--groups and --steps are at least 1")
    if args.micro_batch and any(one[1] * args.groups % args.micro_batch for one in args.shape):
        parser.error(f"--trl-micro-batch {args.micro_batch} must divide the completions of a step")
    if args.device == "cuda" and not args.side and not torch_sees_cuda():
        parser.error("--device cuda: torch sees no CUDA device")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    return args


def torch_sees_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    if args.side:
        found = measure_side(args.side, Case.from_json(args.case), Path(args.folder))
        args.out.write_text(json.dumps(found))
        return
    if not args.shape:
        raise SystemExit("give at least one --shape, say --shape 256,8,64")
    given: dict[str, Any] = {name: getattr(args, name) for name in (*OPTIONS, "steps", "micro_batch")}
    cases = [Case(*one, **given) for one in args.shape]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        jobs = [Job("build", cases[0], folder), *(Job(side, case, folder) for case in cases for side in SIDES)]
        measured = [job.run() for job in progress(jobs, "processes", total=len(jobs))][1:]
    rows = [row(case, trl, rarl) for case, trl, rarl in zip(cases, measured[::2], measured[1::2], strict=True)]
    environment = describe_environment()
    environment["packages"]["trl"] = version("trl")
    args.out.write_text(json.dumps({"rows": rows, "environment": environment}, indent=2) + "\n")
    print("\n".join(map(line, rows)))


if __name__ == "__main__":
    main()
