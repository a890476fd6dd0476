import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rarl.evaluation import statistics
from rarl.evaluation.statistics import estimate, paired_difference
from rarl.types import Estimate


def singletons(n: int) -> list[str]:
    return [f"image-{number}" for number in range(n)]


def test_interval_of_a_proportion_against_the_closed_form() -> None:
    # 120 of 400 right, each of its own image: the bootstrap distribution is binomial(400, 0.3) / 400.
    values = [1.0] * 120 + [0.0] * 280
    found = estimate(values, singletons(400), seed=0)
    half = 1.96 * math.sqrt(0.3 * 0.7 / 400)
    assert (found.mean, found.n, found.clusters, found.unscored) == (0.3, 400, 400, 0)
    assert found.low == pytest.approx(0.3 - half, abs=0.004)
    assert found.high == pytest.approx(0.3 + half, abs=0.004)


def test_interval_against_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(3).beta(2, 5, 80)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=10_000, method="percentile", random_state=1)
    ours = estimate(values.tolist(), singletons(80), seed=0)
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.03 * width)


def test_interval_of_a_ratio_over_unequal_clusters_against_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(5)
    sizes = generator.integers(1, 9, 40)
    sums = np.array([generator.binomial(size, generator.uniform(0.2, 0.9)) for size in sizes])
    values = [float(hit) for size, total in zip(sizes, sums, strict=True) for hit in [1] * total + [0] * (size - total)]
    clusters = [f"c{number}" for number, size in enumerate(sizes) for _ in range(size)]

    def ratio(total: np.ndarray, size: np.ndarray, axis: int = -1) -> np.ndarray:
        return total.sum(axis=axis) / size.sum(axis=axis)

    theirs = stats.bootstrap(
        (sums, sizes), ratio, paired=True, n_resamples=10_000, method="percentile", random_state=1
    ).confidence_interval
    ours = estimate(values, clusters, seed=0)
    assert ours.mean == pytest.approx(sums.sum() / sizes.sum())
    assert ours.low == pytest.approx(theirs.low, abs=0.03 * (theirs.high - theirs.low))
    assert ours.high == pytest.approx(theirs.high, abs=0.03 * (theirs.high - theirs.low))


def test_identical_answers_within_images_count_once() -> None:
    # Ten questions an image, all right or all wrong: the interval is that of 50 images, not of 500 questions.
    values = [float(image % 2) for image in range(50) for _ in range(10)]
    clusters = [f"image-{image}" for image in range(50) for _ in range(10)]
    clustered, naive = estimate(values, clusters, seed=0), estimate(values, singletons(500), seed=0)
    assert clustered.high - clustered.low == pytest.approx(2 * 1.96 * math.sqrt(0.25 / 50), rel=0.06)
    assert naive.high - naive.low == pytest.approx(2 * 1.96 * math.sqrt(0.25 / 500), rel=0.06)


def test_coverage_in_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    # 200 data sets of 60 images with 1 to 6 questions and an accuracy that varies by image about 0.7.
    monkeypatch.setattr(statistics, "RESAMPLES", 1_000)
    generator, covered, covered_naively = np.random.default_rng(11), 0, 0
    for seed in range(200):
        sizes = generator.integers(1, 7, 60)
        chances = generator.beta(1.4, 0.6, 60)
        values = [float(generator.random() < p) for p, size in zip(chances, sizes, strict=True) for _ in range(size)]
        clusters = [f"c{number}" for number, size in enumerate(sizes) for _ in range(size)]
        found, naive = estimate(values, clusters, seed=seed), estimate(values, singletons(len(values)), seed=seed)
        covered += found.low <= 0.7 <= found.high
        covered_naively += naive.low <= 0.7 <= naive.high
    assert 180 <= covered <= 199  # 95 % of 200 is 190, its standard deviation 3
    assert covered_naively < 180  # without clusters the same intervals are too narrow


def test_unscored_items_are_counted_and_left_out() -> None:
    found = estimate([1.0, None, 0.0, None], ["a", "a", "b", "c"], seed=0)
    assert (found.mean, found.n, found.clusters, found.unscored) == (0.5, 2, 2, 2)
    assert estimate([None], ["a"], seed=0) == Estimate(None, None, None, 0, 0, 1)
    assert estimate([], [], seed=0) == Estimate(None, None, None, 0, 0, 0)


def test_one_cluster_has_a_mean_but_no_interval() -> None:
    assert estimate([1.0, 0.0], ["a", "a"], seed=0) == Estimate(0.5, None, None, 2, 1, 0)


def test_the_seed_decides_and_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random(30).tolist()
    first = estimate(values, singletons(30), seed=0)
    assert estimate(values, singletons(30), seed=0) == first
    assert estimate(values, singletons(30), seed=1) != first
    monkeypatch.setattr(statistics, "_CELLS", 1_000)
    assert estimate(values, singletons(30), seed=0) == first


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="2 values, but 1 clusters"):
        estimate([1.0, 0.0], ["a"], seed=0)


def test_paired_difference_is_narrower_than_its_sides() -> None:
    generator = np.random.default_rng(2)
    base = generator.random(200)
    ids = singletons(200)
    before = dict(zip(ids, base.tolist(), strict=True))
    after = dict(zip(ids, (base + 0.1 + generator.normal(0, 0.05, 200)).tolist(), strict=True))
    found = paired_difference(before, after, {item: item for item in ids}, seed=0)
    assert found.mean == pytest.approx(0.1, abs=0.01)
    assert 0.05 < found.low < found.mean < found.high < 0.15
    alone = estimate(list(after.values()), ids, seed=0)
    assert found.high - found.low < (alone.high - alone.low) / 3


def test_paired_difference_pairs_by_id() -> None:
    before = {"a": 0.0, "b": 1.0, "c": None, "d": 1.0}
    after = {"b": 0.0, "a": 1.0, "c": 1.0, "e": 1.0}
    clusters = {item: item for item in "abcde"}
    found = paired_difference(before, after, clusters, seed=0)
    assert (found.mean, found.n, found.unscored) == (0.0, 2, 3)


@given(
    st.lists(st.tuples(st.floats(0, 1) | st.none(), st.sampled_from("abcdef")), max_size=30),
    st.integers(0, 3),
)
def test_the_interval_holds_the_mean_and_the_counts_add_up(rows: list[tuple[float | None, str]], seed: int) -> None:
    found = estimate([value for value, _ in rows], [cluster for _, cluster in rows], seed=seed)
    assert found.n + found.unscored == len(rows)
    if found.low is not None:
        assert found.low - 1e-9 <= found.mean <= found.high + 1e-9
        assert found.clusters > 1
