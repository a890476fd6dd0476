"""benchmarks/coverage.py: that it draws what it says, and counts right."""

import json
from pathlib import Path

import numpy as np
import pytest

from rarl.evaluation import statistics

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(statistics, "RESAMPLES", 200)


def test_images_are_alike_and_accuracies_as_said():
    import coverage

    draw = np.random.default_rng(0)
    names, counts = coverage._images(draw, "geometric", 4000)
    assert len(set(counts.tolist())) > 10
    assert counts.mean() == pytest.approx(6, abs=0.2)
    right = np.array(coverage._answers(draw, counts, 0.9))
    assert right.mean() == pytest.approx(0.9, abs=0.01)
    assert len(names) == len(right) == counts.sum()
    # covariance of two answers about one image over their variance: 0.2
    first = np.cumsum(counts) - counts
    pairs = (right[first] - 0.9) * (right[first + 1] - 0.9)
    assert pairs.mean() / 0.09 == pytest.approx(0.2, abs=0.05)


def test_what_misses_is_counted(monkeypatch):
    import coverage

    found = coverage.covered("lognormal", 20, 0.5, 40)
    assert found["coverage"] + found["truth_below"] + found["truth_above"] == pytest.approx(1)
    assert 0.8 <= found["coverage"] <= 1
    monkeypatch.setattr(coverage, "estimate", lambda *values, seed: statistics.Estimate(0.5, 0.6, 0.7, 9, 9))
    assert coverage.covered("lognormal", 20, 0.5, 3)["truth_below"] == 1
    assert coverage.covered("lognormal", 20, 0.9, 3)["truth_above"] == 1


def test_equally_good_runs_seldom_differ():
    import coverage

    found = coverage.tested("geometric", 12, 40)
    assert found["p_up_to_0.05"] <= 0.15
    assert 0.25 <= found["p_up_to_0.5"] <= 0.75


def test_the_recorded_figures_are_within_what_is_promised():
    found = json.loads((ROOT / "benchmarks/results/coverage.json").read_text())
    rows = [row for row in found["intervals"] if row["clusters"] >= 50 and row["accuracy"] <= 0.9]
    assert {(row["clusters"], row["accuracy"]) for row in rows} == {(50, 0.5), (50, 0.9), (200, 0.5), (200, 0.9)}
    for row in rows:
        assert row["data_sets"] == 1000
        assert 0.93 <= row["coverage"] <= 0.97, row
