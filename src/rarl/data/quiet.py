"""Decoders' own words kept back: of pydicom they may repeat what a header holds, of Pillow they are no news."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from warnings import catch_warnings, simplefilter

_lock = Lock()
_silence = ExitStack()
_threads = 0  # that are within


@contextmanager
def quiet() -> Iterator[None]:
    """No warning and no log of theirs while any thread is within: both are the process's to silence, not a thread's."""
    global _threads
    with _lock:
        if not _threads:
            _silence.enter_context(catch_warnings())
            simplefilter("ignore")
            _silence.enter_context(_disabled(logging.getLogger("pydicom")))
        _threads += 1
    try:
        yield
    finally:
        with _lock:
            _threads -= 1
            if not _threads:
                _silence.close()


@contextmanager
def _disabled(logger: logging.Logger) -> Iterator[None]:
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
