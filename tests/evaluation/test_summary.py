from dataclasses import replace

import pytest

from evaluation.scripted import record
from rarl.config import Control
from rarl.evaluation.protocols import values
from rarl.evaluation.summary import change, summarise
from rarl.types import Finish, Grade, QuestionKind, Shape

RIGHT = Grade(True, 1.0, QuestionKind.OPEN, "exact", "left", "left")
PARTLY = Grade(False, 0.5, QuestionKind.OPEN, "overlap", "left", "left lung")
WRONG = Grade(False, 0.0, QuestionKind.OPEN, "exact", "left", "right")

RECORDS = [
    record(
        "q1", cluster="a", grade=RIGHT, parts={"format": 1.0, "grounding": 0.5, "consistency": 1.0, "substance": 0.9}
    ),
    record("q2", cluster="a", grade=PARTLY, parts={"format": 1.0, "consistency": 0.0, "substance": 0.5}, modality="CT"),
    record("q3", cluster="b", grade=WRONG, parts={"grounding": None, "consistency": 1.0, "substance": 1.0}),
    record("q4", cluster="c", grade=WRONG, parts={"format": 0.0}, shape=Shape.DIRECT, task=None),
]


def test_values_of_each_metric() -> None:
    assert values(RECORDS, "accuracy") == {"q1": 1.0, "q2": 0.0, "q3": 0.0, "q4": 0.0}
    assert values(RECORDS, "score") == {"q1": 1.0, "q2": 0.5, "q3": 0.0, "q4": 0.0}
    # the mean of the parts that apply; a part that failed leaves the whole unscored; q4 asks for no reasoning
    assert values(RECORDS, "reasoning") == {"q1": pytest.approx(0.8), "q2": 0.25, "q3": None}
    assert values(RECORDS, "grounding") == {"q1": 0.5, "q3": None}
    assert values(RECORDS, "cut_off") == dict.fromkeys(("q1", "q2", "q3", "q4"), 0.5)
    assert values([record(completions=("", "<answer> x </answer>", "<answer></answer>"))], "parse_failures") == {
        "q1": pytest.approx(2 / 3)
    }


def test_the_summary() -> None:
    majority = {"q1": WRONG, "q2": RIGHT, "q3": RIGHT, "q4": RIGHT}
    summary = summarise(RECORDS, {"data": "ward"}, majority, {}, seed=0)
    accuracy, reasoning = summary.metrics["accuracy"], summary.metrics["reasoning"]
    assert (accuracy.mean, accuracy.n, accuracy.clusters, accuracy.unscored) == (0.25, 4, 3, 0)
    assert (reasoning.mean, reasoning.n, reasoning.clusters, reasoning.unscored) == (pytest.approx(0.525), 2, 1, 1)
    assert reasoning.low is None  # one cluster
    assert summary.metrics["score"].mean == 0.375
    assert summary.metrics["format"].n == 3
    assert summary.baselines["majority_answer"].mean == 0.75
    assert "shuffled_image" not in summary.baselines
    assert summary.by["modality"].keys() == {"CT"}
    assert summary.by["task"]["side"]["accuracy"].n == 3
    assert summary.by["kind"]["open"]["score"].mean == 0.375


def test_a_metric_that_applies_nowhere_is_absent() -> None:
    summary = summarise(RECORDS[3:], {}, {"q4": WRONG}, {Control.SWAPPED: RECORDS[3:]}, seed=0)
    assert not {"reasoning", "grounding", "consistency", "substance"} & summary.metrics.keys()
    assert summary.by["task"] == {}
    assert summary.baselines["shuffled_image"].mean == 0


def test_to_json_has_the_metrics_at_the_top() -> None:
    found = summarise(RECORDS, {"data": "ward"}, dict.fromkeys(("q1", "q2", "q3", "q4"), RIGHT), {}, seed=0).to_json()
    assert found["accuracy"]["mean"] == 0.25
    assert found["settings"] == {"data": "ward"}
    assert found["by"]["kind"]["open"]["accuracy"]["n"] == 4


def test_change_is_paired_by_question() -> None:
    after = [replace(item, grade=RIGHT) for item in reversed(RECORDS)]
    found = change(RECORDS, after, "accuracy", seed=0)
    assert (found.mean, found.n, found.clusters) == (0.75, 4, 3)
    reasoning = change(RECORDS, [replace(item, parts={"substance": 1.0}) for item in RECORDS[:3]], "reasoning", seed=0)
    assert (reasoning.mean, reasoning.n, reasoning.unscored) == (pytest.approx(0.475), 2, 1)


def test_finishes_count_by_completion() -> None:
    assert values([record(finishes=(Finish.LENGTH,) * 2)], "cut_off") == {"q1": 1.0}
