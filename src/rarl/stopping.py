"""Being asked to stop, as by SLURM or Ctrl-C: what runs is brought to a point from which it can go on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rarl.errors import StoppedError

# SIGUSR1 is what SLURM's --signal=USR1 sends ahead of time, and what a study passes on to its arms.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name))


class _AskedToStop(BaseException):
    """Raised by a signal wherever the program is; no `except Exception`, as around a user's reward, holds it up."""


class TimeUpError(BaseException):
    """The time that was left after a signal is over."""


class Stop:
    """Whether one was asked to stop. Within `later` the first signal is only remembered; a second counts at once."""

    def __init__(self, grace: float) -> None:
        self.signal: int | None = None
        self._grace, self._waits = grace, False

    @contextmanager
    def later(self) -> Iterator[None]:
        """What is done within should be finished. Raises TimeUpError if that takes longer than the time of grace."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False
            _alarm(0)

    def now(self) -> None:
        """The point at which to stop, if that was asked for."""
        if self.signal is not None:
            raise _AskedToStop

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        asked_before, self.signal = self.signal is not None, number
        if asked_before or not self._waits:
            raise _AskedToStop
        _alarm(self._grace)


@contextmanager
def stoppable(how: str, grace: float = 0.0) -> Iterator[Stop]:
    """A part of the program that SIGNALS end with a StoppedError; `how` says how to go on.

    `grace`: seconds that what is done `later` may still take. A signal that is ignored stays so. Signals reach the main
    thread only: in any other, nothing is done about them.
    """
    stop = Stop(grace)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop._on_signal) for number in heard}
    if hasattr(signal, "SIGALRM"):
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, _time_is_up)
    try:
        yield stop
    except (_AskedToStop, TimeUpError):
        raise StoppedError(stop.signal or signal.SIGTERM, how) from None
    finally:
        _alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ignored() -> Iterator[None]:
    """Signals are passed over, also by processes that are started within."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _time_is_up(number: int, frame: FrameType | None) -> None:
    raise TimeUpError


def _alarm(seconds: float) -> None:
    """Sets the clock, or with 0 stops it; where the system has none, time is never up."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)
