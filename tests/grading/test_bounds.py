import pytest
from hypothesis import given
from hypothesis import strategies as st

from rarl.grading import grade
from rarl.grading.quantities import Quantity
from rarl.grading.reading import read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("more than 3 cm", "more_than 30 mm"),
        ("> 3 cm", "more_than 30 mm"),
        ("larger than 3 cm", "more_than 30 mm"),
        ("exceeding 3 cm", "more_than 30 mm"),
        ("under 3 cm", "less_than 30 mm"),
        ("at least 3", "at_least 3"),
        ("3 or more", "at_least 3"),
        ("3+", "at_least 3"),
        (">= 3 cm", "at_least 30 mm"),
        (r"$\geq 3$", "at_least 3"),
        ("3 cm or larger", "at_least 30 mm"),
        ("no fewer than 3", "at_least 3"),
        ("up to 3", "at_most 3"),
        ("not more than 3", "at_most 3"),
        ("\u2264 3", "at_most 3"),
        ("not just 1", "more_than 1"),
        ("larger than the left", "larger than the left"),
        ("3 cm above the carina", "30 mm above the carina"),
        ("more than >3", "more than more than 3"),
    ],
)
def test_bounds_are_one_word_before_their_number(text: str, expected: str) -> None:
    assert read(text) == tuple(expected.split())


@pytest.mark.parametrize(
    ("stated", "limit", "says"),
    [
        ((45, ""), (30, "more_than"), True),
        ((30, ""), (30, "more_than"), False),
        ((30, ""), (30, "at_least"), True),
        ((30, "more_than"), (30, "more_than"), True),
        ((30, "at_most"), (30, "more_than"), False),
        ((20, "at_least"), (30, "more_than"), None),
        ((40, "less_than"), (30, "more_than"), None),
        ((20, "less_than"), (30, "less_than"), True),
        ((30, "at_most"), (30, "less_than"), None),
        ((5, ""), (5, ""), True),
        ((6, ""), (5, ""), False),
    ],
)
def test_what_an_amount_says_of_a_limit(stated: tuple[int, str], limit: tuple[int, str], says: bool | None) -> None:
    (amount, bound), (other, kind) = stated, limit
    assert Quantity(amount, "length", bound).compared(Quantity(other, "length", kind)) is says


@given(amount=st.integers(0, 99), limit=st.integers(1, 98))
def test_a_question_with_a_limit_is_answered_by_every_count(amount: int, limit: int) -> None:
    question, answer = f"Are there more than {limit} nodules?", f"There are {amount} nodules."
    assert grade(question, "yes", answer).correct is (amount > limit)
    assert grade(question, "no", answer).correct is (amount <= limit)


@pytest.mark.parametrize(
    ("gold", "prediction", "correct"),
    [
        ("5", "more than 2", False),
        ("5", "at least 5", False),
        ("more than 5", "over 5", True),
        ("more than 5", "at least 6", True),
        ("more than 5", "5", False),
        ("> 3 cm", "larger than 30 mm", True),
        ("> 3 cm", ">= 3 cm", False),
        ("3 cm", "approximately 3 cm", True),
        ("just one", "not just one", False),
    ],
)
def test_a_bound_is_another_answer_than_a_number(gold: str, prediction: str, correct: bool) -> None:
    assert grade("How many?", gold, prediction).correct is correct
