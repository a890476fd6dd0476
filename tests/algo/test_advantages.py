import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rarl.algo.advantages import EPSILON, group_advantages, part_advantages

totals = st.lists(st.none() | st.floats(-10, 10), max_size=12)


def test_by_hand() -> None:
    # mean 0.5, squared deviations 0.25 each, sample variance 1/3
    std = math.sqrt(1 / 3)
    expected = 0.5 / (std + 1e-4)
    assert group_advantages([1.0, 0.0, 0.0, 1.0]) == pytest.approx([expected, -expected, -expected, expected])
    assert group_advantages([1.0, 0.0, 0.0, 1.0], divide_by_std=False) == (0.5, -0.5, -0.5, 0.5)


def test_an_unscored_completion_is_outside_mean_and_std_and_gets_zero() -> None:
    with_none = group_advantages([1.0, None, 0.0, 0.5])
    without = group_advantages([1.0, 0.0, 0.5])
    assert with_none == (without[0], 0.0, without[1], without[2])
    assert group_advantages([1.0, None, 0.0, 0.5], divide_by_std=False) == (0.5, 0.0, -0.5, 0.0)


@pytest.mark.parametrize(
    "equal",
    [[], [None, None], [0.7], [0.7, None], [0.1] * 7, [0.3, 0.1 + 0.2, 0.3], [None, 1 / 3, 1 / 3, 1 / 3]],
)
def test_nothing_to_compare_gives_exact_zeros(equal: list[float | None]) -> None:
    for divide_by_std in (True, False):
        assert group_advantages(equal, divide_by_std=divide_by_std) == (0.0,) * len(equal)


def test_equals_trl() -> None:
    torch = pytest.importorskip("torch")
    nanstd = pytest.importorskip("trl.trainer.utils").nanstd
    rewards = torch.tensor([[0.1, 0.9, float("nan"), 0.4]], dtype=torch.float64)
    expected = (rewards - rewards.nanmean()) / (nanstd(rewards, dim=1) + 1e-4)
    assert group_advantages([0.1, 0.9, None, 0.4]) == pytest.approx(expected.nan_to_num(0.0)[0].tolist(), abs=1e-12)


@given(totals, st.booleans())
def test_properties(group: list[float | None], divide_by_std: bool) -> None:
    advantages = group_advantages(group, divide_by_std=divide_by_std)
    assert len(advantages) == len(group)
    assert math.fsum(advantages) == pytest.approx(0.0, abs=1e-9)
    scored = [(total, value) for total, value in zip(group, advantages, strict=True) if total is not None]
    assert all(value == 0.0 for total, value in zip(group, advantages, strict=True) if total is None)
    if any(advantages):
        assert sorted(scored) == sorted(scored, key=lambda pair: (pair[1], pair[0]))  # the better, the higher


def test_parts_are_normalised_one_by_one_by_hand() -> None:
    """GDPO on one group. Accuracy 1, 0: mean 1/2, std 1/sqrt(2). Style 0.1, 0.3: mean 0.2, std 0.2/sqrt(2)."""
    group = [{"accuracy": 1.0, "style": 0.1}, {"accuracy": 0.0, "style": 0.3}]
    accuracy = 0.5 / (2**-0.5 + EPSILON)
    style = -0.1 / (0.2 * 2**-0.5 + EPSILON)
    summed = 2.0 * accuracy + 1.0 * style  # and its negative for the other
    spread = summed * 2**0.5
    (found,) = part_advantages([group], {"accuracy": 2.0, "style": 1.0})
    assert found == pytest.approx((summed / (spread + EPSILON), -summed / (spread + EPSILON)))
    (undivided,) = part_advantages([group], {"accuracy": 2.0, "style": 1.0}, divide_by_std=False)
    assert undivided == pytest.approx((summed, -summed))
    # by its total, style would not matter at all: 2.1 against 0.3
    assert group_advantages([2.1, 0.3]) == pytest.approx((2**-0.5, -(2**-0.5)), abs=1e-3)


def test_parts_of_a_batch_share_the_last_std_and_the_unscored_stay_out() -> None:
    weights = {"a": 1.0, "b": 1.0}
    even = [{"a": 0.5}, {"a": 0.5}]  # nothing to learn, and no part b at all
    found = part_advantages([[{"a": 1.0, "b": 0.0}, None, {"a": 0.0, "b": 0.0}], even], weights)
    one = 0.5 / (2**-0.5 + EPSILON)
    spread = (2 * one**2 / 3) ** 0.5  # of one, -one, 0 and 0, about their mean 0
    assert found[0] == pytest.approx((one / (spread + EPSILON), 0.0, -one / (spread + EPSILON)))
    assert found[1] == (0.0, 0.0)
    assert part_advantages([even, even], weights) == [(0.0, 0.0), (0.0, 0.0)]
