import numpy as np
import pytest
from scipy import stats

from rarl.studies.effects import NoEffectError, Side, effect, over_seeds


def side(values, prefix="q", clusters=None):
    items = {f"{prefix}{number}": value for number, value in enumerate(values)}
    return Side(items, clusters or {item: item for item in items})


def over_nothing(found):
    return Side(dict.fromkeys(found.items, 0.0), found.clusters)


def test_points_by_hand():
    # Seed 0: 3 of 4 against 1 of 4 (+0.5); seed 1: 2 of 4 against 2 of 4 (0); items of their own.
    arm = [side([1, 1, 1, 0], "a"), side([1, 1, 0, 0], "b")]
    against = [side([1, 0, 0, 0], "a"), side([0, 1, 1, 0], "b")]
    found = effect(arm, against, "points")
    assert found.by_seed == (0.5, 0.0)
    assert found.mean == 0.25
    assert (found.n, found.unscored) == (8, 0)
    # sd = 0.3536, error = 0.25, t(0.975, 1) = 12.706
    assert (found.low, found.high) == (
        pytest.approx(0.25 - 12.7062 * 0.25, abs=1e-3),
        pytest.approx(0.25 + 12.7062 * 0.25, abs=1e-3),
    )
    assert found.p == 1.0, "one seed of two differs: both its signs are as far from 0"
    assert found.verdict == "undecided"


def test_relative_by_hand():
    arm = [side([1, 1, 1, 0], "a"), side([1, 1, 1, 1], "b")]
    against = [side([1, 1, 0, 0], "a"), side([1, 0, 0, 0], "b")]
    found = effect(arm, against, "relative")
    assert found.by_seed == (pytest.approx(0.25 / 0.5), pytest.approx(0.75 / 0.25))
    assert found.mean == pytest.approx(1.75)


def test_the_interval_and_p_are_scipys():
    rng = np.random.default_rng(0)
    for seeds in (2, 5, 8):
        values = rng.normal(0.1, 0.1, seeds)
        found = over_seeds(list(values))
        low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
        reference = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
        assert found.p == pytest.approx(reference.pvalue)


def test_the_smallest_effect_is_found_four_times_in_five():
    rng = np.random.default_rng(1)
    spread, seeds = 0.05, 8
    smallest = np.mean([over_seeds(list(rng.normal(0, spread, seeds))).smallest for _ in range(400)])
    found = [over_seeds(list(rng.normal(smallest, spread, seeds))).verdict == "supported" for _ in range(1000)]
    assert 0.74 < np.mean(found) < 0.86


def test_items_that_one_side_lacks_are_counted_and_left_out():
    arm = [side([1, None, 1]), side([1, 1, 1])]
    against = [side([0, 1, None]), side([0, 0, 0])]
    found = effect(arm, against, "points")
    assert (found.n, found.unscored) == (4, 2)
    assert found.by_seed == (1.0, 1.0)


def test_what_has_no_effect_says_why():
    with pytest.raises(NoEffectError, match="scored 0"):
        effect([side([1])], [side([0])], "relative")
    with pytest.raises(NoEffectError, match="no question"):
        effect([side([None])], [side([0])], "points")


def test_one_seed_has_no_interval():
    found = effect([side([1, 1])], [side([0, 1])], "points")
    assert (found.mean, found.low, found.high, found.p, found.smallest) == (0.5, None, None, None, None)
    assert found.verdict == "undecided"


@pytest.mark.parametrize(
    ("values", "verdict"), [((0.1, 0.12, 0.11), "supported"), ((-0.1, -0.12, -0.11), "contradicted")]
)
def test_a_verdict_is_where_the_interval_lies(values, verdict):
    assert over_seeds(values).verdict == verdict


def test_seeds_without_a_spread_decide_only_where_flipped_signs_do():
    """Two seeds that agree make an interval of no width, and chance makes them agree once in two."""
    two, eight = over_seeds((0.1, 0.1)), over_seeds((-0.1,) * 8)
    assert (two.low, two.high, two.p, two.verdict) == (0.1, 0.1, 0.5, "undecided")
    assert (eight.p, eight.verdict) == (2 / 2**8, "contradicted")


def test_rounding_is_no_effect():
    found = over_seeds((0.3 - 0.1 - 0.2,) * 8)
    assert 0.3 - 0.1 - 0.2 < 0
    assert (found.mean, found.p, found.verdict) == (0.0, 1.0, "undecided")


@pytest.mark.parametrize("shared", [False, True])
def test_intervals_hold_the_truth_as_often_as_they_say(shared):
    """Seeds and items both vary; the truth is the mean over all seeds and items there could be."""
    rng = np.random.default_rng(2)
    seeds, items, truth, inside = 8, 40, 0.1, 0
    for _ in range(500):
        item_effects = rng.normal(0, 0.3, items)
        arm, against = [], []
        for seed in range(seeds):
            own = item_effects if shared else rng.normal(0, 0.3, items)
            values = truth + rng.normal(0, 0.05) + own + rng.normal(0, 0.2, items)
            prefix = "q" if shared else f"s{seed}-"
            arm.append(side(values, prefix))
            against.append(over_nothing(arm[-1]))
        found = effect(arm, against, "points")
        inside += found.low <= truth <= found.high
    assert 0.92 < inside / 500 < 0.98


def test_shared_items_widen_the_interval():
    rng = np.random.default_rng(3)
    values = rng.normal(0, 0.3, 40)
    noise = [rng.normal(0, 0.05, 40) for _ in range(4)]
    same = [side(values + each, "q") for each in noise]
    own = [side(values + each, f"s{seed}") for seed, each in enumerate(noise)]
    zeros = [
        [side(np.zeros(40), prefix) for prefix in ("q",) * 4],
        [side(np.zeros(40), f"s{seed}") for seed in range(4)],
    ]
    wide, narrow = effect(same, zeros[0], "points"), effect(own, zeros[1], "points")
    assert wide.mean == pytest.approx(narrow.mean)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)
