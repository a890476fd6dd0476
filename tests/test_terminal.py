import pytest

from rarl.terminal import progress, starting


def test_items_pass_through_and_short_work_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(5), "counting", total=5)) == [0, 1, 2, 3, 4]
    assert capsys.readouterr() == ("", "")


def test_longer_work_shows_count_and_rate_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    batches = ["abc", "de"]
    assert list(progress(batches, "answering", total=5, units=len, after=0)) == batches
    out, err = capsys.readouterr()
    assert out == ""
    assert "answering" in err
    assert "5/5" in err
    assert "/s" in err


def test_an_error_in_the_loop_ends_the_bar() -> None:
    def consume() -> None:
        for item in progress(range(5), "counting", total=5, after=0):
            if item == 2:
                raise KeyError("from the loop")

    with pytest.raises(KeyError):
        consume()
    assert list(progress(range(2), "again", after=0)) == [0, 1]  # rich allows one live bar at a time


def test_a_bar_within_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in progress(range(2), "outer", total=2, after=0):
        assert list(progress(range(3), "inner", total=3, after=0)) == [0, 1, 2]
    err = capsys.readouterr().err
    assert "outer" in err
    assert "3/3" in err


def test_a_start_shows_nothing_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with starting():
        assert list(progress(range(2), "within", total=2)) == [0, 1]
    assert capsys.readouterr().out == ""
