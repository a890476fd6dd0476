"""Calling reward functions as TRL does, the user's own among them: sync or async, and what they raise."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from threading import Thread
from types import SimpleNamespace
from typing import Any

from rarl.errors import RewardError
from rarl.patience import OverTimeError, within
from rarl.registry import told
from rarl.rewards.columns import COLUMNS
from rarl.types import Judge

logger = logging.getLogger(__name__)
_BATCH = ("prompts", "completions", "completion_ids")
_TRL_NAMES = {"solution": "answer"}  # what TRL's own rewards call a column
_HOOKS = ("trainer_state", "log_extra", "log_metric")
# What somebody's code may come to without ending the run; an interrupt does end it.
FAILURES = (Exception, SystemExit, OverTimeError)
LARGEST = 1e12  # beyond is an accident; sums and squares of what is within are far from overflowing, in float32 too


@dataclass(slots=True)
class RewardLog:
    """What happened while scoring: rows that a reward failed on, and what rewards logged by TRL's two hooks."""

    failed: dict[str, int] = field(default_factory=dict)
    stops: bool = False  # whether a row that a reward fails on is an error rather than counted
    metrics: dict[str, list[float]] = field(default_factory=dict)
    extra: dict[str, list[Any]] = field(default_factory=dict)

    def fail(self, name: str, count: int = 1) -> None:
        """Count rows that `name` failed on."""
        self.failed[name] = self.failed.get(name, 0) + count

    def hooks(self, step: int) -> dict[str, Any]:
        """TRL's optional arguments; its trainer_state here holds `global_step` alone."""
        return {
            "trainer_state": SimpleNamespace(global_step=step),
            "log_extra": lambda column, values: self.extra.setdefault(column, []).extend(values),
            "log_metric": self._log_metric,
        }

    def _log_metric(self, name: str, value: Any) -> None:
        number = float(value)
        if in_range(number):
            self.metrics.setdefault(name, []).append(number)
        else:
            self.fail(name)


def in_range(value: float) -> bool:
    """Whether a score or metric can be calculated with: neither nan nor beyond 1e12 on either side."""
    return abs(value) <= LARGEST


@dataclass(frozen=True, slots=True)
class Batch:
    """The arguments that every reward function is offered: lists of one entry a completion."""

    lists: Mapping[str, Sequence[Any]]
    hooks: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.lists["completions"])

    def row(self, i: int) -> Batch:
        return Batch({name: values[i : i + 1] for name, values in self.lists.items()}, self.hooks)


