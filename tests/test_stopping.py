import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import pytest

from rarl.errors import StoppedError
from rarl.stopping import TimeUpError, ignored, stoppable

HOW = "go on with rarl train --resume x"


@pytest.fixture(autouse=True)
def heard():
    """Whoever runs these tests may have Ctrl-C ignored, as for a job in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def send(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


def stopped(work, grace=0.0):
    """The error that the work ends in, and what it noted down."""
    notes = []
    with pytest.raises(StoppedError) as caught:
        run(work, notes, grace)
    return caught.value, notes


def run(work, notes, grace):
    with stoppable(HOW, grace) as stop:
        work(stop, notes)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_signal_ends_what_may_be_ended_at_once(number, code):
    def work(stop, notes):
        try:
            send(number)
            time.sleep(5)
        except Exception:  # noqa: BLE001  as around a user's reward
            notes.append("held up")

    error, notes = stopped(work)
    assert notes == []
    assert error.exit_code == code
    assert str(error) == f"stopped by {number.name}; {HOW}"


def test_what_is_done_later_is_finished_first():
    def work(stop, notes):
        with stop.later():
            send()
            notes.append("the step")
        notes.append(stop.signal)
        stop.now()
        notes.append("the next")

    assert stopped(work)[1] == ["the step", signal.SIGTERM]


def test_a_second_signal_counts_at_once():
    def work(stop, notes):
        with stop.later():
            send()
            notes.append("once")
            send()
            notes.append("twice")

    assert stopped(work)[1] == ["once"]


def test_time_is_up_within_what_takes_too_long():
    def work(stop, notes):
        try:
            with stop.later():
                send()
                time.sleep(5)
                notes.append("it went on")
        except TimeUpError:
            notes.append("time to save")
            raise

    error, notes = stopped(work, grace=0.05)
    assert notes == ["time to save"]
    assert error.exit_code == 75


def test_what_ends_in_time_is_not_disturbed_later():
    def work(stop, notes):
        with stop.later():
            send()
        time.sleep(0.1)
        notes.append("in peace")
        stop.now()

    assert stopped(work, grace=0.05)[1] == ["in peace"]


def test_without_a_signal_nothing_happens_and_handlers_are_put_back():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with stoppable(HOW) as stop:
        with stop.later():
            pass
        stop.now()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_other_threads_are_left_alone():
    notes = []
    thread = threading.Thread(target=run, args=(lambda stop, notes: notes.append(stop.signal), notes, 0.0))
    thread.start()
    thread.join()
    assert notes == [None]


def test_a_process_that_is_told_to_stop_exits_with_75(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, time\nfrom rarl.stopping import stoppable\nfrom rarl.errors import StoppedError\n"
        "try:\n    with stoppable('again'):\n        print('in', flush=True)\n        time.sleep(30)\n"
        "except StoppedError as error:\n    sys.exit(error.exit_code)\n"
    )
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"in\n"
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 75


def test_what_is_ignored_stays_so():
    with ignored(), stoppable(HOW) as stop:
        send()
        assert stop.signal is None


def test_the_error_comes_back_from_another_process():
    error = pickle.loads(pickle.dumps(StoppedError(signal.SIGINT, HOW)))
    assert (error.exit_code, str(error)) == (130, f"stopped by SIGINT; {HOW}")
