import pytest

from evaluation.scripted import record
from rarl.evaluation.protocols import ALL, METRICS, PROTOCOLS, values
from rarl.types import EvalRecord, Grade, QuestionKind, Shape, Verdict


def said(gold: str, answer: str | None, kind: QuestionKind = QuestionKind.OPEN, **more: object) -> EvalRecord:
    return record("q", gold=gold, answer=answer, kind=kind, **more)


def one(name: str, item: EvalRecord) -> float | None:
    return values([item], name)["q"]


@pytest.mark.parametrize(
    ("gold", "answer", "right"),
    [
        ("yes", "Yes.", 1),
        ("Yes", "yes, there is", 1),
        ("no", "No", 1),
        ("no", "normal", 0),  # "no" is in it as letters, not as a word
        ("yes", "yes or no", 0),
        ("yes", "there is", 0),
        ("no", None, 0),
    ],
)
def test_yes_or_no_as_words(gold: str, answer: str | None, right: int) -> None:
    assert one("closed_yesno", said(gold, answer, QuestionKind.YESNO)) == right


def test_questions_are_closed_or_open() -> None:
    rows = [
        said("yes", "yes", QuestionKind.YESNO),
        said("left", "Left.", QuestionKind.MCQ),
        said("a cyst", "cyst", QuestionKind.OPEN),
        said("2", "2", QuestionKind.NUMBER),
    ]
    names = ("closed_yesno", "exact_match", "exact_match_closed", "exact_match_open", "open_recall")
    found = {name: [values([row], name).get("q") for row in rows] for name in names}
    assert found == {
        "closed_yesno": [1.0, None, None, None],
        "exact_match": [1.0, 1.0, 0.0, 1.0],
        "exact_match_closed": [1.0, 1.0, None, None],
        "exact_match_open": [None, None, 0.0, 1.0],
        "open_recall": [None, None, 1.0, 1.0],
    }


def test_strict_and_relaxed_are_the_gradings_own() -> None:
    grade = Grade(False, 0.5, QuestionKind.OPEN, "overlap", "left lung", "left", relaxed=1.0)
    assert (one("strict", said("left lung", "left", grade=grade)), one("relaxed", said("", "", grade=grade))) == (
        0.0,
        1.0,
    )
    assert values([record()], "relaxed") == {}  # graded before there was such a score: absent, not 0


def test_a_judges_values_are_metrics_and_one_of_them_a_protocol() -> None:
    verdicts = {
        "correctness": Verdict(2 / 3, "correctness", "", "m", "r"),
        "explanation": Verdict(None, "e", "", "m", "r"),
    }
    judged = said("a", "b", verdicts=verdicts)
    assert one("judge_correctness", judged) == 2 / 3
    assert one("judge_explanation", judged) is None  # unscored, not absent
    assert values([record()], "judge_correctness") == {}
    assert "judge_correctness" in PROTOCOLS
    assert PROTOCOLS["judge_correctness"](judged) == METRICS["judge_correctness"](judged)


def test_an_answer_that_is_missing_is_wrong_by_every_protocol() -> None:
    wrong = Grade(False, 0.0, QuestionKind.OPEN, "empty", "left", "")
    for name in ("strict", "exact_match", "token_f1", "open_recall"):
        assert one(name, said("left", None, grade=wrong)) == 0.0, name


def test_likeness_is_there_where_it_was_asked_for() -> None:
    assert values([record()], "rouge_l") == {}
    assert values([record(likeness={"rouge_l": 0.25})], "rouge_l") == {"q1": 0.25}


def test_any_other_name_is_a_part() -> None:
    assert values([record(parts={"mine": 0.5}), record("q2", parts={})], "mine") == {"q1": 0.5}
    assert "mine" not in ALL


def test_parse_failures_know_the_shape() -> None:
    item = record(shape=Shape.THINK_AFTER, completions=("<answer> a </answer> <think> b </think>", "a"))
    assert values([item], "parse_failures") == {"q1": 0.5}
