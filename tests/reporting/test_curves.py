import dataclasses
import math

import pytest

import fake_run
from rarl.files import read_json, write_json
from rarl.reporting.curves import evaluation_curves, learning_curves
from rarl.reporting.sources import Source, read_sources


def source(rows, label="a"):
    return Source(label, None, None, (), rows)


def curves(*sources):
    return learning_curves({each.label: each.metrics for each in sources})


def titles(*runs):
    return [figure.title for figure in curves(*(source(rows, str(i)) for i, rows in enumerate(runs)))]


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
    [reward, parts, _] = curves(source([*rows, {"step": 3, "reward/accuracy": 0.3}]))
    assert (reward.title, parts.title) == ("Reward", "Parts of the reward")
    assert [(key.style, key.label, key.last) for key in parts.keys] == [(0, "mine", "0.5"), (1, "accuracy", "0.3")]
    assert parts.spoken == "mine: from 0.5 to 0.5; accuracy: from 0.3 to 0.3"


def test_failures_are_shown_where_there_are_any_and_are_no_part():
    rows = [{"step": 1, "rollouts/unscored": 0.0}, {"step": 2, "rollouts/unscored": 0.0}]
    assert titles(rows) == []
    assert titles([*rows, {"step": 3, "rollouts/unscored": 2.0}]) == ["Completions not scored"]
    assert titles([{"step": 1, "reward/mine/failed": 2.0}]) == []


def test_values_that_are_no_numbers_leave_a_gap():
    rows = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": math.inf}, {"step": 3, "loss": 0.4}]
    assert curves(source(rows))[0].svg == curves(source([rows[0], rows[2]]))[0].svg


def test_of_several_runs_each_line_has_a_figure_with_all_runs_in_it():
    old = [{"step": step, "reward/mean": 1.0, "reward/format": 0.5} for step in (1, 2)]
    new = [{"step": step, "reward/mean": 2.0, "reward/accuracy": 0.5} for step in (1, 2)]
    runs = [source(old, "old"), source([], "evaluation"), source(new, "new")]
    figures = curves(*runs)
    assert [figure.title for figure in figures] == [
        "Reward",
        "Parts of the reward: format",
        "Parts of the reward: accuracy",
    ]
    assert [(key.style, key.label) for key in figures[0].keys] == [(0, "old"), (2, "new")]
    assert [(key.style, key.label) for key in figures[2].keys] == [(2, "new")]  # its look is its own in every figure


def test_held_out_accuracy_starts_before_and_ends_after_the_training(tmp_path):
    folder = fake_run.make(tmp_path / "run")
    [figure] = evaluation_curves(read_sources([folder.path]))
    assert figure.title == "Held-out accuracy"  # reasoning was measured before and after only
    assert [(key.label, key.first, key.last) for key in figure.keys] == [("mine.py:load, test", "50 %", "75 %")]
    assert figure.svg.count('class="mark') == 3
    assert figure.svg.count('class="whisker') == 2  # of the one in between only the mean is known


def test_between_the_ends_intervals_are_shown_where_they_were_kept(tmp_path):
    folder = fake_run.make(tmp_path / "run")
    [after] = folder.path.glob("eval/mine*/summary.json")
    between = folder.path / "eval" / "step-000002" / after.parent.name / "summary.json"
    write_json(between, read_json(after))
    [figure] = evaluation_curves(read_sources([folder.path]))
    assert figure.svg.count('class="whisker') == 3


@pytest.mark.parametrize("count", [1, 2])
def test_evaluations_without_steps_between_have_no_curve(tmp_path, count):
    [found] = read_sources([fake_run.make(tmp_path / "run").path])
    assert evaluation_curves([dataclasses.replace(found, metrics=())] * count) == []
