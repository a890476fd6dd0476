"""A comparison of runs as tables: for the terminal, and as Markdown, CSV and LaTeX for where it is published."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rarl.errors import ConfigError
from rarl.evaluation.comparison import Comparison, Line
from rarl.registry import nearest
from rarl.reporting.results import percent, points
from rarl.reporting.ways import name_of
from rarl.reporting.words import words

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = ("run", "% [95 % interval]", "difference", "p (Holm)", "could show")  # in a terminal of 80 columns
HEAD = ("run", "% [95 % interval]", "difference", "p", "p (Holm)", "could show", "n", "clusters", "unscored")
_ESTIMATE = ("mean", "low", "high", "n", "clusters", "unscored")
_NEGATIVE = re.compile(r"-[\d.]+")
_LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "|": r"\textbar{}",
        "<": r"$<$",
        ">": r"$>$",
    }
)


def comparison_tables(found: Comparison) -> list[Table]:
    """A table for each data set and metric; p-values here are Holm's, and what was counted stands below."""
    from rich.markup import escape

    from rarl.terminal import plain_table

    tables = []
    for (data, metric), lines in grouped(found).items():
        table = plain_table(f"{data}: {words('metric', metric)}", *SHOWN)
        table.caption, table.caption_justify = escape(_counts(lines)), "left"
        for place, column in enumerate(table.columns):
            column.no_wrap, column.overflow = place > 0, "fold"  # a long name may take several lines, no number may
            column.justify = "right" if place > 2 else "left"
        table.columns[0].min_width = 12
        for line in lines:
            name, own, difference, _, *rest = cells(line)
            table.add_row(escape(name), own, difference, *rest[:2], style=_style(line))
        tables.append(table)
    return tables


def comparison_text(found: Comparison, form: str) -> str:
    """The comparison in one of FORMATS; ConfigError for another."""
    if form not in FORMATS:
        raise ConfigError(f"unknown format {form!r}{nearest(form, FORMATS)} Known: {', '.join(FORMATS)}")
    return FORMATS[form](found)


def comparison_notes(found: Comparison) -> list[str]:
    """What a reader must know beside the numbers, a line each."""
    counts = {data: count for data, count in found.unshared.items() if count}
    return [
        f"Differences are to {found.runs[0]}, by question, in points; p from tossing signs by cluster, Holm's over all "
        "of a metric; a true difference of the size that it could show is found 4 times in 5 at 5 %.",
        *(
            f"{count:,} questions of {data} are left out: not every run answered them."
            for data, count in counts.items()
        ),
        *_unvaried(found),
        *(f"{note}." for note in found.notes),
    ]


def cells(line: Line) -> tuple[str, ...]:
    """A line in words, under HEAD. Of a comparison n, clusters and unscored are those of the difference."""
    counted = line.paired.difference if line.paired else line.found
    numbers = (f"{counted.n:,}", f"{counted.clusters:,}", f"{counted.unscored:,}")
    if line.paired is None:
        return name_of(line), percent(line.found), "", "", "", "", *numbers
    smallest = line.paired.smallest
    could_show = "-" if smallest is None else f"{100 * smallest:.1f}"
    difference = points(line.paired.difference)
    return name_of(line), percent(line.found), difference, _p(line.paired.p), _p(line.holm), could_show, *numbers


def _counts(lines: Sequence[Line]) -> str:
    """What the lines of a table are about: questions, clusters and what is unscored, once if it is the same for all."""
    told = {}
    for line in lines:
        n, clusters, unscored = cells(line)[-3:]
        told[name_of(line)] = f"{n} questions in {clusters} clusters, {unscored} unscored"
    alike = len(set(told.values())) == 1
    return told[name_of(lines[0])] if alike else "; ".join(f"{run}: {counts}" for run, counts in told.items())


def _unvaried(found: Comparison) -> list[str]:
    """What an interval means where the difference is the same on all questions, so that nothing varies."""
    metrics: dict[tuple[str, str, str], list[str]] = {}
    for line in found.lines:
        if line.paired and line.paired.smallest is None and line.paired.difference.clusters > 1:
            how = "differs by as much from" if line.paired.difference.mean else "comes out as"
            metrics.setdefault((line.run, how, line.data), []).append(words("metric", line.metric))
    return [
        f"{run} {how} {found.runs[0]} in every cluster of {data} ({', '.join(names)}): as nothing varies, the "
        "interval is for how many others could be otherwise (Clopper & Pearson), and what could be shown is not known."
        for (run, how, data), names in metrics.items()
    ]


def grouped(found: Comparison) -> dict[tuple[str, str], list[Line]]:
    """The lines by data set and metric."""
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in found.lines:
        groups.setdefault((line.data, line.metric), []).append(line)
    return groups


def _markdown(found: Comparison) -> str:
    lines = []
    for (data, metric), members in grouped(found).items():
        lines += [f"**{data}: {words('metric', metric)}**", "", _row(HEAD), _row(["---"] * len(HEAD))]
        lines += [_row([cell.replace("|", r"\|") for cell in cells(line)]) for line in members]
        lines.append("")
    return "\n".join([*lines, *(f"- {note}" for note in comparison_notes(found))]) + "\n"


def _csv(found: Comparison) -> str:
    """Plain numbers, not rounded, empty where there are none; shares and differences of shares from 0 to 1."""
    file = io.StringIO()
    sides = [f"{of}{name}" for of in ("", "difference_") for name in _ESTIMATE]
    head = ["data", "metric", "run", *sides, "p", "p_holm", "could_show"]
    writer = csv.DictWriter(file, head, lineterminator="\n")
    writer.writeheader()
    for line in found.lines:
        row: dict[str, object] = {"data": line.data, "metric": line.metric, "run": line.run}
        row |= {name: getattr(line.found, name) for name in _ESTIMATE}
        if line.paired:
            row |= {f"difference_{name}": getattr(line.paired.difference, name) for name in _ESTIMATE}
            row |= {"p": line.paired.p, "p_holm": line.holm, "could_show": line.paired.smallest}
        writer.writerow(row)
    return file.getvalue()


def _latex(found: Comparison) -> str:
    r"""One tabular; its first line says which package it needs."""
    lines = [rf"\begin{{tabular}}{{l{'r' * (len(HEAD) - 1)}}}", r"\toprule", _latex_row(HEAD)]
    for (data, metric), members in grouped(found).items():
        title = f"{data}: {words('metric', metric)}".translate(_LATEX)
        lines += [r"\midrule", rf"\multicolumn{{{len(HEAD)}}}{{l}}{{{title}}} \\"]
        lines += [_latex_row(cells(line)) for line in members]
    notes = [f"% {note}" for note in comparison_notes(found)]
    return "\n".join([r"% needs \usepackage{booktabs}", *notes, *lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


FORMATS: Mapping[str, Callable[[Comparison], str]] = {"md": _markdown, "csv": _csv, "latex": _latex}


def _style(line: Line) -> str:
    """Coloured where chance is no explanation even among all the comparisons."""
    if line.paired is None or line.holm is None or line.holm > 0.05:
        return ""
    return "green" if (line.paired.difference.mean or 0.0) > 0 else "red"


def _row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _latex_row(texts: Sequence[str]) -> str:
    """The first text is a name, the others are numbers, whose hyphens are a minus."""
    name, *numbers = (text.translate(_LATEX) for text in texts)
    return " & ".join([name, *(_NEGATIVE.sub(r"$\g<0>$", each) for each in numbers)]) + r" \\"


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
