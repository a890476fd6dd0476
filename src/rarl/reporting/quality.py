"""What `rarl data check` found, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from rarl.data.quality import Quality, SetCheck
from rarl.reporting.words import named, words
from rarl.terminal import plain_table

if TYPE_CHECKING:
    from rich.table import Table

FEW = 3  # of what was found, the first are named; the JSON file has all


def quality_tables(found: Quality) -> Iterator[Table]:
    """A table of each split, one of each split with those before it, and the contradictions."""
    from rich.markup import escape

    for each in found.sets:
        yield _set_table(each)
    if found.pairs:
        pairs = plain_table("in common", "of", "with", "images", "alike", "examples", "clusters", "answers unseen")
        for pair in found.pairs:
            images, examples = (f"{pair.images:,} of {pair.of_images:,}", f"{pair.examples:,} of {pair.of_examples:,}")
            numbers = (images, pair.near_images, examples, pair.clusters, pair.unseen_answers)
            texts = (f"{number:,}" if isinstance(number, int) else number for number in numbers)
            pairs.add_row(escape(pair.of), escape(pair.within), *texts)
        yield pairs
    if found.contradictions:
        title = f"{len(found.contradictions):,} contradictions: the same question of the same pixels"
        table = plain_table(title, "one", "answer", "other", "answer")
        for said in found.contradictions[:FEW]:
            table.add_row(*map(escape, (said.ids[0], said.answers[0], said.ids[1], said.answers[1])))
        yield table


def _set_table(each: SetCheck) -> Table:
    from rich.markup import escape

    title = f"{each.name}: {each.examples:,} examples, {each.images:,} images, {each.clusters:,} clusters"
    table = plain_table(escape(title), "", "n", "")
    for group, counts in each.counts.items():
        if set(counts) != {"none"}:
            shown = (f"{named(group, name)} {n:,}" for name, n in counts.items())
            table.add_row(group, f"{len(counts):,}", escape(_few(shown, len(counts), 5)))
    for kind, common in each.commonest.items():
        share = f"{common.n:,} of {common.of:,} ({100 * common.n / common.of:.1f} %)"
        table.add_row("commonest answer", "", escape(f"{words('kind', kind)}: {common.answer}, {share}"))
    found: list[tuple[str, Sequence[Sequence[str]]]] = [
        ("rows that cannot be used", each.left_out),
        ("broken images", each.broken),
        ("groups of equal images", each.duplicates),
        ("groups that look alike", each.near_duplicates),
        ("texts like identifiers", each.identifiers),
    ]
    for what, items in found:
        table.add_row(what, f"{len(items):,}", escape(_few((", ".join(item) for item in items), len(items), FEW)))
    return table


def _few(texts: Iterator[str], total: int, number: int) -> str:
    shown = [text if len(text) < 100 else f"{text[:97]}..." for text in islice(texts, number)]
    return "; ".join(shown) + ("; .." if total > number else "")
