"""Tables for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rarl.evaluation.statistics import FEW
from rarl.reporting.results import (
    BASELINES,
    JUDGED,
    Result,
    asked_of,
    by_rules,
    headline,
    other_protocols,
    percent,
    points,
    verdict,
)
from rarl.reporting.words import named, words
from rarl.terminal import plain_table

if TYPE_CHECKING:
    from rich.table import Table

    from rarl.evaluation import Summary
    from rarl.evaluation.calibration import Calibration
    from rarl.rewards import ScoredFile
    from rarl.types import Estimate, Example

_COLOURS = {"better": "green", "worse": "red", "": ""}


SMALLEST = 10  # questions of a group in the terminal
UNRELIABLE = f"* fewer than {FEW} clusters: the interval is unreliable"


def headline_table(result: Result) -> Table:
    """Before, after and the paired difference, each with a 95 % interval and the number of questions."""
    table = plain_table(
        f"{result.data}, {result.split}: per cent [95 % interval]", "", "before", "after", "difference", "n"
    )
    table.padding = 0  # three intervals side by side have no room to give
    for row in headline(result):
        found = row.difference or row.after
        cells = (percent(row.before), percent(row.after), points(row.difference) if row.difference else "")
        style = "dim" if row.baseline else _COLOURS[verdict(row.difference)]
        table.add_row(_marked(row.label, found, table), *cells, f"{found.n:,}" if found else "-", style=style)
    return table


def summary_table(summary: Summary) -> Table:
    """All metrics of one evaluation, then what its accuracy must be held against, other protocols, and groups."""
    table = plain_table(asked_of(summary), "", "% [95 % interval]", "n", "unscored")
    own = {name: found for name, found in summary.metrics.items() if not (name in JUDGED and by_rules(summary))}
    lines = [(words("metric", name), found, "") for name, found in own.items()]
    lines += [
        (f"accuracy, {words('baseline', name)}", summary.baselines[name], "dim")
        for name in BASELINES
        if name in summary.baselines
    ]
    others = {
        name: found for name, found in other_protocols(summary).items() if name not in ("strict", *summary.metrics)
    }
    lines += [(f"protocol {words('metric', name)}", found, "") for name, found in others.items()]
    groups = [
        (f"accuracy, {group} {named(group, name)}", found["accuracy"], "")
        for group, names in summary.by.items()
        for name, found in names.items()
        if len(names) > 1
    ]
    lines += [line for line in groups if line[1].n + line[1].unscored >= SMALLEST]
    for label, found, style in lines:
        cells = (percent(found), f"{found.n:,}", f"{found.unscored:,}")
        table.add_row(_marked(label, found, table), *cells, style=style)
    for name, found in summary.image_worth.items():
        cells = (points(found), f"{found.n:,}", f"{found.unscored:,}")
        label = f"the image is worth, against {words('against', name)}"
        table.add_row(_marked(label, found, table), *cells, style="bold")
    small = sum(found.n + found.unscored < SMALLEST for _, found, _ in groups)
    if small:
        left = f"left out: {small:,} groups of fewer than {SMALLEST} questions; summary.json has all"
        table.caption, table.caption_justify = f"{UNRELIABLE}\n{left}" if table.caption else left, "left"
    return table


def calibration_table(curve: Calibration) -> Table:
    """The share of right answers by the share of votes that they got."""
    title = f"calibration of the vote, expected error {100 * curve.error:.1f}"
    table = plain_table(title, "share of votes, %", "right, % [95 % interval]", "n")
    for each in curve.bins:
        table.add_row(_marked(f"{100 * each.share:.0f}", each.right, table), percent(each.right), f"{each.right.n:,}")
    return table


def _marked(label: str, found: Estimate | None, table: Table) -> str:
    """With a star, and what it means below the table, where the interval is not to be relied on."""
    if found is None or found.clusters >= FEW or found.mean is None:
        return label
    table.caption, table.caption_justify = UNRELIABLE, "left"
    return f"{label}*"


def dataset_tables(examples: Sequence[Example], number: int) -> list[Table]:
    """How many examples there are of each kind, modality and task; then the first `number` of them."""
    from rich.markup import escape

    counts = plain_table(
        f"{len(examples):,} examples, {len({example.cluster for example in examples}):,} clusters", "", "", "n"
    )
    for group in ("kind", "modality", "task"):
        found = Counter(str(value) for example in examples if (value := getattr(example, group)) is not None)
        for name, n in found.most_common():
            counts.add_row(group, escape(named(group, name)), f"{n:,}")
    answers = Counter(example.answer.casefold() for example in examples)
    for answer, n in answers.most_common(5):
        counts.add_row("answer", escape(answer), f"{n:,}")
    first = plain_table(f"the first {min(number, len(examples))}", "id", "images", "question", "answer", "kind")
    for example in examples[:number]:
        options = f" ({' | '.join(example.options)})" if example.options else ""
        images = " ".join(image.name for image in example.images)
        right = " or ".join((example.answer, *example.references))
        texts = (example.id, images, example.question + options, right, words("kind", example.kind))
        first.add_row(*map(escape, texts))
    return [counts, first]


def step_table(found: Mapping[str, Any]) -> Table:
    """What `rarl bench step` measured, by phase."""
    from rich.table import Column

    shared, plain, floor = found["rarl"], found.get("plain"), found["floor"]["seconds"]
    size = f"{found['groups']} x {found['group_size']} completions of {found['new_tokens']} tokens"
    title = f"{found['shape']}, {found['vision_tokens']} vision tokens, {size}, {found['dtype']} on {found['device']}"
    table = plain_table(title, "")
    for name in ("rarl", *(("plain path", "ratio") if plain else ()), "least possible"):
        table.columns.append(Column(name, justify="right"))
    for phase, seconds in shared["seconds"].items():
        beside = (f"{plain['seconds'][phase]:.3f} s", f"{found['ratio'][phase]:.1f} x") if plain else ()
        least = f"{floor[phase]:.3f} s" if phase in floor else ""
        table.add_row(phase, f"{seconds:.3f} s", *beside, least, style="bold" if phase == "step" else "")
    for label, name in (("images encoded", "image_encodes"), ("tokens computed", "tokens")):
        table.add_row(label, f"{shared[name]:,}", *((f"{plain[name]:,}", "") if plain else ()), "")
    table.add_row(
        "vision, once a run", f"{shared['vision_seconds']:.3f} s", *(("in each phase", "") if plain else ()), ""
    )
    peaks = [f"{side['peak_bytes'] / 1e9:.2f} GB" for side in (shared, plain) if side]
    table.add_row("peak memory", *peaks, *(("",) if plain else ()), f"{found['weight_bytes'] / 1e9:.2f} GB of weights")
    return table


def scored_table(found: ScoredFile) -> Table:
    """What `rarl score` came to: means over the rows that could be scored."""
    table = plain_table(f"{found.rows:,} completions, {found.unscored:,} without a total", "reward", "mean")
    for name, mean in (*found.parts.items(), ("total", found.total)):
        table.add_row(name, "-" if mean is None else f"{mean:z.3f}", style="bold" if name == "total" else "")
    return table
