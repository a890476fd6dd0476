import io
from dataclasses import replace

from rich.console import Console

import fake_run
from rarl.reporting import dataset_tables, headline_table, read_results, summary_table
from rarl.types import Estimate


def text(table, width=80):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_the_headline_fits_a_terminal(tmp_path):
    [result] = read_results(fake_run.make(tmp_path / "run").path)
    lines = text(headline_table(result)).splitlines()
    assert any(line.startswith("Accuracy* ") and line.split()[1] == "50.0" and line.endswith(" 20") for line in lines)
    assert any(line.startswith("Reasoning quality* 75.0 [") for line in lines)
    assert len(lines) == 8  # title, head, rule, four rows and what the star means, none of them wrapped
    assert lines[-1].strip() == "* fewer than 30 clusters: the interval is unreliable"


def test_the_summary_names_every_metric_and_group(tmp_path):
    [result] = read_results(fake_run.make(tmp_path / "run").path)
    shown = text(summary_table(result.after.summary))
    for label in ("accuracy*  ", "grounding", "parse failures", "accuracy, another image", "accuracy, kind yes/no"):
        assert label in shown
    assert "modality" not in shown  # there is only one


def test_a_title_is_not_broken_where_its_table_is_narrow():
    counts, first = dataset_tables(fake_run.examples(1700), 0)
    for width in (40, 80):
        assert text(counts, width).splitlines()[0].strip() == "1,700 examples, 1,700 clusters"
        assert text(first, width).splitlines()[0].strip() == "the first 0"
    assert len(text(counts).splitlines()) == 5  # title, head, rule and two rows


def test_a_data_set_is_counted_and_shown_as_it_is():
    counts, first = dataset_tables(fake_run.examples(7), 2)
    assert "open" in text(counts)
    shown = text(first, width=120)
    assert "Question [b]0[/b]?" in shown  # the terminal's own markup is not obeyed
    assert "Question [b]2[/b]?" not in shown


def test_small_groups_are_left_out_of_the_terminal_which_says_so(tmp_path):
    [result] = read_results(fake_run.make(tmp_path / "run").path)
    sizes = {"head": (10, 0), "neck": (9, 1), "hand": (9, 0), "foot": (1, 0)}
    by = {"task": {name: {"accuracy": Estimate(0.5, 0.2, 0.8, n, n, lost)} for name, (n, lost) in sizes.items()}}
    shown = text(summary_table(replace(result.after.summary, by=by)))
    assert [name for name in sizes if f"accuracy, task {name}*" in shown] == ["head", "neck"]
    told = [line.strip() for line in shown.splitlines()[-2:]]
    assert told == [
        "* fewer than 30 clusters: the interval is unreliable",
        "left out: 2 groups of fewer than 10 questions; summary.json has all",
    ]
    assert "left out" not in text(summary_table(result.after.summary))


def test_one_question_has_a_star_and_none_has_not(tmp_path):
    [result] = read_results(fake_run.make(tmp_path / "run").path)
    metrics = {"accuracy": Estimate(1.0, None, None, 1, 1), "reasoning": Estimate(None, None, None, 0, 0, 1)}
    shown = text(summary_table(replace(result.after.summary, metrics=metrics)))
    assert "accuracy* " in shown
    assert "reasoning " in shown
