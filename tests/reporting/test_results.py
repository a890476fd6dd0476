import json
import shutil

import pytest

import fake_run
from rarl.reporting.results import headline, percent, points, read_interim, read_results, verdict
from rarl.types import Estimate


@pytest.fixture
def folder(tmp_path):
    return fake_run.make(tmp_path / "run")


def test_the_rows_of_the_headline(folder):
    [result] = read_results(folder.path)
    accuracy, reasoning, commonest, other = headline(result)
    # 10 of 20 right before, 15 after; 10 improved, 5 got worse: the mean difference is 5/20.
    assert (accuracy.before.mean, accuracy.after.mean) == (0.5, 0.75)
    assert accuracy.difference.mean == pytest.approx(0.25)
    # Standard error of the difference: sqrt((15/20 - 1/16) / 19) = 0.190; t of 19 degrees of freedom: 2.09.
    assert accuracy.difference.low == pytest.approx(0.25 - 2.09 * 0.19, abs=0.06)
    assert accuracy.difference.high == pytest.approx(0.25 + 2.09 * 0.19, abs=0.06)
    # The mean of grounding and consistency: (0.5 + 1) / 2 before, (0.875 + 1) / 2 after.
    assert (reasoning.before.mean, reasoning.after.mean, reasoning.difference.mean) == (0.75, 0.9375, 0.1875)
    assert (commonest.label, commonest.after.mean, commonest.difference) == ("Commonest answer", 0.4, None)
    assert (other.label, other.after.mean) == ("Another image", 0.45)


def test_without_an_evaluation_before_there_is_no_difference(folder):
    shutil.rmtree(folder.path / "eval" / "before")
    [result] = read_results(folder.path)
    assert result.before is None
    assert [(row.before, row.difference) for row in headline(result)] == [(None, None)] * 4


def test_what_did_not_come_to_its_end_is_no_result(folder):
    [evaluation] = folder.path.glob("eval/mine*")
    (evaluation / "summary.json").unlink()
    assert read_results(folder.path) == []


def test_how_numbers_are_written():
    found = Estimate(0.5414, 0.502, 0.58, 512, 256)
    assert percent(found) == "54.1 [50.2, 58.0]"
    assert percent(None) == percent(Estimate(None, None, None, 0, 0, 4)) == "-"
    assert percent(Estimate(1.0, None, None, 1, 1)) == "100.0"
    assert points(Estimate(-0.012, -0.05, 0.026, 5, 5)) == "-1.2 [-5.0, 2.6]"
    assert points(Estimate(0.172, 0.13, 0.214, 5, 5)) == "+17.2 [13.0, 21.4]"
    assert points(Estimate(-0.0004, -0.0002, -0.0, 5, 5)) == "+0.0 [0.0, 0.0]"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.01, 0.2, "better"), (-0.2, -0.01, "worse"), (-0.1, 0.1, ""), (0.0, 0.1, ""), (None, None, "")],
)
def test_a_change_is_one_only_if_its_interval_excludes_zero(low, high, said):
    assert verdict(Estimate(0.0, low, high, 9, 9)) == said


def test_a_title_says_under_which_control_the_questions_were_asked(folder):
    [plain] = read_results(folder.path)
    assert plain.title.endswith(", test")
    assert not plain.controlled
    place = next(path for path in (folder.path / "eval").iterdir() if path.name != "before")
    summary = json.loads((place / "summary.json").read_text())
    summary["settings"]["control"] = "blank"
    (place / "summary.json").write_text(json.dumps(summary))
    [blank] = read_results(folder.path)
    assert blank.title == f"{plain.title}, blank image"
    assert blank.controlled


def test_of_a_run_that_goes_on_the_newest_evaluation_is_read(folder):
    assert read_interim(folder.path) == []  # all was evaluated after training
    [after] = folder.path.glob("eval/mine*")
    for step in (5, 10, 15):
        shutil.copytree(after, folder.path / "eval" / f"step-{step:06}" / after.name)
    (folder.path / "eval" / "step-000015" / after.name / "summary.json").unlink()  # killed meanwhile
    (after / "summary.json").unlink()
    shutil.copytree(after, folder.path / "eval" / "step-mine" / after.name)  # a user's own copy
    [between] = read_interim(folder.path)
    assert (between.step, between.title) == (10, "mine.py:load, test (step 10)")
    assert between.difference("accuracy").mean == pytest.approx(0.25)
    for stage in folder.path.glob("eval/step-*"):
        shutil.rmtree(stage)
    [first] = read_interim(folder.path)
    assert (first.step, first.title, first.before) == (0, "mine.py:load, test (before training)", None)
    assert first.after.summary.metrics["accuracy"].mean == 0.5
