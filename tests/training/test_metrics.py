import pytest
import torch

import small_model
from rarl.algo.losses import LossOutput
from rarl.rewards import RewardLog
from rarl.training.metrics import LossSums, group_metrics, log_metrics, mean, spread
from rarl.types import Finish, Group, Rollout, Score

PROMPT = small_model.prompt(images=0)


def group(totals: list[float | None], lengths: list[int], advantages: list[float]) -> Group:
    rollouts = tuple(
        Rollout(PROMPT, (1,) * n, (0.0,) * n, "", Finish.STOP if n < 4 else Finish.LENGTH, 0) for n in lengths
    )
    scores = tuple(Score(total, {} if total is None else {"format": total / 2}) for total in totals)
    return Group(PROMPT, rollouts, scores, tuple(advantages))


def test_metrics_of_two_groups_by_hand() -> None:
    groups = [group([1.0, 0.0, None], [2, 4, 3], [1.0, -1.0, 0.0]), group([1.0, 1.0, 1.0], [1, 1, 1], [0.0, 0.0, 0.0])]
    values = group_metrics(groups, replaced=2)
    assert values["reward/mean"] == pytest.approx(4 / 5)
    assert values["reward/std"] == pytest.approx(0.2**0.5)  # of 1 0 1 1 1: sum of squares 0.8, over n - 1
    assert values["reward/std_in_group"] == pytest.approx((0.5**0.5 + 0) / 2)
    assert values["reward/format"] == pytest.approx(2 / 5)
    assert values["reward/format/std"] == pytest.approx(0.05**0.5)
    assert values["rollouts/unscored"] == 1
    assert values["groups/zero_variance"] == 0.5
    assert values["groups/replaced"] == 2
    assert [values[f"completion/length_{name}"] for name in ("mean", "min", "max")] == [2, 1, 4]
    assert values["completion/cut_off"] == pytest.approx(1 / 6)


def test_nothing_to_measure_is_none_not_zero() -> None:
    assert mean([None]) is None
    assert spread([1.0, None]) is None
    sums = LossSums(passes=1)
    assert sums.means(with_kl=True)["kl"] is None
    assert sums.means(with_kl=True)["entropy"] is None


def test_losses_add_up_and_the_rest_is_by_token() -> None:

    sums = LossSums(passes=1)
    sums.add(LossOutput(torch.tensor(0.5), kl=3.0, clipped_low=1, clipped_high=0, tokens=10), entropy=20.0)
    sums.add(LossOutput(torch.tensor(0.25), kl=1.0, clipped_low=0, clipped_high=4, tokens=10), entropy=10.0)
    values = sums.means(with_kl=True)
    assert values["loss"] == 0.75
    assert (values["kl"], values["entropy"]) == (0.2, 1.5)
    assert (values["clip/low"], values["clip/high"]) == (0.05, 0.2)
    assert sums.means(with_kl=False)["kl"] is None


def test_what_rewards_logged_and_failed_on_is_named() -> None:
    log = RewardLog(failed={"judge": 3}, metrics={"length": [1.0, 3.0]})
    assert log_metrics(log) == {"reward/judge/failed": 3.0, "reward/length": 2.0}
