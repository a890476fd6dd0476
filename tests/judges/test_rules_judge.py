"""The judge without a model."""

from dataclasses import replace

import pytest

from rarl.config import JudgeSection
from rarl.grading import grade
from rarl.judges import Failure, make_judge
from rarl.registry import judges
from rarl.types import JudgeQuery


@pytest.fixture
def judge():
    return make_judge(JudgeSection())


@pytest.mark.parametrize(
    ("gold", "answer", "score"),
    [
        ("left lung", "The left lung.", 3),
        ("left lung", "right lung", 0),
        ("yes", "no", 0),
        ("yes", "Yes.", 3),
        ("yes", None, 0),
        ("cerebellar hemorrhage", "hemorrhage", 2),  # F1 2/3
        ("acute left cerebellar hemorrhage", "hemorrhage", 1),  # F1 2/5
    ],
)
def test_scores_are_the_gradings(judge, gold, answer, score):
    [verdict] = judge([JudgeQuery("correctness", "1", "What is seen?", "", answer, gold=gold)])
    assert verdict.value == score / 3
    assert verdict.raw == f"{score}: {grade('What is seen?', gold, answer or '').rule}"


def test_wrong_is_never_best(judge):
    query = JudgeQuery("correctness", "1", "What?", "", "a b c d e f g h i", gold="a b c d e f g h i j")
    assert judge([query])[0].value in (2 / 3, 1 / 3, 0)


def test_it_says_what_it_is_not(judge, query):
    [verdict] = judge([query])
    assert "not a language model" in verdict.judge
    assert "not a language model" in judge.name
    assert verdict.rubric.startswith("grading-")
    assert judge.sent()["language_model"] is False
    assert judge.sent()["host"] is None


def test_explanations_are_left_to_models(judge, query):
    assert judge.axes == ("correctness",)
    [verdict] = judge([replace(query, axis="explanation")])
    assert (verdict.value, verdict.failure) == (None, Failure.UNSUITED)


def test_it_is_there_by_name(judge):
    assert judges.get("rules") is judge
