import pytest

from evaluation.scripted import record
from rarl.evaluation.calibration import calibration
from rarl.types import Grade, QuestionKind


def voted(item: str, votes: int | None, of: int, right: bool):
    grade = Grade(right, float(right), QuestionKind.OPEN, "exact", "left", "left")
    return record(item, cluster=item, completions=("x",) * of, votes=votes, grade=grade)


def test_the_curve_by_hand() -> None:
    rows = [(7, True), (7, False), (10, True), (10, True), (10, True), (10, False), (3, False), (0, False)]
    curve = calibration([voted(f"q{n}", votes, 10, right) for n, (votes, right) in enumerate(rows)], seed=0)
    assert curve is not None
    found = [(each.low, each.high, each.share, each.right.mean, each.right.n) for each in curve.bins]
    assert found == [
        (0.0, 0.1, 0.0, 0.0, 1),
        (0.2, 0.3, 0.3, 0.0, 1),
        (0.6, 0.7, 0.7, 0.5, 2),
        (0.9, 1.0, 1.0, 0.75, 4),
    ]
    # 1/8 x 0 + 1/8 x 0.3 + 2/8 x 0.2 + 4/8 x 0.25
    assert curve.error == pytest.approx(0.2125)


@pytest.mark.parametrize("of", range(2, 41))
def test_every_share_is_in_the_bin_that_holds_it(of: int) -> None:
    for votes in range(1, of + 1):
        curve = calibration([voted("q", votes, of, True)], seed=0)
        assert curve is not None
        [each] = curve.bins
        assert round(10 * each.low) * of < 10 * votes <= round(10 * each.high) * of


def test_a_vote_that_is_as_right_as_it_is_sure_has_no_error() -> None:
    curve = calibration([voted(f"q{n}", 8, 10, n < 8) for n in range(10)], seed=0)
    assert curve is not None
    assert curve.error == pytest.approx(0)


def test_there_is_no_curve_without_votes() -> None:
    assert calibration([voted("q", 1, 1, True)], seed=0) is None
    assert calibration([voted("q", None, 5, True)], seed=0) is None  # a record of an earlier version
    assert calibration([], seed=0) is None
