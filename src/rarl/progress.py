"""A progress bar for what takes longer than two seconds: count, rate and the time left, on the error stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import cache
from time import monotonic
from typing import Any, TypeVar

T = TypeVar("T")


def _one(item: Any) -> int:
    return 1


def progress(
    items: Iterable[T], label: str, *, total: int | None = None, units: Callable[[T], int] = _one, after: float = 2.0
) -> Iterator[T]:
    """The items, with a bar once `after` seconds have passed. An item counts as done when the next is asked for.

    `total` counts units; `units` says how many an item stands for (`len` for batches). Without a total there is no
    time left to show.
    """
    started, done = monotonic(), 0
    with ExitStack() as stack:
        bar: Any = None
        for item in items:
            yield item
            done += units(item)
            seconds = monotonic() - started
            if seconds < after:
                continue
            if bar is None:
                bar = stack.enter_context(_bar(label, total))
            bar.update(bar.task_ids[0], completed=done, rate=done / max(seconds, 1e-9))


def _bar(label: str, total: int | None) -> Any:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]:.1f}/s")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
    bar = Progress(*columns, console=_console())
    bar.add_task(label, total=total, rate=0.0)
    return bar


@cache
def _console() -> Any:
    """One for all bars: rich then stacks a bar that starts while another is shown."""
    from rich.console import Console

    return Console(stderr=True)