class RewardFunction:
    """A reward by name, called with the arguments that its signature takes.

    `**kwargs` get the batch and the columns; the hooks of TRL go only to functions that name them. A function that
    names `judge` gets the configured one, or None, and so does its `applies`.
    """

    def __init__(
        self, name: str, function: Callable[..., Any], judge: Judge | None = None, timeout: float = 0.0
    ) -> None:
        """`timeout`: seconds that a call may take; 0: any. Errors: RewardError for a signature that can't be served."""
        self.name = name
        self.needs: str = getattr(function, "needs", "")
        applies: Callable[..., bool] | None = getattr(function, "applies", None)
        if applies is not None and not callable(applies):
            raise RewardError(f"reward {name!r}: its attribute `applies` must be a function, not {applies!r}")
        parameters = inspect.signature(function).parameters.values()
        named = {p.name: p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        offered = (*_BATCH, *COLUMNS, *_TRL_NAMES, *_HOOKS, "judge")
        bare = [p.name for p in named.values() if p.kind is p.POSITIONAL_ONLY]
        if bare:
            raise RewardError(f"reward {name!r} takes {bare[0]!r} by position only; columns are passed by name")
        lacking = [p.name for p in named.values() if p.default is p.empty and p.name not in offered]
        if lacking:
            raise RewardError(f"reward {name!r} asks for {lacking[0]!r}, which there is not; it may take {offered}")
        takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
        bound = {"judge": judge} if "judge" in named else {}
        self.asks_judge = bound.get("judge") is not None
        self.timeout = 0.0 if self.asks_judge else timeout  # a judge has a patience of its own
        self.function = partial(function, **bound)
        self.applies = None if applies is None else partial(applies, **bound)
        self._takes = {*named, *((*_BATCH, *COLUMNS) if takes_all else ())}

    def applies_to(self, row: Mapping[str, Any]) -> bool:
        """What the function's own `applies` says of a row of columns; yes if it has none."""
        return self.applies is None or bool(self.applies(**row))

    def __call__(self, batch: Batch) -> Any:
        """The function's own result: values, or an awaitable of them."""
        renamed = {theirs: batch.lists[ours] for theirs, ours in _TRL_NAMES.items()}
        offered = {**batch.lists, **renamed, **batch.hooks}
        taken = {name: value for name, value in offered.items() if name in self._takes}
        # Lists of its own: what one reward does to them, no other sees.
        return self.function(**{name: list(v) if isinstance(v, list) else v for name, v in taken.items()})


def call_all(functions: Sequence[RewardFunction], batch: Batch, log: RewardLog) -> dict[str, list[float | None]]:
    """Every function's values, one a completion; coroutines run side by side.

    A function that raises is called again row by row, and the rows it raises on are None: counted in `log` and named in
    a warning. One that takes longer than its timeout is not called again: all rows are None.

    Errors: RewardError where a function returns something else than one number or None a row.
    """
    results = _run_all([(function, batch) for function in functions])
    values: dict[str, list[float | None]] = {}
    for function, result in zip(functions, results, strict=True):
        if isinstance(result, OverTimeError):
            _failed(function.name, [result] * len(batch), batch.lists["id"], log)
            result = [None] * len(batch)
        elif isinstance(result, FAILURES):
            result = _row_by_row(function, batch, log)
        values[function.name] = _checked(function.name, result, len(batch), log)
    return values


def _row_by_row(function: RewardFunction, batch: Batch, log: RewardLog) -> list[Any]:
    results = _run_all([(function, batch.row(i)) for i in range(len(batch))])
    failed = _failed(function.name, results, batch.lists["id"], log)
    return [None if i in failed else _checked(function.name, result, 1, log)[0] for i, result in enumerate(results)]


def applying(function: RewardFunction, rows: Sequence[Mapping[str, Any]], log: RewardLog) -> list[bool | None]:
    """Which rows of columns the function applies to; None where its `applies` raises: counted in `log` and named."""
    results = [_attempt(partial(function.applies_to, row)) for row in rows]
    failed = _failed(function.name, results, [row["id"] for row in rows], log)
    return [None if i in failed else result for i, result in enumerate(results)]


def _failed(name: str, results: Sequence[Any], ids: Sequence[str], log: RewardLog) -> set[int]:
    """Where the results are exceptions: counted in `log`, the first named in a warning, or where it stops an error."""
    failed = [i for i, result in enumerate(results) if isinstance(result, FAILURES)]
    if failed and log.stops:
        raise RewardError(
            f"reward {name!r} failed on example {ids[failed[0]]!r}: {told(results[failed[0]])}; mend it, or leave such "
            'rows unscored with reward.on_error = "none"'
        )
    if failed:
        log.fail(name, len(failed))
        logger.warning(
            "reward %r failed on %d of %d rows, which stay unscored; first on example %r: %s",
            *(name, len(failed), len(results), ids[failed[0]], told(results[failed[0]])),
        )
    return set(failed)


def _run_all(calls: Sequence[tuple[RewardFunction, Batch]]) -> list[Any]:
    """The result of each call, or the exception it raised; awaitables are awaited together, as long as the most patient
    of them may take."""
    results = [_attempt(partial(function, batch), function.timeout) for function, batch in calls]
    waiting = [i for i, result in enumerate(results) if inspect.isawaitable(result)]
    if waiting:
        timeouts = [calls[i][0].timeout for i in waiting]
        patience = max(timeouts) if all(timeouts) else 0.0
        done = _attempt(partial(_awaited, [results[i] for i in waiting]), patience)
        for place, i in enumerate(waiting):
            results[i] = done if isinstance(done, OverTimeError) else done[place]
    return results


def _attempt(call: Callable[[], Any], seconds: float = 0.0) -> Any:
    try:
        with within(seconds):
            return call()
    except FAILURES as error:  # the user's code may raise anything, and a run must outlive it
        return error


def _awaited(awaitables: Sequence[Awaitable[Any]]) -> list[Any]:
    """In a thread of its own, as the caller's may have a running loop already (a notebook has); it may be given up."""
    done: Future[list[Any]] = Future()

    def wait() -> None:
        try:
            done.set_result(asyncio.run(_gather(awaitables)))
        except BaseException as error:  # noqa: BLE001  whatever it is, the caller raises it
            done.set_exception(error)

    Thread(target=wait, daemon=True).start()
    return done.result()


async def _gather(awaitables: Sequence[Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*map(_attempt_awaiting, awaitables), return_exceptions=True)


async def _attempt_awaiting(awaitable: Awaitable[Any]) -> Any:
    try:
        return await awaitable
    except SystemExit as error:  # would end the loop, and with it what the others are at
        return error


def _checked(name: str, result: Any, count: int, log: RewardLog) -> list[float | None]:
    if hasattr(result, "tolist"):
        result = result.tolist()  # an array or tensor; one without axes gives a number
    values = list(result) if isinstance(result, Sequence) else None
    if values is None or len(values) != count:
        got = type(result).__name__ if values is None else f"{len(values)} values"
        raise RewardError(f"reward {name!r} must return one number or None a completion: {count} expected, got {got}")
    checked: list[float | None] = []
    for value in values:
        try:
            number = None if value is None else float(value)
        except (TypeError, ValueError, OverflowError):
            raise RewardError(f"reward {name!r} returned {value!r}; a number or None is needed") from None
        if number is not None and not in_range(number):
            log.fail(name)
            number = None
        checked.append(number)
    return checked
