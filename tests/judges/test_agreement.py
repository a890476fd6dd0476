"""Agreement by hand, and against scipy where it has the same quantity."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rarl.draws import Draws
from rarl.judges.agreement import confusion, difference, mean, quadratic_kappa, rank_correlation

DRAWS = Draws(0)
SCORES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


def kappa(human, judge):
    return quadratic_kappa(confusion(human, judge), DRAWS)


def test_the_table_has_people_in_rows():
    assert confusion([0, 0, 3, 2], [1, 1, 3, 0]).tolist() == [[0, 2, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("human", "judge", "value"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3], 1.0),
        ([0, 1, 2, 3], [3, 2, 1, 0], -1.0),
        # Mean squared difference 12/8; expected 1.25 + 1.25 (both margins uniform): 1 - 1.5/2.5.
        ([0, 0, 1, 1, 2, 2, 3, 3], [0, 1, 1, 2, 2, 3, 3, 0], 0.4),
        # Observed 4/4; expected from margins: people 1/2 at 0 and 3, judge always 1: (1 + 4) / 2 = 2.5.
        ([0, 0, 2, 2], [1, 1, 1, 1], 0.0),
        # One of four is 3 apart, 9/4; expected 3/4 x 1/4 x 9 x 2... people 0003, judge 0000: 9/4.
        ([0, 0, 0, 3], [0, 0, 0, 0], 0.0),
        ([2, 2, 2], [2, 2, 2], None),
        ([], [], None),
    ],
)
def test_kappa_by_hand(human, judge, value):
    assert kappa(human, judge).value == (None if value is None else pytest.approx(value))


@given(SCORES)
def test_kappa_is_the_concordance_of_the_scores(scores):
    """With quadratic weights it is Lin's concordance: 2 cov / (var + var + (difference of means)^2)."""
    human, judge = (np.array(side, dtype=float) for side in zip(*scores, strict=True))
    bottom = human.var() + judge.var() + (human.mean() - judge.mean()) ** 2
    value = kappa(*zip(*scores, strict=True)).value
    if bottom < 1e-12:
        assert value is None
    else:
        covariance = ((human - human.mean()) * (judge - judge.mean())).mean()
        assert value == pytest.approx(2 * covariance / bottom, abs=1e-9)


def test_the_interval_of_kappa_covers_and_narrows():
    generator = np.random.default_rng(0)
    human = generator.integers(0, 4, 4000)
    judge = np.clip(human + generator.integers(-1, 2, 4000), 0, 3)
    whole = kappa(human, judge)
    parts = [kappa(human[i : i + 40], judge[i : i + 40]) for i in range(0, 4000, 40)]
    covered = sum(part.low <= whole.value <= part.high for part in parts)
    assert 85 <= covered <= 100
    assert whole.high - whole.low < 0.2 * (parts[0].high - parts[0].low)
    assert kappa(human[:9], judge[:9]).low is None
    assert kappa(human, judge) == whole  # seeded


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(-3, 3)), min_size=2, max_size=40))
def test_rank_correlation_is_scipys(rows):
    x, y = zip(*rows, strict=True)
    found = rank_correlation(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert found.value is None
    else:
        assert found.value == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)


def test_the_interval_of_a_rank_correlation_by_hand():
    """28 rows without ties and r = 1/2: sqrt(1.125 / 25) = 0.2121, atanh 0.5 = 0.5493, +- 0.4158."""
    x = list(range(28))
    y = x.copy()
    target = 28 * (28**2 - 1) / 12  # sum of squared rank differences at r = 1/2
    for i, j in [(0, 27), (1, 12), (5, 14), (6, 12), (8, 10)]:
        y[i], y[j] = y[j], y[i]
    assert sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) == pytest.approx(target, rel=0.02)
    found = rank_correlation(x, y)
    assert found.value == pytest.approx(0.5, abs=0.01)
    assert (found.low, found.high) == (pytest.approx(0.133, abs=0.013), pytest.approx(0.747, abs=0.008))


def test_a_perfect_or_short_correlation_has_no_interval():
    assert rank_correlation(range(20), range(20)).value == 1.0
    assert rank_correlation(range(20), range(20)).low is None
    assert rank_correlation(range(9), [0, 2, 1, 3, 4, 5, 6, 7, 8]).low is None
    assert rank_correlation([1], [2]).value is None


def test_means_and_their_differences():
    generator = np.random.default_rng(1)
    first, second = generator.normal(0, 1, 300), generator.normal(0.5, 2, 200)
    found = difference(first, second, DRAWS)
    half = 1.96 * np.sqrt(first.var() / 300 + second.var() / 200)
    assert found.value == pytest.approx(second.mean() - first.mean())
    assert (found.low, found.high) == (
        pytest.approx(found.value - half, abs=0.05),
        pytest.approx(found.value + half, abs=0.05),
    )
    assert mean([1, 2, 3], DRAWS).value == 2
    assert mean([1, 2, 3], DRAWS).low is None
    assert mean([], DRAWS).value is None
    assert difference([1], [2], DRAWS).n == 2
