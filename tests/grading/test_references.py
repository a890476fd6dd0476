"""Several right answers: an answer counts as right where it matches any of them."""

import json
from dataclasses import replace

import pytest

from rarl.errors import DataError
from rarl.grading import grade
from rarl.grading.files import grade_file, grade_row
from rarl.types import QuestionKind

QUESTION = "What is the primary abnormality in this image?"
GOLD, OTHERS = "anaplastic oligodendroglioma", ("multi-cystic complex mass", "neoplasm")


@pytest.mark.parametrize(
    ("said", "correct", "matched"),
    [
        ("anaplastic oligodendroglioma", True, "anaplastic oligodendroglioma"),
        ("A neoplasm.", True, "neoplasm"),
        ("multi-cystic complex mass", True, None),
        ("appendicitis", False, "anaplastic oligodendroglioma"),  # of equally far ones the first
    ],
)
def test_the_best_of_all_right_answers_counts(said: str, correct: bool, matched: str | None) -> None:
    found = grade(QUESTION, GOLD, said, references=OTHERS)
    alone = [grade(QUESTION, right, said) for right in (GOLD, *OTHERS)]
    assert found.correct is correct
    assert found.score == max(each.score for each in alone)
    assert found.relaxed == max(each.relaxed or 0 for each in alone)
    assert matched is None or found.matched == matched
    assert replace(found, matched="") in [replace(each, kind=found.kind) for each in alone]


def test_partial_credit_is_that_of_the_nearest() -> None:
    found = grade("What is seen?", "fracture", "cystic mass", references=("large cystic mass",))
    assert (found.correct, found.matched) == (False, "large cystic mass")
    assert found.score == pytest.approx(0.8)  # two of three words, none too many


def test_the_kind_is_that_of_the_first_or_the_given_one() -> None:
    assert grade("What is seen?", "3 cm", "a large mass", references=("large mass",)).kind is QuestionKind.NUMBER
    found = grade("What is seen?", "3 cm", "a large mass", references=("large mass",), kind=QuestionKind.OPEN)
    assert (found.kind, found.correct) == (QuestionKind.OPEN, True)


def test_without_references_nothing_is_another() -> None:
    for said in ("neoplasm", GOLD, ""):
        assert grade(QUESTION, GOLD, said, references=()) == grade(QUESTION, GOLD, said)


def test_an_answer_of_all_of_them_is_no_safe_bet_where_one_is_none() -> None:
    assert not grade("Which side?", "left", "right", references=("left lower lobe",)).correct


def test_a_row_may_have_a_list_of_right_answers(tmp_path) -> None:
    row = {"question": QUESTION, "gold": [GOLD, *OTHERS, GOLD], "prediction": "neoplasm"}
    graded = grade_row(row)
    assert (graded["verdict"], graded["matched"], graded["gold"]) == (True, "neoplasm", row["gold"])
    assert "matched" not in grade_row(row | {"gold": GOLD})
    (tmp_path / "in.jsonl").write_text(json.dumps(row))
    assert grade_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl").correct == 1
    assert grade_row(row | {"gold": [GOLD]}) == grade_row(row | {"gold": GOLD}) | {"gold": [GOLD]}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"gold": []}, "gold is an empty list"),
        ({"gold": [GOLD, " "]}, "gold is empty"),
        ({"gold": [GOLD, None]}, "gold is null"),
        ({"gold": [GOLD, ["neoplasm"]]}, "gold is"),
        ({"gold": ["yes", "no"]}, "gold is a list; a choice, or a question of yes or no, has one right answer"),
        ({"gold": ["a", "b"], "options": ["a", "b", "c"]}, "has one right answer"),
        ({"gold": ["a", "b"], "kind": "mcq"}, "has one right answer"),
    ],
)
def test_lists_that_are_refused(change, why) -> None:
    with pytest.raises(DataError, match=why):
        grade_row({"question": QUESTION, "prediction": "x", **change})
