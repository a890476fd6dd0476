"""`rarl judge-check`: a judge against people's scores of the same answers, before its own scores are trusted."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rarl.draws import Draws
from rarl.errors import DataError, JudgeError
from rarl.judges.agreement import ENOUGH, Measured, confusion, difference, mean, quadratic_kappa, rank_correlation
from rarl.judges.asking import ask
from rarl.judges.failures import Tally, failures
from rarl.judges.labels import Label, read_labels
from rarl.judges.making import MadeJudge
from rarl.judges.rubrics import BEST, rubrics
from rarl.types import Verdict

if TYPE_CHECKING:
    from rich.table import Table

logger = logging.getLogger("rarl")


@dataclass(frozen=True, slots=True)
class Agreement:
    """One axis. An error is the judge's score less the person's, both from 0 to 3; rows without a verdict are in none.

    `length` correlates errors with the words of the judged text, `order` with the row's place in the file: a judge
    without either bias has 0. `halves` is the mean error of the file's second half less the first's, `pairs` that of
    the second row of each pair less the first's.
    """

    axis: str
    rubric: str
    rows: int
    unscored: Mapping[str, int]
    confusion: tuple[tuple[int, ...], ...]  # a row for each score of people, a column for each of the judge
    kappa: Measured
    exact: float | None
    within_one: float | None
    error: Measured
    length: Measured
    order: Measured
    halves: Measured
    pairs: Measured


@dataclass(frozen=True, slots=True)
class Check:
    """What came of checking a judge."""

    judge: str
    sent: Mapping[str, Any]
    axes: tuple[Agreement, ...]

    @property
    def asked(self) -> int:
        return sum(axis.rows for axis in self.axes)

    @property
    def unscored(self) -> dict[str, int]:
        """By reason, over both axes."""
        counts: Counter[str] = Counter()
        for axis in self.axes:
            counts.update(axis.unscored)
        return dict(counts)

    @property
    def tallies(self) -> dict[str, Tally]:
        """For `require_scored`."""
        return {axis.axis: Tally(axis.rows, axis.unscored) for axis in self.axes}

    def to_json(self) -> dict[str, Any]:
        """The record as JSON's types."""
        return {**dataclasses.asdict(self), "asked": self.asked, "unscored": self.unscored}


def check(labels: Path, judge: MadeJudge, *, seed: int = 0) -> Check:
    """Has the judge score what people have scored, and compares. Rows on axes that it does not judge are left out.

    Errors: DataError for a row that can't be read, or where none is left; JudgeError where the judge can't be asked,
    which is told before it is asked anything.
    """
    given = read_labels(labels)
    rows = [label for label in given if label.query.axis in judge.axes]
    if not rows:
        raise DataError(f"{labels}: all rows are on axes that {judge.name} does not judge; choose another judge.kind")
    if left := len(given) - len(rows):
        logger.warning("%d of %d rows are on an axis that %s does not judge: left out", left, len(given), judge.name)
    if trouble := judge.trouble():
        raise JudgeError(trouble)
    verdicts = ask(judge, [label.query for label in rows])
    judged = list(zip(rows, verdicts, strict=True))
    axes = [axis for axis in rubrics() if any(label.query.axis == axis for label in rows)]
    draws = Draws(seed).at("judge-check")
    found = [_agreement(axis, [each for each in judged if each[0].query.axis == axis], draws.at(axis)) for axis in axes]
    if few := [f"{each.axis} {each.kappa.n}" for each in found if 0 < each.kappa.n < ENOUGH]:
        told = "kappa and rank correlations of fewer than %d scored rows (%s) say next to nothing: label more"
        logger.warning(told, ENOUGH, ", ".join(few))
    return Check(judge.name, judge.sent(), tuple(found))


def _agreement(axis: str, judged: Sequence[tuple[Label, Verdict]], draws: Draws) -> Agreement:
    scored = [(label, round(BEST * verdict.value)) for label, verdict in judged if verdict.value is not None]
    counts = confusion([label.human for label, _ in scored], [score for _, score in scored])
    errors = [score - label.human for label, score in scored]
    half = len(errors) // 2
    return Agreement(
        axis=axis,
        rubric=next((verdict.rubric for _, verdict in judged if verdict.rubric), ""),
        rows=len(judged),
        unscored=failures(verdict for _, verdict in judged),
        confusion=tuple(tuple(row) for row in counts.tolist()),
        kappa=quadratic_kappa(counts, draws.at("kappa")),
        exact=float(np.mean(np.equal(errors, 0))) if errors else None,
        within_one=float(np.mean(np.abs(errors) <= 1)) if errors else None,
        error=mean(errors, draws.at("error")),
        length=rank_correlation([len(label.judged.split()) for label, _ in scored], errors),
        order=rank_correlation(range(len(errors)), errors),
        halves=difference(errors[:half], errors[half:], draws.at("halves")),
        pairs=mean(_pairs(scored), draws.at("pairs")),
    )


def _pairs(scored: Sequence[tuple[Label, int]]) -> list[int]:
    """For each pair with both rows scored, the error of its second row less that of its first."""
    errors: dict[str, list[int]] = {}
    for label, score in scored:
        if label.pair:
            errors.setdefault(label.pair, []).append(score - label.human)
    return [both[1] - both[0] for both in errors.values() if len(both) == 2]


def check_tables(found: Check) -> list[Table]:
    """For the terminal: for each axis how well it agrees, then who gave what."""
    from rich import box
    from rich.table import Table

    tables = []
    for axis in found.axes:
        title = f"{axis.axis}: {found.judge}"
        for heading, *rows in (_measures(axis), _counts(axis)):
            table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
            for column in heading:
                table.add_column(column, justify="left" if column == heading[0] else "right")
            for row in rows:
                table.add_row(*row)
            tables.append(table)
            title = ""
    return tables


def check_markdown(found: Check) -> str:
    """The same tables in Markdown."""
    lines = []
    for axis in found.axes:
        lines += [f"### {axis.axis}: {found.judge}", ""]
        for heading, *rows in (_measures(axis), _counts(axis)):
            lines += [_line(heading), _line(["---", *["---:"] * (len(heading) - 1)]), *map(_line, rows), ""]
    return "\n".join(lines)


def _measures(axis: Agreement) -> list[list[str]]:
    named = {
        "quadratic kappa": axis.kappa,
        "judge less human, mean": axis.error,
        "error with length, rank correlation": axis.length,
        "error with place in the file, rank correlation": axis.order,
        "error, second half less first": axis.halves,
        "error, second of a pair less first": axis.pairs,
    }
    shares = {"same score": axis.exact, "at most one apart": axis.within_one}
    scored = axis.rows - sum(axis.unscored.values())
    rows = [[name, "-" if share is None else f"{share:.1%}", "", str(scored)] for name, share in shares.items()]
    rows += [[name, _number(found.value), _interval(found), str(found.n)] for name, found in named.items() if found.n]
    reasons = ", ".join(f"{count} {reason}" for reason, count in axis.unscored.items())
    return [["", "value", "95 % interval", "n"], *rows, ["unscored", reasons or "none", "", str(axis.rows - scored)]]


def _counts(axis: Agreement) -> list[list[str]]:
    heading = ["human \\ judge", *(str(score) for score in range(BEST + 1))]
    return [heading, *([str(score), *map(str, row)] for score, row in enumerate(axis.confusion))]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _interval(found: Measured) -> str:
    return "" if found.low is None else f"{_number(found.low)} to {_number(found.high)}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
