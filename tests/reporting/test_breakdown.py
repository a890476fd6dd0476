import shutil
from dataclasses import replace

import fake_run
from rarl.reporting.breakdown import (
    ROWS,
    asked_again,
    further_tables,
    group_tables,
    headline_table,
    image_tables,
    question_sets,
)
from rarl.reporting.charts import BASE
from rarl.reporting.sources import read_sources
from rarl.types import Estimate, QuestionKind


def sets(*folders):
    return question_sets(read_sources([folder.path for folder in folders]))


def test_of_one_run_before_and_after_are_compared(tmp_path):
    [found] = sets(fake_run.make(tmp_path / "run"))
    assert [(member.label, member.style) for member in found.members] == [("Before", BASE), ("After", 0)]


def test_of_several_runs_what_they_came_to(tmp_path):
    [found] = sets(*(fake_run.make(tmp_path / name / name) for name in ("a", "b")))
    assert [(member.label, member.style) for member in found.members] == [("a", 0), ("b", 1)]
    assert [source.label for source, _ in found.runs] == ["a", "b"]


def test_the_headline_has_a_plot_for_every_row(tmp_path):
    [source] = read_sources([fake_run.make(tmp_path / "run").path])
    table = headline_table(source, source.results[0])
    assert table.few  # 20 clusters
    assert [row.label for row, _ in table.rows] == [
        "Accuracy",
        "Reasoning quality",
        "Commonest answer",
        "Another image",
    ]
    assert all(plot.count('class="mark') == 2 for _, plot in table.rows)


def test_groups_are_shown_where_there_are_several_and_named_in_words(tmp_path):
    [table] = group_tables(sets(fake_run.make(tmp_path / "run"))[0])  # one modality, no task
    assert table.title == "Accuracy by kind of question"
    assert table.columns == ["Before", "After", "n"]
    assert [(line.label, line.cells[2]) for line in table.lines] == [("open", "10"), ("yes/no", "10")]
    # Of the even questions 0 to 8 were right before, and 6 to 18 after.
    assert [cell.split()[0] for cell in table.lines[0].cells[:2]] == ["50.0", "70.0"]
    assert all(line.unreliable for line in table.lines)


def test_of_many_groups_the_largest_are_shown(tmp_path):
    folder = fake_run.make(tmp_path / "run", evaluated=False)
    records = [
        replace(fake_run.record(i, True), task=f"task {i % 40:02}" if i < 200 else "task 39") for i in range(240)
    ]
    fake_run.evaluation(folder, "", records)
    table = next(each for each in group_tables(sets(folder)[0]) if each.title == "Accuracy by task")
    assert len(table.lines) == ROWS
    assert "task 39" in [line.label for line in table.lines]
    assert f"The {ROWS} with the most questions of 40." in table.caption


def test_what_the_image_is_worth(tmp_path):
    [found] = sets(fake_run.make(tmp_path / "run"))
    worth, accuracy = image_tables(found)
    # 10 of 20 right before and 15 after with their own images, 9 with others: +5 and +30 points.
    assert [(line.label, [cell.split()[0] for cell in line.cells]) for line in worth.lines] == [
        ("another image", ["+5.0", "+30.0", "20"])
    ]
    assert [(line.label, line.cells[1].split()[0]) for line in accuracy.lines] == [
        ("own image", "75.0"),
        ("another image", "45.0"),
    ]


def test_other_protocols_and_how_sure_votes_are_stand_apart(tmp_path):
    folder = fake_run.make(tmp_path / "run", evaluated=False)
    # 3 of 4 votes, right on 6 of 8 questions: the vote is as sure as it may be.
    records = [replace(fake_run.record(i, i < 6), completions=("x",) * 4, votes=3) for i in range(8)]
    fake_run.evaluation(folder, "", records)
    protocols, votes = further_tables(sets(folder)[0])
    shown = {line.label: line.cells[0].split()[0] for line in protocols.lines}
    assert (shown["strict"], shown["exact match"]) == ("75.0", "75.0")
    assert [(line.label, line.cells[0].split()[0]) for line in votes.lines] == [("75 % of votes", "75.0")]
    assert votes.caption.endswith("expected error 0.0.")


