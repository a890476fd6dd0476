"""Waiting for somebody else's code no longer than agreed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNAL = getattr(signal, "SIGUSR2", None)  # not SIGALRM, which is what such code may set for itself


class OverTimeError(BaseException):
    """Raised where the code is that took too long; no `except Exception` in it holds it up."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raises OverTimeError in what is done within once so many seconds are over; 0: it may take any time.

    The main thread alone can be interrupted, in Python's own code and in waiting, not in a library's loop in C; in any
    other thread, and on systems without SIGUSR2, there is no limit.
    """
    if not seconds or _SIGNAL is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    running = late = False

    def over(number: int, frame: FrameType | None) -> None:
        nonlocal late
        late = True
        if running:
            raise OverTimeError(why)

    why = f"took longer than {seconds:g} s"
    before = signal.signal(_SIGNAL, over)
    clock = threading.Timer(seconds, signal.pthread_kill, (threading.get_ident(), _SIGNAL))
    clock.daemon = True
    try:
        clock.start()
        running = True
        if late:  # over before it began
            raise OverTimeError(why)
        yield
    finally:
        running = False
        clock.cancel()
        clock.join()
        signal.signal(_SIGNAL, before)
