import logging
import warnings
from threading import Barrier, Thread

import pytest

from rarl.data.quiet import quiet


def speak() -> None:
    logging.getLogger("pydicom").warning("PatientName: Doe")
    warnings.warn("PatientName: Doe", stacklevel=1)


def test_nothing_is_said_within_and_all_is_as_before_after(caplog: pytest.LogCaptureFixture) -> None:
    before = warnings.filters[:]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with quiet():
            speak()
        assert not heard
        assert not caplog.records
        speak()
        assert len(heard) == len(caplog.records) == 1
    assert warnings.filters == before


def test_a_thread_that_leaves_takes_no_other_with_it(caplog: pytest.LogCaptureFixture) -> None:
    """In turn: one is within, another too, the first leaves, the other speaks."""
    turn = Barrier(2, timeout=10)

    def first() -> None:
        with quiet():
            turn.wait()
            turn.wait()
        turn.wait()

    thread = Thread(target=first)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        thread.start()
        turn.wait()
        with quiet():
            turn.wait()
            turn.wait()
            speak()
        thread.join()
        assert not heard
        assert not caplog.records
        speak()
        assert len(heard) == len(caplog.records) == 1


def test_an_error_ends_it() -> None:
    with pytest.raises(ZeroDivisionError), quiet():
        raise ZeroDivisionError
    assert not logging.getLogger("pydicom").disabled
