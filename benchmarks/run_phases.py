"""Where the time of a run goes, by phase: also what saving its checkpoints and waiting for its images cost.

    python benchmarks/run_phases.py                          # configs/quickstart.toml
    python benchmarks/run_phases.py --set train.steps=240

trains the recipe anew in a temporary folder and writes each phase's share, as the report's table has it, to
benchmarks/results/run-phases.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import rarl
from rarl.environment import describe_environment
from rarl.reporting.resources import resources
from rarl.reporting.sources import read_sources

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/quickstart.toml")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "run-phases.json")
    args = parser.parse_args(arguments)
    # Vision features are made in the run: those of an earlier one would hide what reading costs.
    overrides = ["eval.enabled=false", "model.cache_dir=off", *args.overrides]
    config = rarl.RunConfig.load(ROOT / args.config, overrides)
    with tempfile.TemporaryDirectory() as folder:
        [source] = read_sources([rarl.train(config, out=Path(folder) / "run").folder])
        found = resources(source)
    assert found is not None
    result = {
        "config": args.config,
        "overrides": overrides,
        "steps": config.train.steps,
        "every_steps": config.checkpoint.every_steps,
        "phases": {phase.name: asdict(phase) for phase in found.phases},
        "facts": dict(found.facts),
        "environment": describe_environment(),
    }
    args.out.write_text(json.dumps(result, indent=2) + "\n")
    for phase in found.phases:
        print(f"{phase.share:7.2%}  {phase.name}")


if __name__ == "__main__":
    main()
