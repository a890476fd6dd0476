import csv
import io

import pytest
from rich.console import Console

from rarl.errors import ConfigError
from rarl.evaluation.comparison import Comparison, Line
from rarl.evaluation.significance import Paired
from rarl.reporting import comparison_notes, comparison_tables, comparison_text
from rarl.types import Estimate

BASE = Estimate(0.5, 0.45, 0.55, 400, 120)
TUNED = Estimate(0.6, 0.55, 0.65, 400, 120, 3)
PAIRED = Paired(Estimate(0.1, 0.04, 0.16, 397, 119, 3), 0.00049, 0.081)
FOUND = Comparison(
    ("base_1", "a|b & 50%"),
    (
        Line("ward, test", "judge_correctness", "base_1", BASE, None),
        Line("ward, test", "judge_correctness", "a|b & 50%", TUNED, PAIRED, 0.0012),
    ),
    {"ward, test": 2},
    ("ward, old is left out: not every run has it",),
)


def test_the_terminal_shows_what_a_reader_needs():
    console = Console(width=110, record=True, file=io.StringIO())
    [table] = comparison_tables(FOUND)
    console.print(table)
    lines = console.export_text().splitlines()
    assert lines[0].strip() == "ward, test: judge correctness"
    assert "50.0 [45.0, 55.0]" in lines[3]
    assert " ".join(lines[4].split()) == "a|b & 50% 60.0 [55.0, 65.0] +10.0 [4.0, 16.0] 0.001 8.1 397 119 3"


def test_markdown():
    lines = comparison_text(FOUND, "md").splitlines()
    assert lines[0] == "**ward, test: judge correctness**"
    assert lines[2].count("|") == lines[3].count("|") == 10
    assert lines[4] == "| base_1 | 50.0 [45.0, 55.0] |  |  |  |  | 400 | 120 | 0 |"
    assert lines[5] == r"| a\|b & 50% | 60.0 [55.0, 65.0] | +10.0 [4.0, 16.0] | < 0.001 | 0.001 | 8.1 | 397 | 119 | 3 |"
    assert lines[-1] == "- ward, old is left out: not every run has it."


def test_csv_has_the_numbers_as_they_are():
    base, tuned = csv.DictReader(io.StringIO(comparison_text(FOUND, "csv")))
    assert (base["run"], base["mean"], base["n"], base["p"], base["difference_mean"]) == (
        "base_1",
        "0.5",
        "400",
        "",
        "",
    )
    assert (tuned["run"], float(tuned["p"]), float(tuned["p_holm"])) == ("a|b & 50%", 0.00049, 0.0012)
    assert (float(tuned["difference_low"]), float(tuned["could_show"])) == (0.04, 0.081)
    assert (tuned["difference_unscored"], tuned["difference_clusters"], tuned["unscored"]) == ("3", "119", "3")


def test_latex_is_escaped():
    text = comparison_text(FOUND, "latex")
    assert text.count(r"\begin{tabular}{lrrrrrrrr}") == 1
    assert (
        r"a\textbar{}b \& 50\% & 60.0 [55.0, 65.0] & +10.0 [4.0, 16.0] & $<$ 0.001 & 0.001 & 8.1 & 397 & 119 & 3 \\"
        in text
    )
    assert r"base\_1 & " in text
    assert text.endswith("\\bottomrule\n\\end{tabular}\n")


def test_the_notes_tell_what_was_left_out():
    first, *others = comparison_notes(FOUND)
    assert first.startswith("Differences are to base_1")
    assert others == [
        "2 questions of ward, test are left out: not every run answered them.",
        "ward, old is left out: not every run has it.",
    ]


def test_an_unknown_format():
    with pytest.raises(ConfigError, match=r"unknown format 'markdown'.* Known: md, csv, latex"):
        comparison_text(FOUND, "markdown")


def test_nothing_to_say_is_a_dash():
    lines = (FOUND.lines[0], Line("ward, test", "accuracy", "b", BASE, Paired(BASE, None, None)))
    row = comparison_text(Comparison(("base_1", "b"), lines, {}, ()), "md")
    assert "| b | 50.0 [45.0, 55.0] | +50.0 [45.0, 55.0] | - | - | - | 400 | 120 | 0 |" in row
