import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rarl.algo.advantages import group_advantages

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
