"""Does a device give the same bytes twice? The embedded model is trained twice on the same data, in each of two modes.

`python benchmarks/device_repeat.py --device cuda --out repeat.json` trains with and without `model.deterministic`,
twice each, and writes down whether adapters and metrics are equal, the first step whose metrics differ, how far the
adapters are apart (||difference|| / ||adapter||), and how much longer the deterministic mode takes. The exit status is
1 where the deterministic mode does not repeat.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import torch
from safetensors.torch import load_file

import rarl
from rarl.files import read_rows
from rarl.runlog import RunFolder

SETTINGS = (
    "model.base=tiny",
    "data.limit=64",
    "rollout.group_size=8",
    "rollout.prompts_per_step=8",
    "rollout.max_new_tokens=64",
    "train.lr=2e-3",
    "model.cache_dir=off",
    "eval.enabled=false",
    "reward.probe=off",
    "checkpoint.every_steps=0",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    found = {str(mode).lower(): compared(mode, args.device, args.steps) for mode in (False, True)}
    seconds = [found[mode]["seconds_a_step"] for mode in ("true", "false")]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() and args.device != "cpu" else "cpu"
    result = {"device": device, "torch": torch.__version__, "steps": args.steps, "deterministic": found}
    args.out.write_text(json.dumps({**result, "slowdown": seconds[0] / seconds[1]}, indent=2) + "\n")
    print(args.out.read_text(), end="")
    return 0 if found["true"]["adapters_equal"] and found["true"]["first_step_apart"] is None else 1


def compared(deterministic: bool, device: str, steps: int) -> dict[str, Any]:
    """Two runs of the same settings, beside each other."""
    config = rarl.RunConfig().override(
        [
            *SETTINGS,
            f"model.device={device}",
            f"train.steps={steps}",
            f"model.deterministic={str(deterministic).lower()}",
        ]
    )
    with tempfile.TemporaryDirectory() as folder:
        runs = [RunFolder(rarl.train(config, out=Path(folder) / name).folder) for name in ("one", "two")]
        rows = [list(read_rows(run.path / "metrics.jsonl")) for run in runs]
        one, two = (load_file(run.adapter / "adapter_model.safetensors") for run in runs)
        seconds = [row["whole"] for run in runs for row in run.timings()[1:]]  # the first step warms up
    apart = [mine["step"] for mine, theirs in zip(*rows, strict=True) if mine != theirs]
    return {
        "adapters_equal": all(torch.equal(one[name], two[name]) for name in one),
        "adapters_apart": distance(one, two),
        "first_step_apart": min(apart, default=None),
        "seconds_a_step": median(seconds),
    }


def distance(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> float:
    difference = sum(float((one[name].double() - two[name].double()).square().sum()) for name in one)
    size = sum(float(value.double().square().sum()) for value in one.values())
    return (difference / size) ** 0.5


if __name__ == "__main__":
    raise SystemExit(main())
