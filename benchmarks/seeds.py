"""The quickstart under several seeds, before and after, written to docs/demo.md.

    python benchmarks/seeds.py --seeds 0 1 2 --out runs/seeds

A seed decides the training items, the test items, the adapter's initialisation, the order, the instructions drawn and
the sampling. Runs that are finished are read, not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import rarl
from rarl.assembly import Run, resume
from rarl.files import write_text
from rarl.reporting.results import Result, percent, points

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "quickstart.toml")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/seeds"))
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "demo.md", help="where the table goes")
    arguments = parser.parse_args()
    runs = {seed: _run(arguments.config, seed, arguments.out / f"seed-{seed}") for seed in arguments.seeds}
    threads = [f"OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']}"] if "OMP_NUM_THREADS" in os.environ else []
    command = " ".join([*threads, "python benchmarks/seeds.py --seeds", *map(str, arguments.seeds)])
    write_text(arguments.page, page(runs, command))


def _run(config: Path, seed: int, folder: Path) -> Run:
    if folder.exists():
        return resume(folder)
    return rarl.train(rarl.RunConfig.load(config, [f"run.seed={seed}"]), out=folder)


def page(runs: dict[int, Run], command: str) -> str:
    """The results as Markdown."""
    environment = json.loads((next(iter(runs.values())).folder / "environment.json").read_text())
    rows = [row for seed, run in runs.items() for result in run.results for row in _rows(seed, result)]
    packages = ", ".join(f"{name} {environment['packages'][name]}" for name in ("torch", "transformers", "peft"))
    return f"""# Results of the embedded demo

Written by `{command}`,
which runs `configs/quickstart.toml`, the configuration of `make demo`, once a seed. Made with Python
{environment["python"]}, {packages} on {environment["cpus"]} cores of {environment["cpu"]}.

Accuracy and reasoning quality (the mean of grounding, consistency and substance) on held-out questions, in per cent
with 95 % intervals; the difference is paired by question. Beside the accuracy stand what the commonest answer would
score and what the trained model scores on the same questions with another question's image.

| seed | metric | before | after | difference | n |
|---|---|---|---|---|---|
{chr(10).join(rows)}

What this shows: on this benchmark the reward is learned and carries over to held-out images and items in the same
wordings. What it does not: anything about a real model or real images, or that RARL beats another method: no arms are
compared here. Seeds differ by more than the intervals over items suggest.
"""


def _rows(seed: int, result: Result) -> list[str]:
    rows = []
    for metric in ("accuracy", "reasoning"):
        after = result.after.summary.metrics[metric]
        before = result.before.summary.metrics[metric] if result.before else None
        difference = result.difference(metric)
        shown = points(difference) if difference else ""
        rows.append(f"| {seed} | {metric} | {percent(before)} | {percent(after)} | {shown} | {after.n} |")
    for name, found in result.after.summary.baselines.items():
        rows.append(f"| {seed} | {name.replace('_', ' ')} | | {percent(found)} | | {found.n} |")
    return rows


if __name__ == "__main__":
    sys.exit(main())
