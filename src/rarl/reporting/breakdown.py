"""Shares with intervals as tables with a plot in each row: the headline, by group, and what the image is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rarl.evaluation import Comparison
from rarl.evaluation.statistics import FEW
from rarl.evaluation.summary import BASELINES as CONTROLS
from rarl.reporting.charts import BASE, STYLES, domain, intervals, scale
from rarl.reporting.comparing import HEAD, cells, grouped
from rarl.reporting.results import BLIND, Evaluation, Result, Row, headline, other_protocols, percent, points
from rarl.reporting.sources import Source
from rarl.reporting.words import named, words
from rarl.types import Estimate

ROWS = 24  # of one table at most: the groups with the most questions
_GROUPS = {"task": "Accuracy by task", "modality": "Accuracy by modality", "kind": "Accuracy by kind of question"}


@dataclass(frozen=True, slots=True)
class Member:
    """One evaluation in a comparison, as figures show it."""

    label: str
    style: int
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """A split of a data set, with the runs that were evaluated on it."""

    title: str
    runs: Sequence[tuple[Source, Result]]
    members: Sequence[Member]


@dataclass(frozen=True, slots=True)
class Line:
    """A table's row: what it is about, its plot, and the numbers of each member in words."""

    label: str
    svg: str
    cells: Sequence[str]
    unreliable: bool
    style: int | None = None  # of a row that is a series itself


@dataclass(frozen=True, slots=True)
class Table:
    """`scale` stands above the plots; `columns` are those of the cells, the first of them in the `styles` given."""

    title: str
    caption: str
    columns: Sequence[str]
    styles: Sequence[int]
    scale: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Headline:
    """The table of one run's result: each row with its plot; `few`: too few clusters for intervals to be relied on."""

    run: str
    result: Result
    scale: str
    rows: Sequence[tuple[Row, str]]
    few: bool


def question_sets(sources: Sequence[Source]) -> list[QuestionSet]:
    """Every set that was evaluated: of a single run before and after are compared, else the runs after training."""
    found: dict[str, list[tuple[Source, Result]]] = {}
    for source in sources:
        for result in source.results:
            found.setdefault(result.title, []).append((source, result))
    return [QuestionSet(title, runs, _members(runs, sources)) for title, runs in found.items()]


def headline_table(source: Source, result: Result) -> Headline:
    """What was measured before and after, and what the accuracy must be held against."""
    rows = headline(result)
    low, high = domain([each for row in rows for each in (row.before, row.after)], start=(0.0, 1.0))
    before = [[(BASE, row.before)] if result.before else [] for row in rows]
    plots = [intervals([*old, (0, row.after)], low, high) for old, row in zip(before, rows, strict=True)]
    few = any(row.after and row.after.low is not None and row.after.clusters < FEW for row in rows)
    return Headline(source.label, result, scale(low, high), list(zip(rows, plots, strict=True)), few)


def comparison_tables(found: Comparison) -> list[Table]:
    """Each metric of a comparison: every run beside the first."""
    runs = {run: place % STYLES for place, run in enumerate(found.runs)}
    tables = []
    for (data, metric), members in grouped(found).items():
        low, high = domain([each.found for each in members], start=(0.0, 1.0))
        lines = []
        for each in members:
            plot = intervals([(runs[each.run], each.found)], low, high)
            few = each.found.low is not None and each.found.clusters < FEW
            lines.append(Line(cells(each)[0], plot, cells(each)[1:], few, style=runs[each.run]))
        title = f"{data}: {words('metric', metric)}"
        tables.append(Table(title, "Per cent, with 95 % intervals.", HEAD[1:], (), scale(low, high), lines))
    return tables


def group_tables(questions: QuestionSet) -> list[Table]:
    """Accuracy by what the data set tells apart, where that is more than one thing."""
    tables = []
    for group, title in _GROUPS.items():
        by = [(member, member.evaluation.summary.by.get(group, {})) for member in questions.members]
        names = _largest([found for _, found in by])
        if len(names) > 1:
            found = {
                name: [(m.style, each[name].get("accuracy") if name in each else None) for m, each in by]
                for name in names
            }
            all_names = {name for _, each in by for name in each}
            cut = (
                f" The {len(names)} with the most questions of {len(all_names)}." if len(all_names) > len(names) else ""
            )
            caption = f"{questions.title}: per cent right, with 95 % intervals.{cut}"
            tables.append(
                _table(title, caption, questions.members, {named(group, name): each for name, each in found.items()})
            )
    return tables


