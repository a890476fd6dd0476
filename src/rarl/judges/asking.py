"""Asking any judge, a user's own function among them: whatever it does, there is one verdict a query."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from rarl.errors import JudgeError
from rarl.judges.failures import Failure
from rarl.judges.rubrics import rubrics
from rarl.patience import OverTimeError, within
from rarl.registry import told
from rarl.types import Judge, JudgeQuery, Verdict

FAILURES = (Exception, SystemExit)  # what somebody's code may raise without ending a run; an interrupt does end it


def ask(judge: Judge, queries: Sequence[JudgeQuery]) -> list[Verdict]:
    """One verdict a query, in order. What the judge fails on has no value: never 0.

    It fails on a query with a value outside [0, 1], and on all of a call by raising or by returning anything but one
    Verdict a query. Errors: JudgeError, where it says itself that it can't be asked at all.
    """
    if not queries:
        return []
    try:
        found = judge(queries)
    except JudgeError:
        raise
    except FAILURES as error:
        return _none(queries, told(error))
    verdicts = list(found) if isinstance(found, Sequence) else []
    if len(verdicts) != len(queries) or not all(isinstance(verdict, Verdict) for verdict in verdicts):
        return _none(queries, f"a judge must return one Verdict a query; {len(queries)} asked, got {found!r:.100}")
    return [_checked(verdict) for verdict in verdicts]


@runtime_checkable
class Streams(Protocol):
    """A judge that tells its verdicts as they come."""

    def each(self, queries: Sequence[JudgeQuery], counted: Callable[[], None]) -> Iterator[dict[int, Verdict]]:
        """Some verdicts at a time, by the query's index, till there is one for each.

        `counted` is called, from any thread, when `sent()` has changed: before a request leaves, and when it is paid.
        Errors: JudgeError.
        """


def ask_each(judge: Judge, queries: Sequence[JudgeQuery], counted: Callable[[], None]) -> Iterator[dict[int, Verdict]]:
    """As `ask`, of a judge that streams as its verdicts come, so that each can be kept; of others all at once."""
    if not queries:
        return
    if not isinstance(judge, Streams):
        yield dict(enumerate(ask(judge, queries)))
        return
    told_of: set[int] = set()
    try:
        for found in judge.each(queries, counted):
            told_of |= found.keys()
            yield {i: _checked(verdict) for i, verdict in found.items()}
    except JudgeError:
        raise
    except FAILURES as error:
        left = [i for i in range(len(queries)) if i not in told_of]
        yield dict(zip(left, _none([queries[i] for i in left], told(error)), strict=True))


class FunctionJudge:
    """A judge of the user's own, `judge.kind = "my.py:function"`: what it sends where is its own business."""

    sees_images = False

    def __init__(self, name: str, judge: Judge, timeout: float = 0.0) -> None:
        """`timeout`: seconds that it may take for each query of a call; 0: any."""
        self.name = name
        self.axes = tuple(rubrics())
        self._judge, self._timeout = judge, timeout

    def __call__(self, queries: Sequence[JudgeQuery]) -> list[Verdict]:
        try:
            with within(self._timeout * len(queries)):
                return ask(self._judge, queries)
        except OverTimeError as error:
            return _none(queries, str(error), Failure.TIMEOUT)

    def sent(self) -> dict[str, Any]:
        """Nothing is known of it."""
        return {
            "kind": "function",
            "host": None,
            "requests": None,
            "judge": self.name,
            "language_model": None,
            "sees_images": self.sees_images,
            "rubrics": {},
        }

    def trouble(self) -> str:
        return ""


def _none(queries: Sequence[JudgeQuery], why: str, failure: Failure = Failure.RAISED) -> list[Verdict]:
    return [Verdict(None, query.axis, why, "", "", failure) for query in queries]


def _checked(verdict: Verdict) -> Verdict:
    if verdict.value is None:
        return verdict if verdict.failure else replace(verdict, failure=Failure.UNNAMED)
    if 0 <= verdict.value <= 1:
        return verdict
    raw = f"{verdict.value} is not in [0, 1]; {verdict.raw}"
    return replace(verdict, value=None, raw=raw, failure=Failure.UNREADABLE)