def test_without_controls_nothing_is_said_about_the_image(tmp_path):
    [found] = sets(fake_run.make(tmp_path / "run"))
    members = [
        replace(
            each,
            evaluation=replace(each.evaluation, summary=replace(each.evaluation.summary, baselines={}, image_worth={})),
        )
        for each in found.members
    ]
    assert image_tables(replace(found, members=members)) == []


def test_a_group_that_only_one_run_has(tmp_path):
    first, second = (fake_run.make(tmp_path / name / name, evaluated=False) for name in ("a", "b"))
    for folder, task in ((first, "old"), (second, "new")):
        fake_run.evaluation(folder, "", [replace(fake_run.record(i, True), task=task) for i in range(4)])
    table = next(each for each in group_tables(sets(first, second)[0]) if each.title == "Accuracy by task")
    assert [(line.label, line.cells[0] == "-", line.cells[1] == "-") for line in table.lines] == [
        ("old", False, True),
        ("new", True, False),
    ]


def test_a_group_of_one_question_is_marked_and_what_has_no_value_is_not(tmp_path):
    [found] = sets(fake_run.make(tmp_path / "run"))
    lonely = Estimate(1.0, None, None, 1, 1)
    summary = found.members[1].evaluation.summary
    by = {"task": {"a": {"accuracy": lonely}, "b": {"accuracy": Estimate(None, None, None, 0, 0, 1)}}}
    member = replace(found.members[1], evaluation=replace(found.members[1].evaluation, summary=replace(summary, by=by)))
    [table] = group_tables(replace(found, members=[member]))
    assert [line.unreliable for line in table.lines] == [True, False]


def test_how_the_questions_were_asked_again_is_said_of_each_control(tmp_path):
    found = sets(fake_run.make(tmp_path / "run"))  # which has a swapped pass
    assert asked_again(found) == ["each with an image that is not its own, of another patient where these are known"]
    [before, after] = found[0].members
    blind = {"question_only": Estimate(0.1, 0.0, 0.2, 9, 9), "blank_image": Estimate(0.1, 0.0, 0.2, 9, 9)}
    summary = replace(after.evaluation.summary, baselines=blind)
    after = replace(after, evaluation=replace(after.evaluation, summary=summary))
    assert [each.partition(",")[0] for each in asked_again([replace(found[0], members=[before, after])])] == [
        "each with an image that is not its own",
        "each with a grey image of the same size",
        "as text alone",
    ]
    assert asked_again([replace(found[0], members=[after])])[0].startswith("each with a grey image")


def test_kinds_are_in_words_and_the_names_of_the_data_are_its_own(tmp_path):
    folder = fake_run.make(tmp_path / "run", evaluated=False)
    kinds = (QuestionKind.MCQ, QuestionKind.MULTI)
    records = [replace(fake_run.record(i, True), kind=kinds[i % 2], task=f"mcq_{i % 2}") for i in range(4)]
    fake_run.evaluation(folder, "", records)
    labels = {table.title: [line.label for line in table.lines] for table in group_tables(sets(folder)[0])}
    assert labels["Accuracy by kind of question"] == ["multiple choice", "several answers"]
    assert labels["Accuracy by task"] == ["mcq_0", "mcq_1"]


def test_one_set_evaluated_in_two_ways_is_shown_twice(tmp_path):
    folder = fake_run.make(tmp_path / "run")
    [place] = folder.path.glob("eval/mine*")
    for name in ("think", "direct"):
        shutil.copytree(place, tmp_path / "both" / name)
    found = question_sets(read_sources([tmp_path / "both"]))
    assert [each.title for each in found] == ["mine.py:load, test (direct)", "mine.py:load, test (think)"]
