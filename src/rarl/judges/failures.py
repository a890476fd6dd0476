"""Why a query has no value, how many there are, and when they are too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

from rarl.errors import JudgeError
from rarl.types import Verdict


class Failure(StrEnum):
    """Why a query has no value."""

    OUTAGE = "outage"  # no connection, a broken one, or the server's own errors, after all retries
    TIMEOUT = "timeout"  # no reply in time, after all retries
    DENIED = "denied"  # the key, the model or the address is wrong
    REJECTED = "rejected"  # the server takes this query for a bad request: too long, say
    REFUSED = "refused"  # the model declines to judge
    FILTERED = "filtered"  # a content filter stopped query or reply
    TRUNCATED = "truncated"  # the reply was cut off
    UNREADABLE = "unreadable"  # the reply is no verdict in the form asked for
    BUDGET = "budget"  # judge.max_requests or judge.max_tokens_total is spent
    RAISED = "raised"  # the judge's own code raised, or returned no verdicts
    UNSUITED = "unsuited"  # nothing that this judge can score: no such axis, no gold answer, a broken image
    UNNAMED = "no reason given"  # a judge of one's own returned no value and didn't say why


def failures(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """How many verdicts have no value, by reason, the commonest first."""
    counts = Counter(verdict.failure or Failure.UNNAMED for verdict in verdicts if verdict.value is None)
    return {str(reason): count for reason, count in counts.most_common()}


def require_scored(asked: int, failed: Mapping[str, int], max_unscored: float) -> None:
    """JudgeError if more than the share `max_unscored` of the queries has no value. Keep what was scored first."""
    unscored = sum(failed.values())
    if unscored > max_unscored * asked:
        reasons = ", ".join(f"{count} {reason}" for reason, count in failed.items())
        raise JudgeError(
            f"the judge left {unscored} of {asked} queries unscored ({reasons}), more than judge.max_unscored = "
            f"{max_unscored:g}; what it scored is kept: mend the cause and run the same command again"
        )
