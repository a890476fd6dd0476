"""How a step's seconds and memory grow with completions a group, vision tokens and new tokens, each by itself.

`python benchmarks/scaling.py` measures our side of vs_trl.py, a fresh process for each point, on random weights of
`mid` in float32, one group; it writes benchmarks/results/scaling-<device>.json and draws docs/scaling.png. With
`--from FILE.json` it draws what was measured before. Seconds are the CPU's on the CPU, under one thread, and the wall's
on CUDA. Of each sweep it says the slope of log seconds over log size, 1 for a cost in proportion and less where a part
is fixed, and how far the points are from a straight line.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from versus.case import Case
from versus.meter import PHASES
from vs_trl import Job

from rarl.environment import describe_environment
from rarl.terminal import progress

ROOT = Path(__file__).resolve().parents[1]
SWEEPS = {"group_size": (2, 4, 8, 16), "vision_tokens": (64, 144, 256, 576), "new_tokens": (16, 32, 64, 128)}
AXES = {"group_size": "completions a group, G", "vision_tokens": "vision tokens", "new_tokens": "new tokens"}
USUAL = Case(vision_tokens=256, group_size=8, new_tokens=64)
COLOURS = ("#17627d", "#c2592f", "#5f8a34", "#7d5aa6", "#a87b0a")  # of the report's figures, as are the settings
INK, MUTED, RULE = "#1d2327", "#5d676e", "#dcd9d1"
STYLE: Any = {
    "font.size": 9,
    "axes.edgecolor": RULE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.labelcolor": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("mid", "tiny", "qwen2-vl-2b"), default="mid")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--steps", type=int, default=3, help="steps to measure and average, after one to warm up")
    parser.add_argument("--from", dest="measured", type=Path, help="draw this file's measurements")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--figure", type=Path, default=ROOT / "docs" / "scaling.png")
    args = parser.parse_args(arguments)
    if args.measured:
        found = json.loads(args.measured.read_text())
    else:
        usual = replace(USUAL, model=args.model, dtype=args.dtype, device=args.device, steps=args.steps)
        found = measure(usual)
        args.results.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^a-z0-9]+", "-", found["device"].lower()).strip("-")
        (args.results / f"scaling-{name}.json").write_text(json.dumps(found, indent=2) + "\n")
    draw(found, args.figure)
    for sweep, rows in found["sweeps"].items():
        print(f"{AXES[sweep]}: {line(rows)}")


def measure(usual: Case) -> dict[str, Any]:
    """All sweeps; the usual case, which is in each of them, once."""
    cases = {sweep: [changed(usual, sweep, value) for value in values] for sweep, values in SWEEPS.items()}
    each = list(dict.fromkeys(case for sweep in cases.values() for case in sweep))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        Job("build", usual, folder).run()
        sides = {case: Job("rarl", case, folder).run() for case in progress(each, "points", total=len(each))}
    environment = describe_environment()
    device = sides[usual]["device"]
    return {
        "device": environment["cpu"] if device == "cpu" else device,
        "model": usual.model,
        "dtype": usual.dtype,
        "steps": usual.steps,
        "clock": "cpu_seconds" if usual.device == "cpu" else "wall_seconds",
        "sweeps": {
            sweep: [{"value": getattr(case, sweep), **point(sides[case], usual.device)} for case in members]
            for sweep, members in cases.items()
        },
        "environment": environment,
    }


def changed(usual: Case, name: str, value: Any) -> Case:
    return replace(usual, **{name: value})


def point(side: dict[str, Any], device: str) -> dict[str, Any]:
    seconds = side["cpu_seconds" if device == "cpu" else "wall_seconds"]
    return {
        "seconds": {phase: seconds[phase] for phase in (*PHASES, "step")},
        "peak_over_baseline_bytes": side["peak_over_baseline_bytes"],
        "baseline_bytes": side["baseline_bytes"],
        "prompt_tokens": side["prompt_tokens"],
        "lm_tokens": side["lm_tokens"],
    }


def line(rows: Sequence[dict[str, Any]]) -> str:
    """The growth of seconds and memory for the eye."""
    sizes = [row["value"] for row in rows]
    seconds, memory = seconds_of(rows, "step"), [row["peak_over_baseline_bytes"] for row in rows]
    return "; ".join(
        f"{name} {values[0]:.3g} to {values[-1]:.3g} {unit}, exponent {exponent(sizes, values):.2f}, "
        f"{off_line(sizes, values):.0%} off a straight line"
        for name, values, unit in (("step", seconds, "s"), ("memory", [value / 1e6 for value in memory], "MB"))
    )


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The slope of a straight line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def off_line(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The largest distance from the straight line with the least squares, as a share of the largest value."""
    fitted = np.polyval(np.polyfit(sizes, values, 1), sizes)
    return float(np.abs(fitted - values).max() / max(values))


def seconds_of(rows: Sequence[dict[str, Any]], phase: str) -> list[float]:
    return [row["seconds"][phase] for row in rows]


def draw(found: dict[str, Any], file: Path) -> None:
    """Above the seconds, phase on phase, below the memory; a column for each sweep."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 5), layout="constrained")
        above, below = figure.subplots(2, 3, sharex="col", sharey="row")
        for (sweep, rows), seconds, memory in zip(found["sweeps"].items(), above, below, strict=True):
            sizes = [row["value"] for row in rows]
            stacked = [seconds_of(rows, phase) for phase in PHASES]
            layers = seconds.stackplot(sizes, stacked, colors=COLOURS, alpha=0.85, linewidth=0)
            seconds.plot(sizes, np.sum(stacked, 0), "o", color=INK, markersize=3.5)
            megabytes = [row["peak_over_baseline_bytes"] / 1e6 for row in rows]
            memory.plot(sizes, megabytes, "o-", color=COLOURS[0], markersize=3.5)
            memory.set_xlabel(AXES[sweep])
            memory.set_xticks(sizes)
            memory.set_xlim(0, max(sizes) * 1.03)
        for row in (above, below):  # shared by its columns, so once all of them are drawn
            row[0].set_ylim(bottom=0)
        above[0].set_ylabel("CPU seconds a step" if found["clock"] == "cpu_seconds" else "seconds a step")
        below[0].set_ylabel("peak over baseline, MB")
        figure.legend(layers, PHASES, loc="outside upper left", ncols=len(PHASES))
        figure.savefig(file, dpi=130, metadata={"Software": None})


if __name__ == "__main__":
    main()
