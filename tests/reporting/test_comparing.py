import csv
import io

import pytest
from rich.console import Console

from rarl.errors import ConfigError
from rarl.evaluation.comparison import Comparison, Line
from rarl.evaluation.significance import Paired, compare_paired
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


def shown(found, width):
    console = Console(width=width, record=True, file=io.StringIO())
    for table in comparison_tables(found):
        console.print(table)
    return console.export_text().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_what_a_reader_needs(width):
    title, head, _, first, second, counts, more = map(" ".join, map(str.split, shown(FOUND, width)))
    assert title == "ward, test: judge correctness"
    assert head == "run % [95 % interval] difference p (Holm) could show"
    assert first == "base_1 50.0 [45.0, 55.0]"
    assert second == "a|b & 50% 60.0 [55.0, 65.0] +10.0 [4.0, 16.0] 0.001 8.1"
    assert f"{counts} {more}".strip() == (
        "base_1: 400 questions in 120 clusters, 0 unscored; a|b & 50%: 397 questions in 119 clusters, 3 unscored"
    )


def test_the_widest_numbers_keep_to_a_line_of_80_columns_beside_a_long_name():
    long = "vqa-rad-qwen2-vl-2b-instruct-grpo-diverse-seed-100"
    wide = Estimate(1.0, 0.9310, 1.0, 4000, 1200)
    paired = Paired(Estimate(-0.1, -0.14, -0.16, 4000, 1200), 0.0004, 0.201)
    lines = (
        Line("ward, test", "accuracy", "a", wide, None),
        Line("ward, test", "accuracy", long, wide, paired, 0.0004),
    )
    text = shown(Comparison(("a", long), lines, {}, ()), 80)
    assert max(map(len, text)) <= 80
    [row] = [line for line in text if "-10.0" in line]
    assert " ".join(row.split()).endswith(" 100.0 [93.1, 100.0] -10.0 [-14.0, -16.0] < 0.001 20.1")
    name = "".join(line[: row.index("100.0 [")].strip() for line in text[4:-1])
    assert name == long  # over several lines, none of it lost
    assert text[-1].strip() == "4,000 questions in 1,200 clusters, 0 unscored"


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
    assert text.startswith("% needs \\usepackage{booktabs}\n")
    assert text.endswith("\\bottomrule\n\\end{tabular}\n")


def test_latex_has_a_minus_and_no_hyphen_before_a_number():
    worse = Paired(Estimate(-0.1, -0.16, -0.04, 397, 119), 0.00049, None)
    lines = (Line("ward-2, test", "accuracy", "a-1", BASE, None), Line("ward-2, test", "accuracy", "b-2", BASE, worse))
    text = comparison_text(Comparison(("a-1", "b-2"), lines, {}, ()), "latex")
    assert r"b-2 & 50.0 [45.0, 55.0] & $-10.0$ [$-16.0$, $-4.0$] & $<$ 0.001 & - & - & 397 & 119 & 0 \\" in text
    assert "{ward-2, test: accuracy}" in text


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


def test_two_runs_that_agree_on_everything_are_explained():
    # Of 40 clusters without a difference: 1 - 0.025^(1/40) = 8.8 % of others may have one, in either direction.
    clusters = {f"q{i}": f"c{i}" for i in range(40)}
    same = {item: float(number < 20) for number, item in enumerate(clusters)}
    paired = compare_paired(same, same, clusters, seed=0)
    lines = (Line("ward, test", "accuracy", "a", BASE, None), Line("ward, test", "accuracy", "b", BASE, paired, 1.0))
    found = Comparison(("a", "b"), lines, {}, ())
    assert "| +0.0 [-8.8, 8.8] | 1.000 | 1.000 | - |" in comparison_text(found, "md")
    assert comparison_notes(found)[1].startswith(
        "b comes out as a in every cluster of ward, test (accuracy): as nothing varies, the interval is for how many "
    )
    better = compare_paired(dict.fromkeys(same, 0.0), dict.fromkeys(same, 1.0), clusters, seed=0)
    lines = (lines[0], Line("ward, test", "accuracy", "b", BASE, better, 0.001))
    assert comparison_notes(Comparison(("a", "b"), lines, {}, ()))[1].startswith("b differs by as much from a in every")
    assert len(comparison_notes(FOUND)) == 3  # nothing of the kind where something varies
