"""Why a query has no value, how many there are, and when they are too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from enum import StrEnum
from typing import NamedTuple

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


class Tally(NamedTuple):
    """Of one axis: how many answers a judge was asked about, and how many of them have no value, by reason."""

    asked: int
    failed: Mapping[str, int]

    @property
    def unscored(self) -> int:
        return sum(self.failed.values())


def tallies(verdicts: Iterable[Verdict]) -> dict[str, Tally]:
    """The verdicts counted, by axis."""
    by_axis: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_axis.setdefault(verdict.axis, []).append(verdict)
    return {axis: Tally(len(each), failures(each)) for axis, each in by_axis.items()}


def require_scored(
    counted: Mapping[str, Tally], max_unscored: float, *, where: str = "", remedy: str = "run this again"
) -> None:
    """JudgeError if more than the share `max_unscored` of all that was asked, of whatever axis, has no value.

    `where` is the folder that what was scored is kept in; without one the judge's cache alone may have it. `remedy` is
    how to go on from there.
    """
    asked = sum(tally.asked for tally in counted.values())
    if sum(tally.unscored for tally in counted.values()) <= max_unscored * asked:
        return
    told = " and ".join(_told(axis, tally) for axis, tally in counted.items() if tally.unscored)
    kept = "what it scored is kept" if where else "what a model scored is kept in judge.cache, unless that is off"
    reasons = {reason for tally in counted.values() for reason in tally.failed}
    raise JudgeError(
        f"{where + ': ' if where else ''}the judge left unscored {told}, more than judge.max_unscored = "
        f"{max_unscored:g} of all; {kept}: {_mending(reasons)} and {remedy}"
    )


def _mending(reasons: Set[str]) -> str:
    """What to do first; a budget that is spent is nothing broken."""
    raising = ["raise judge.max_requests or judge.max_tokens_total"] if Failure.BUDGET in reasons else []
    return ", ".join([*(["mend the cause"] if reasons - {Failure.BUDGET} else []), *raising])


def _told(axis: str, tally: Tally) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in tally.failed.items())
    return f"the {axis} of {tally.unscored} of {tally.asked} answers ({reasons})"
