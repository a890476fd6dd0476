import signal
import threading
import time
from contextlib import suppress

import pytest

from rarl.patience import OverTimeError, within


def test_what_takes_too_long_is_interrupted_whatever_it_catches():
    def wait():
        with within(0.05):
            while True:
                with suppress(Exception):
                    time.sleep(20)

    started = time.monotonic()
    with pytest.raises(OverTimeError, match=r"took longer than 0\.05 s"):
        wait()
    assert time.monotonic() - started < 10


def test_what_is_in_time_is_left_alone_and_nothing_comes_after_it():
    before = signal.getsignal(signal.SIGUSR2)
    clocks = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    for _ in range(200):
        with suppress(OverTimeError), within(0.002):  # a busy machine may be late
            pass
    time.sleep(0.01)
    assert signal.getsignal(signal.SIGUSR2) is before
    assert [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)] == clocks


def test_an_error_of_its_own_passes_through():
    with pytest.raises(TimeoutError, match="mine"), within(5.0):
        raise TimeoutError("mine")


def test_an_alarm_of_its_own_still_rings():
    """As math_verify sets one."""
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(True))
    try:
        with within(5.0):
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            time.sleep(0.05)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert rung


def test_no_limit_and_another_thread_are_not_interrupted():
    with within(0.0):
        time.sleep(0.01)
    ended = []

    def work():
        with within(0.01):
            time.sleep(0.05)
        ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended
