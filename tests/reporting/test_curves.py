import math

import fake_run
from rarl.reporting.curves import evaluation_curves, learning_curves
from rarl.reporting.results import read_results


def titles(rows):
    return [figure.title for figure in learning_curves(rows)]


def test_only_what_was_logged_gets_a_figure():
    assert titles([]) == []
    assert titles([{"step": 1, "loss": 0.5, "kl": None}, {"step": 2, "loss": 0.4, "kl": None}]) == ["Loss"]
    assert titles([{"step": 1, "loss": math.nan}]) == []


def test_the_loss_is_shown_only_where_it_says_something():
    rows = [{"step": step, "loss": 1e-9, "reward/mean": 1.0, "reward/std_in_group": 0.2} for step in (1, 2)]
    assert titles(rows) == ["Reward", "Spread of the reward"]
    assert titles([{"step": 1, "loss": 2.5}]) == ["Loss"]


def test_a_prefix_stands_for_every_part_of_the_reward():
    rows = [{"step": step, "reward/mean": 1.0, "reward/std_in_group": 0.1, "reward/mine": 0.5} for step in (1, 2)]
    [reward, parts, _] = learning_curves([*rows, {"step": 3, "reward/accuracy": 0.3}])
    assert (reward.title, parts.title) == ("Reward", "Parts of the reward")
    assert ">mine</text>" in parts.svg
    assert ">accuracy</text>" in parts.svg
    assert "std_in_group" not in parts.svg


def test_failures_are_shown_where_there_are_any_and_are_no_part():
    rows = [{"step": 1, "rollouts/unscored": 0.0}, {"step": 2, "rollouts/unscored": 0.0}]
    assert titles(rows) == []
    assert titles([*rows, {"step": 3, "rollouts/unscored": 2.0}]) == ["Completions not scored"]
    assert titles([{"step": 1, "reward/mine/failed": 2.0}]) == []


def test_values_that_are_no_numbers_leave_a_gap():
    rows = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": math.inf}, {"step": 3, "loss": 0.4}]
    assert learning_curves(rows)[0].svg == learning_curves([rows[0], rows[2]])[0].svg


def test_held_out_accuracy_starts_before_and_ends_after_the_training(tmp_path):
    folder = fake_run.make(tmp_path / "run")
    results = read_results(folder.path)
    [figure] = evaluation_curves(folder.metrics(), results)
    assert figure.title == "Held-out accuracy"  # reasoning was measured before and after only
    assert evaluation_curves([], results) == []
