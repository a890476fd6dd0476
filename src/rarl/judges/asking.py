"""Asking any judge, a user's own function among them: whatever it does, there is one verdict a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rarl.errors import JudgeError
from rarl.judges.failures import Failure
from rarl.judges.rubrics import rubrics
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


class FunctionJudge:
    """A judge of the user's own, `judge.kind = "my.py:function"`: what it sends where is its own business."""

    sees_images = False

    def __init__(self, name: str, judge: Judge) -> None:
        self.name = name
        self.axes = tuple(rubrics())
        self._judge = judge

    def __call__(self, queries: Sequence[JudgeQuery]) -> list[Verdict]:
        return ask(self._judge, queries)

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


def _none(queries: Sequence[JudgeQuery], why: str) -> list[Verdict]:
    return [Verdict(None, query.axis, why, "", "", Failure.RAISED) for query in queries]


def _checked(verdict: Verdict) -> Verdict:
    if verdict.value is None:
        return verdict if verdict.failure else replace(verdict, failure=Failure.UNNAMED)
    if 0 <= verdict.value <= 1:
        return verdict
    raw = f"{verdict.value} is not in [0, 1]; {verdict.raw}"
    return replace(verdict, value=None, raw=raw, failure=Failure.UNREADABLE)
