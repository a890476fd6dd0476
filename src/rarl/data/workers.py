"""Images decoded in threads, ahead of their use: Pillow and NumPy let others run meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import TracebackType
from typing import Self, TypeVar

from rarl.types import ImageSource

T = TypeVar("T")

MOST = 8  # threads: each may hold an image of 80 million pixels


class Workers:
    """A thread a core. What is still to do when the context ends is dropped.

    Threads read only image sources that say `threads = True`: somebody's own may not be made for it.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(min(MOST, os.cpu_count() or 1))

    def begin(self, work: Callable[[ImageSource], T], image: ImageSource) -> Callable[[], T]:
        """What gives the result, once it is there; of an image of somebody's own kind, what begins to work on it."""
        if getattr(image, "threads", False):
            return self._pool.submit(work, image).result
        return cache(lambda: work(image))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