def further_tables(questions: QuestionSet) -> list[Table]:
    """The same answers under the protocols that others publish, and whether a vote knows how sure it may be."""
    summaries = [(member.style, member.evaluation.summary) for member in questions.members]
    names = dict.fromkeys(name for _, summary in summaries for name in other_protocols(summary))
    found = {words("metric", name): [(s, each.protocols.get(name)) for s, each in summaries] for name in names}
    caption = f"{questions.title}: the same answers, per cent, 95 % intervals; docs/evaluation.md has each protocol."
    tables = [_table("Under other protocols", caption, questions.members, found)] if found else []
    for member in questions.members:
        if curve := member.evaluation.summary.calibration:
            bins = {f"{100 * each.share:.0f} % of votes": [(member.style, each.right)] for each in curve.bins}
            caption = f"{questions.title}: right by share of votes, %; expected error {100 * curve.error:.1f}."
            whose = f": {member.label}" if len(questions.members) > 1 else ""
            tables.append(_table(f"How sure a vote is{whose}", caption, [member], bins))
    return tables


def image_tables(questions: QuestionSet) -> list[Table]:
    """What the own image is worth against each control, and the accuracies that this is the difference of."""
    worth: dict[str, list[tuple[int, Estimate | None]]] = {}
    blind: dict[str, list[tuple[int, Estimate | None]]] = {}
    for control in BLIND:
        label = words("baseline", control)
        summaries = [(member.style, member.evaluation.summary) for member in questions.members]
        lost = [(style, summary.image_worth.get(control.value)) for style, summary in summaries]
        under = [(style, summary.baselines.get(CONTROLS[control])) for style, summary in summaries]
        if any(each for _, each in lost):
            worth[label] = lost
        if any(each for _, each in under):
            blind[label] = under
    if not blind:
        return []
    own = {"own image": [(m.style, m.evaluation.summary.metrics.get("accuracy")) for m in questions.members]}
    accuracy = _table(
        "Accuracy with the own image, and otherwise",
        f"{questions.title}: the same questions as they are and asked again, per cent right, 95 % intervals.",
        questions.members,
        own | blind,
    )
    gain = (
        f"{questions.title}: points of accuracy that the own image adds, by question, 95 % intervals. Near 0: unused."
    )
    tables = (
        [_table("What the image is worth against ...", gain, questions.members, worth, signed=True)] if worth else []
    )
    return [*tables, accuracy]


def asked_again(sets: Iterable[QuestionSet]) -> list[str]:
    """How the questions of any set were asked without their own images, in words."""
    summaries = [member.evaluation.summary for each in sets for member in each.members]
    return [words("asked", each) for each in BLIND if any(CONTROLS[each] in one.baselines for one in summaries)]


def _members(runs: Sequence[tuple[Source, Result]], sources: Sequence[Source]) -> list[Member]:
    if len(sources) == 1:
        [(_, result)] = runs
        before = [Member("Before", BASE, result.before)] if result.before else []
        return [*before, Member("After" if before else "Found", 0, result.after)]
    places = {source.label: place for place, source in enumerate(sources)}
    return [Member(source.label, places[source.label] % STYLES, result.after) for source, result in runs]


def _table(
    title: str,
    caption: str,
    members: Sequence[Member],
    found: Mapping[str, Sequence[tuple[int, Estimate | None]]],
    *,
    signed: bool = False,
) -> Table:
    every = [each for row in found.values() for _, each in row]
    low, high = domain(every, start=(-0.1, 0.3) if signed else (0.0, 1.0))
    number = points if signed else percent
    lines = [_line(name, row, low, high, [number(each) for _, each in row]) for name, row in found.items()]
    columns, styles = [*(member.label for member in members), "n"], [member.style for member in members]
    return Table(title, caption, columns, styles, scale(low, high, signed=signed), lines)


def _line(
    label: str,
    row: Sequence[tuple[int, Estimate | None]],
    low: float,
    high: float,
    cells: Sequence[str],
) -> Line:
    last = next((each for _, each in reversed(row) if each), None)
    few = last is not None and last.mean is not None and last.clusters < FEW
    return Line(label, intervals(row, low, high), [*cells, f"{last.n:,}" if last else "-"], few)


def _largest(found: Iterable[Mapping[str, Mapping[str, Estimate]]]) -> list[str]:
    """The values of a group with the most questions, at most ROWS of them, in the order of the summary."""
    counts: dict[str, int] = {}
    for by in found:
        for name, metrics in by.items():
            counts[name] = max(counts.get(name, 0), metrics["accuracy"].n if "accuracy" in metrics else 0)
    kept = set(sorted(counts, key=lambda name: -counts[name])[:ROWS])
    return [name for name in counts if name in kept]
