"""How often the 95 % intervals of an evaluation hold the truth, and how often its tests cry wolf, by simulation.

    python benchmarks/coverage.py

draws data sets of images with unequally many questions, each image with a chance of its own that an answer is right,
and writes benchmarks/results/coverage.json. Beside the interval that `rarl.evaluation.estimate` gives stands the
percentile bootstrap that it took the place of. A few minutes of one CPU.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rarl.environment import describe_environment
from rarl.evaluation import estimate
from rarl.evaluation.significance import compare_paired
from rarl.terminal import progress

ROOT = Path(__file__).resolve().parents[1]
ALIKE = 0.2  # intraclass correlation of the answers about one image
SIZES: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "geometric": lambda draw, clusters: 1 + draw.geometric(0.2, clusters),  # 2 or more, 6 on average
    "lognormal": lambda draw, clusters: np.maximum(1, np.round(draw.lognormal(1.2, 0.8, clusters))).astype(int),
}
CLUSTERS, ACCURACIES = (10, 20, 30, 50, 200), (0.5, 0.9, 0.98)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-sets", type=int, default=1000, help="simulated for each row")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "coverage.json")
    args = parser.parse_args(arguments)
    cells = [(sizes, clusters, accuracy) for sizes in SIZES for clusters in CLUSTERS for accuracy in ACCURACIES]
    rows = [covered(*cell, args.data_sets) for cell in progress(cells, "intervals", total=len(cells))]
    pairs = [(sizes, clusters) for sizes in SIZES for clusters in CLUSTERS]
    tests = [tested(*pair, args.data_sets) for pair in progress(pairs, "comparisons", total=len(pairs))]
    command = f"python benchmarks/coverage.py --data-sets {args.data_sets}"
    found = {"command": command, "alike": ALIKE, "intervals": rows, "comparisons": tests}
    args.out.write_text(json.dumps({**found, "environment": describe_environment()}, indent=1) + "\n")
    for row in (*rows, *tests):
        print(json.dumps(row))


def covered(sizes: str, clusters: int, accuracy: float, data_sets: int) -> dict[str, Any]:
    """How often the interval of an accuracy holds it, and on which side it misses."""
    draw = np.random.default_rng([clusters, round(1000 * accuracy), len(sizes)])
    intervals, percentiles = [], []
    for seed in range(data_sets):
        names, counts = _images(draw, sizes, clusters)
        right = _answers(draw, counts, accuracy)
        found = estimate(right, names, seed=seed)
        intervals.append((found.low, found.high))
        percentiles.append(percentile_interval(right, counts, draw))
    low, high = np.array(intervals, dtype=float).T
    before = np.array(percentiles)
    return {
        "sizes": sizes,
        "clusters": clusters,
        "accuracy": accuracy,
        "data_sets": data_sets,
        "coverage": float(np.mean((low <= accuracy) & (accuracy <= high))),
        "truth_below": float(np.mean(accuracy < low)),
        "truth_above": float(np.mean(accuracy > high)),
        "median_width": float(np.median(high - low)),
        "percentile_coverage": float(np.mean((before[:, 0] <= accuracy) & (accuracy <= before[:, 1]))),
        "percentile_median_width": float(np.median(before[:, 1] - before[:, 0])),
    }


def tested(sizes: str, clusters: int, data_sets: int) -> dict[str, Any]:
    """Two equally good runs on the same images: how often the difference's interval holds 0, and p is below a level."""
    draw = np.random.default_rng([clusters, len(sizes)])
    covered, p_values = 0, []
    for seed in range(data_sets):
        names, counts = _images(draw, sizes, clusters)
        chances = _chances(draw, counts, 0.7)
        before, after = ((draw.random(len(names)) < chances).astype(float) for _ in range(2))
        ids = [str(number) for number in range(len(names))]
        both = (dict(zip(ids, side.tolist(), strict=True)) for side in (before, after))
        found = compare_paired(*both, dict(zip(ids, names, strict=True)), seed=seed)
        covered += found.difference.low <= 0 <= found.difference.high
        p_values.append(1.0 if found.p is None else found.p)
    levels = {f"p_up_to_{level}": float(np.mean(np.array(p_values) <= level)) for level in (0.01, 0.05, 0.1, 0.5)}
    return {"sizes": sizes, "clusters": clusters, "data_sets": data_sets, "coverage": covered / data_sets, **levels}


def _images(draw: np.random.Generator, sizes: str, clusters: int) -> tuple[list[str], Any]:
    """For each question its image, and how many there are of each."""
    counts = SIZES[sizes](draw, clusters)
    return [f"image-{image}" for image in np.repeat(np.arange(clusters), counts)], counts


def _chances(draw: np.random.Generator, counts: Any, accuracy: float) -> Any:
    strength = (1 - ALIKE) / ALIKE
    return np.repeat(draw.beta(accuracy * strength, (1 - accuracy) * strength, len(counts)), counts)


def _answers(draw: np.random.Generator, counts: Any, accuracy: float) -> list[float]:
    chances = _chances(draw, counts, accuracy)
    found: list[float] = (draw.random(len(chances)) < chances).astype(float).tolist()
    return found


def percentile_interval(right: Sequence[float], counts: Any, draw: np.random.Generator) -> tuple[float, float]:
    """What resamples of whole images have in their middle 95 %."""
    sums = np.add.reduceat(np.array(right), np.cumsum(counts) - counts)
    drawn = draw.integers(0, len(counts), (2000, len(counts)))
    low, high = np.percentile(sums[drawn].sum(1) / counts[drawn].sum(1), (2.5, 97.5))
    return float(low), float(high)


if __name__ == "__main__":
    main()
