import math
from itertools import product

import numpy as np
import pytest

from rarl.evaluation import significance, statistics
from rarl.evaluation.significance import compare_paired, holm, sign_flip_p


def runs(differences: dict[str, float | None]) -> tuple[dict, dict, dict]:
    """Two runs with these differences; an item's cluster is the part of its name before the dot."""
    before = dict.fromkeys(differences, 0.0)
    return before, differences, {item: item.split(".")[0] for item in differences}


def test_a_p_value_by_hand() -> None:
    # Sums by image: 2, 1, 1. Of the 8 signs +++ and --- reach 4: p = 2/8; a question more in image c makes 2, 1, 2.
    before, after, clusters = runs({"a.1": 1.0, "a.2": 1.0, "b.1": 1.0, "c.1": 1.0})
    found = compare_paired(before, after, clusters, seed=0)
    assert (found.difference.mean, found.difference.n, found.difference.clusters) == (1.0, 4, 3)
    assert found.p == 0.25
    assert sign_flip_p(np.array([2.0, 1.0, -1.0]), seed=0) == 0.75  # +2: 2 1 -1, 2 -1 1, .. and 4 either way: 6 of 8


def test_clusters_that_do_not_differ_change_nothing() -> None:
    assert sign_flip_p(np.array([3.0, 0.0, 1.0, 0.0]), seed=0) == sign_flip_p(np.array([3.0, 1.0]), seed=0) == 0.5


@pytest.mark.parametrize("count", [6, 12, 40])
def test_against_scipy_where_every_item_is_a_cluster(count: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    differences = np.random.default_rng(count).normal(0.25, 1.0, count)
    exact = {"n_resamples": math.inf if count < 20 else 20_000, "random_state": 1}
    theirs = stats.permutation_test((differences,), np.sum, permutation_type="samples", vectorized=False, **exact)
    assert sign_flip_p(differences, seed=0) == pytest.approx(theirs.pvalue, abs=1e-12 if count < 20 else 0.012)


def test_many_clusters_are_drawn_and_agree_with_trying_all(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = np.random.default_rng(4).integers(-2, 4, 12).astype(float)
    every = [abs(sum(s * v for s, v in zip(signs, sums, strict=True))) for signs in product((-1, 1), repeat=12)]
    exact = float(np.mean(np.array(every) >= abs(sums.sum())))
    assert sign_flip_p(sums, seed=0) == pytest.approx(exact)
    monkeypatch.setattr(significance, "EXACT", 2)
    drawn = sign_flip_p(sums, seed=0)
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 20_000))
    assert drawn == sign_flip_p(sums, seed=0) != sign_flip_p(sums, seed=1)
    monkeypatch.setattr(significance, "_CELLS", 12 * 700)
    assert drawn == sign_flip_p(sums, seed=0)


def test_a_drawn_p_value_is_never_0() -> None:
    assert sign_flip_p(np.ones(60), seed=0) == pytest.approx(1 / 20_001)


@pytest.mark.parametrize("clusters", [9, 40])
def test_p_values_are_uniform_where_nothing_differs(clusters: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(significance, "FLIPS", 999)
    generator, found = np.random.default_rng(7), []
    for seed in range(600):
        sizes = 1 + generator.geometric(0.3, clusters)
        shared = generator.normal(0, 1, clusters)  # what makes the questions of an image alike
        found.append(sign_flip_p(sizes * shared + generator.normal(0, np.sqrt(sizes)), seed=seed))
    for level in (0.05, 0.2, 0.5, 0.8):
        share = np.mean(np.array(found) <= level)
        assert share == pytest.approx(level, abs=3.5 * math.sqrt(level * (1 - level) / 600) + 2 / 2**clusters)


def test_without_clusters_the_same_test_cries_wolf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 50)
    monkeypatch.setattr(significance, "FLIPS", 999)
    generator, wolf = np.random.default_rng(7), 0
    for seed in range(100):
        alike = np.repeat(generator.choice((-1.0, 1.0), 12), 6)
        items = {f"{place // 6}.{place}": float(value) for place, value in enumerate(alike)}
        before, after, clusters = runs(items)
        wolf += sign_flip_p(alike, seed=seed) <= 0.05
        assert compare_paired(before, after, clusters, seed=0).p > 2 / 2**12 - 1e-9
    assert wolf > 30


def test_the_smallest_difference_is_found_four_times_in_five(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 50)
    monkeypatch.setattr(significance, "FLIPS", 50)
    # 1.96 + 0.84 standard errors; with 200 items of spread 1 that is 2.8 / sqrt(200) = 0.198.
    generator, shown, sizes = np.random.default_rng(3), 0, []
    for seed in range(200):
        values = generator.normal(2.8 / math.sqrt(200), 1, 200)
        before, after, clusters = runs({f"{place}": float(value) for place, value in enumerate(values)})
        found = compare_paired(before, after, clusters, seed=seed) if seed < 20 else None
        sizes += [found.smallest] if found else []
        shown += abs(values.mean() / (values.std(ddof=1) / math.sqrt(200))) > 1.96
    assert np.mean(sizes) == pytest.approx(2.8016 / math.sqrt(200), rel=0.03)
    assert shown / 200 == pytest.approx(0.8, abs=0.1)


def test_what_says_nothing_has_no_p_value() -> None:
    one = compare_paired(*runs({"a.1": 1.0, "a.2": 0.5}), seed=0)
    assert (one.p, one.smallest, one.difference.mean) == (None, None, 0.75)
    same = compare_paired(*runs({"a": 0.0, "b": 0.0}), seed=0)
    assert (same.p, same.smallest) == (1.0, None)
    nothing = compare_paired(*runs({"a": None}), seed=0)
    assert (nothing.p, nothing.difference.unscored) == (None, 1)


def test_unscored_items_are_counted_and_left_out() -> None:
    found = compare_paired(*runs({"a": 1.0, "b": None, "c": 1.0, "d": -1.0}), seed=0)
    assert (found.difference.n, found.difference.unscored, found.difference.clusters) == (3, 1, 3)


def test_holm_by_hand() -> None:
    # sorted 0.01 0.02 0.03 0.04 times 4 3 2 1: 0.04 0.06 0.06 0.04, and never less than the one before
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([None]) == [None]
    assert holm([]) == []


def test_holm_against_statsmodels() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p_values = np.random.default_rng(0).random(20) ** 3
    assert holm(p_values.tolist()) == pytest.approx(multitest.multipletests(p_values, method="holm")[1])
