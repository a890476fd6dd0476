"""Whether a majority vote knows how sure it may be: the share of votes beside the share of right answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from rarl.evaluation.statistics import estimate
from rarl.types import Estimate, EvalRecord

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """The questions whose winning answer had a share of votes in (low, high]."""

    low: float
    high: float
    share: float  # of votes, on average
    right: Estimate


@dataclass(frozen=True, slots=True)
class Calibration:
    """The curve over the bins that hold questions, and its expected calibration error."""

    bins: tuple[Bin, ...]
    error: float


def calibration(records: Sequence[EvalRecord], *, seed: int) -> Calibration | None:
    """Ten bins of equal width over the share of completions that gave the winning answer; None for a single completion.

    The error is sum over bins of n_bin / n |share of votes - share right| (Guo et al. 2017). A question on which no
    completion gave an answer is in the lowest bin, with a share of 0.
    """
    voted = [record for record in records if record.votes is not None and len(record.completions) > 1]
    if not voted:
        return None
    members: dict[int, list[EvalRecord]] = {}
    for record in voted:
        members.setdefault(_bin(record.votes or 0, len(record.completions)), []).append(record)
    bins = tuple(_summed(number, members[number], seed) for number in sorted(members))
    gaps = (each.right.n * abs(each.share - (each.right.mean or 0.0)) for each in bins)
    return Calibration(bins, sum(gaps) / len(voted))


def _bin(votes: int, of: int) -> int:
    """Bin b holds shares in (b / 10, (b + 1) / 10]; in whole numbers, so that 7 of 10 is where it belongs."""
    return max(0, -(-votes * BINS // of) - 1)


def _summed(number: int, records: Sequence[EvalRecord], seed: int) -> Bin:
    right = [float(record.grade.correct) for record in records]
    share = fmean((record.votes or 0) / len(record.completions) for record in records)
    found = estimate(right, [record.cluster for record in records], seed=seed)
    return Bin(number / BINS, (number + 1) / BINS, share, found)
