"""Examples a second of an evaluation that asks one by one, and in batches: embedded model on embedded benchmark.

    OMP_NUM_THREADS=1 python benchmarks/eval_speed.py

writes benchmarks/results/eval-speed.json. Seconds are the processor's; loading is not among them, nor the first look at
an image, which is once in a data set's life.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rarl.config import RunConfig
from rarl.engines import NativeEngine
from rarl.environment import describe_environment
from rarl.evaluating import evaluate_split, load_split
from rarl.policy import Policy
from rarl.prompting import load_pool

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=128)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "eval-speed.json")
    args = parser.parse_args(arguments)
    found = measure(args.examples, args.batches)
    args.out.write_text(json.dumps({**found, "environment": describe_environment()}, indent=1) + "\n")
    for row in found["batches"]:
        print(json.dumps(row))


def measure(examples: int, batches: Sequence[int]) -> dict[str, Any]:
    """Seconds for each number of prompts in a batch, beside those of the first number."""
    settings = ["model.base=tiny", "model.device=cpu", "eval.baselines=false", "data.split=test", "model.cache_dir=off"]
    config = RunConfig().override([*settings, f"eval.limit={examples}"])
    dataset, pool = load_split(config, "test", examples), load_pool(config.prompt.pool)
    engine = NativeEngine(Policy.load(config.model))
    for example in dataset:
        engine.policy.vision.of(example.images[0])
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for size in batches:
            changed = config.override([f"eval.prompts_per_batch={size}"])
            started = time.process_time()
            evaluate_split(engine, dataset, pool, changed, Path(scratch, str(size)))
            seconds = time.process_time() - started
            rate = examples / seconds
            first = rows[0]["examples_a_second"] if rows else rate
            rows.append(
                {"prompts": size, "seconds": seconds, "examples_a_second": rate, "times_one_by_one": rate / first}
            )
    return {"examples": examples, "max_new_tokens": config.rollout.max_new_tokens, "batches": rows}


if __name__ == "__main__":
    main()
