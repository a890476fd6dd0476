import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from rarl.errors import StoppedError
from rarl.stopping import TimeUpError, stoppable

HOW = "go on with rarl train --resume x"


def send(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_signal_ends_what_may_be_ended_at_once(number, code):
    with pytest.raises(StoppedError) as caught, stoppable(HOW):
        try:
            send(number)
            time.sleep(5)
        except Exception:
            pytest.fail("what catches exceptions does not catch it")
    assert caught.value.exit_code == code
    assert str(caught.value) == f"stopped by {number.name}; {HOW}"


def test_what_is_done_later_is_finished_first():
    done = []
    with pytest.raises(StoppedError), stoppable(HOW) as stop:
        with stop.later():
            send()
            done.append("the step")
        assert stop.signal == signal.SIGTERM
        stop.now()
        done.append("the next")
    assert done == ["the step"]


def test_a_second_signal_counts_at_once():
    with pytest.raises(StoppedError), stoppable(HOW) as stop, stop.later():
        send()
        send()
        pytest.fail("it went on")


def test_time_is_up_within_what_takes_too_long():
    seen = []
    with pytest.raises(StoppedError) as caught, stoppable(HOW, grace=0.05) as stop:
        try:
            with stop.later():
                send()
                time.sleep(5)
                pytest.fail("it went on")
        except TimeUpError:
            seen.append("time to save")
            raise
    assert seen
    assert caught.value.exit_code == 75


def test_what_ends_in_time_is_not_disturbed_later():
    with pytest.raises(StoppedError), stoppable(HOW, grace=0.05) as stop:
        with stop.later():
            send()
        time.sleep(0.1)
        stop.now()


def test_without_a_signal_nothing_happens_and_handlers_are_put_back():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with stoppable(HOW) as stop:
        with stop.later():
            pass
        stop.now()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_other_threads_are_left_alone():
    found = []

    def work():
        with stoppable(HOW) as stop:
            found.append(stop.signal)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [None]


def test_a_process_that_is_told_to_stop_exits_with_75():
    text = f"import sys, time\nfrom rarl.stopping import stoppable\nfrom rarl.errors import StoppedError\ntry:\n with stoppable({HOW!r}):\n  print('in', flush=True)\n  time.sleep(30)\nexcept StoppedError as error:\n sys.exit(error.exit_code)\n"
    process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"in\n"
    process.terminate()
    assert process.wait(20) == 75
