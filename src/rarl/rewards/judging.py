"""A judge as rewards see it: it never raises, and what it could not score is None."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from rarl.errors import RewardError
from rarl.rewards.calling import FAILURES
from rarl.types import Judge, JudgeQuery, Verdict

logger = logging.getLogger(__name__)


class AskedJudge:
    """Asks a judge on behalf of rewards. Failures are None: given to `count`, and warned of once.

    A judge fails on a query with a value of None or outside [0, 1], and on all of a call by raising or by returning
    anything but one Verdict a query.
    """

    def __init__(self, judge: Judge, count: Callable[[int], None]) -> None:
        self._judge = judge
        self._count = count
        self._warned = False

    def __call__(self, queries: Sequence[JudgeQuery]) -> list[Verdict]:
        try:
            verdicts = [_in_range(verdict) for verdict in _one_each(self._judge(queries), len(queries))]
        except FAILURES as error:  # a judge may raise anything, and a run must outlive it
            reason = f"{type(error).__name__}: {error}"
            verdicts = [Verdict(None, query.axis, reason, "", "") for query in queries]
        failed = [i for i, verdict in enumerate(verdicts) if verdict.value is None]
        if failed:
            self._count(len(failed))
            self._warn(len(failed), queries[failed[0]], verdicts[failed[0]], len(queries))
        return verdicts

    def _warn(self, failed: int, query: JudgeQuery, verdict: Verdict, asked: int) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "the judge failed on %d of %d completions, which stay unscored (from here on only counted); first on "
                "example %r: %s",
                *(failed, asked, query.id, " ".join(verdict.raw.split())[:200] or "no value"),
            )


def _one_each(verdicts: object, count: int) -> list[Verdict]:
    found = list(verdicts) if isinstance(verdicts, Sequence) else []
    if len(found) != count or not all(isinstance(verdict, Verdict) for verdict in found):
        raise RewardError(f"a judge must return one Verdict a query; {count} asked, got {verdicts!r:.100}")
    return found


def _in_range(verdict: Verdict) -> Verdict:
    if verdict.value is None or 0 <= verdict.value <= 1:
        return verdict
    return replace(verdict, value=None, raw=f"{verdict.value} is not in [0, 1]; {verdict.raw}")
