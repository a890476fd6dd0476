import io

from rich.console import Console

import fake_run
from rarl.reporting import dataset_tables, headline_table, read_results, summary_table


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
