"""What people see in a terminal: tables, and a progress bar, on the error stream, for what takes over two seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rich.table import Table

T = TypeVar("T")

REDRAWN = 0.05  # seconds after which a bar is drawn anew: of a million short items most would do nothing else


def _one(item: Any) -> int:
    return 1


def progress(
    items: Iterable[T], label: str, *, total: int | None = None, units: Callable[[T], int] = _one, after: float = 2.0
) -> Iterator[T]:
    """The items, with a bar once `after` seconds have passed. An item counts as done when the next is asked for.

    `total` counts units; `units` says how many an item stands for (`len` for batches). Without a total there is no
    time left to show.
    """
    started, done, shown = monotonic(), 0, 0
    due = after
    with ExitStack() as stack:
        bar: Any = None
        for item in items:
            yield item
            done += units(item)
            seconds = monotonic() - started
            if seconds < due:
                continue
            if bar is None:
                bar = stack.enter_context(_bar(label, total))
            bar.update(bar.task_ids[0], completed=done, rate=done / max(seconds, 1e-9))
            due, shown = seconds + REDRAWN, done
        if bar is not None and shown < done:
            bar.update(bar.task_ids[0], completed=done, rate=done / max(monotonic() - started, 1e-9))


@contextmanager
def starting() -> Iterator[None]:
    """Around imports that take seconds: a sign of life in a terminal, nothing in a file."""
    with _console().status("starting"):
        yield


def plain_table(title: str, *columns: str) -> Table:
    """Without a frame; columns of numbers to the right."""
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.padding = (0, 1, 0, 0)
    table.min_width = cell_len(title)  # a title wider than its table would be broken
    for column in columns:
        table.add_column(column, justify="right" if column in ("n", "unscored") else "left")
    return table


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
