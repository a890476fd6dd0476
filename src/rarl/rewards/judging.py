"""A judge as rewards see it: it never raises, and what it could not score is None."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from rarl.errors import JudgeError
from rarl.judges import Failure, ask
from rarl.types import Judge, JudgeQuery, Verdict

logger = logging.getLogger(__name__)


class AskedJudge:
    """Asks a judge on behalf of rewards. Failures are None: given to `count`, and warned of once.

    A judge fails as `rarl.judges.ask` says, and on all of a call also where it can't be asked at all.
    """

    def __init__(self, judge: Judge, count: Callable[[int], None]) -> None:
        self._judge = judge
        self._count = count
        self._warned = False

    def __call__(self, queries: Sequence[JudgeQuery]) -> list[Verdict]:
        try:
            verdicts = ask(self._judge, queries)
        except JudgeError as error:  # a run must outlive it
            verdicts = [Verdict(None, query.axis, str(error), "", "", Failure.DENIED) for query in queries]
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
