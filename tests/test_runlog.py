import json

import pytest

from rarl.config import RunConfig
from rarl.errors import RunFolderError
from rarl.files import read_rows
from rarl.runlog import RunFolder
from rarl.types import Example, Family, Finish, Group, Prompt, Rollout, Score, Shape, StepMetrics, Template


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "run", RunConfig().override(["run.name=trial", "run.seed=7"]))


def group_of_two():
    example = Example(id="q1", cluster="c", images=(), question="Is there a lesion?", answer="yes")
    prompt = Prompt(example, Template("t3", Family.SHORT, Shape.DIRECT, "Answer."), ())
    rollouts = tuple(
        Rollout(prompt, (5, 6, 2), (-0.1, -0.2, -0.3), text, Finish.STOP, seed)
        for text, seed in (("<answer> ja\u2028é </answer>", 11), ("no", 12))
    )
    scores = (Score(1.2, {"accuracy": 1.0, "format": 1.0}), Score(None, {"accuracy": None, "format": 0.0}))
    return Group(prompt, rollouts, scores, (0.5, 0.0))


def test_a_new_folder_holds_the_config_and_the_environment(folder):
    assert folder.config.run.seed == 7
    assert folder.config == RunFolder.open(folder.path).config
    assert "torch" in json.loads((folder.path / "environment.json").read_text())["packages"]


def test_an_existing_folder_is_never_written_over(folder):
    before = (folder.path / "config.toml").read_bytes()
    with pytest.raises(RunFolderError, match="choose another --out"):
        RunFolder.create(folder.path, RunConfig())
    assert (folder.path / "config.toml").read_bytes() == before


def test_a_file_in_the_way_is_an_error_and_an_empty_folder_is_not(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunFolderError, match="exists already"):
        RunFolder.create(tmp_path / "file", RunConfig())
    with pytest.raises(RunFolderError, match="cannot write"):
        RunFolder.create(tmp_path / "file" / "below", RunConfig())
    assert (tmp_path / "file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert RunFolder.create(tmp_path / "empty", RunConfig()).path.name == "empty"


def test_opening_what_is_no_run_folder_is_an_error(tmp_path):
    with pytest.raises(RunFolderError, match=r"no config\.toml"):
        RunFolder.open(tmp_path)


def test_metrics_are_appended_and_floats_come_back_exactly(folder):
    assert folder.metrics() == []
    folder.append_metrics(StepMetrics(1, {"loss": 0.1 + 0.2, "kl": None}))
    folder.append_metrics(StepMetrics(2, {"loss": 1e-17}))
    assert folder.metrics() == [{"step": 1, "loss": 0.30000000000000004, "kl": None}, {"step": 2, "loss": 1e-17}]
    text = (folder.path / "metrics.jsonl").read_text()
    assert text == '{"step": 1, "loss": 0.30000000000000004, "kl": null}\n{"step": 2, "loss": 1e-17}\n'


def test_every_completion_has_a_row(folder):
    folder.append_rollouts(4, [group_of_two()])
    first, second = read_rows(folder.path / "rollouts.jsonl")
    assert first == {
        "step": 4,
        "id": "q1",
        "template": "t3",
        "completion": "<answer> ja\u2028é </answer>",
        "tokens": 3,
        "finish": "stop",
        "seed": 11,
        "parts": {"accuracy": 1.0, "format": 1.0},
        "total": 1.2,
        "advantage": 0.5,
    }
    assert second["total"] is None
    assert second["parts"]["accuracy"] is None


def test_going_on_from_a_step_forgets_later_rows_and_torn_ones(folder):
    for step in (1, 2, 3):
        folder.append_metrics(StepMetrics(step, {"loss": step / 3}))
        folder.append_rollouts(step, [group_of_two()])
        folder.append_timings(step, {"generate": 0.5})
    kept = [(folder.path / "metrics.jsonl").read_bytes().split(b"\n")[i] for i in (0, 1)]
    with (folder.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    folder.truncate_after(2)
    assert (folder.path / "metrics.jsonl").read_bytes() == b"\n".join(kept) + b"\n"
    assert [row["step"] for row in read_rows(folder.path / "rollouts.jsonl")] == [1, 1, 2, 2]
    assert [row["step"] for row in folder.timings()] == [1, 2]


@pytest.fixture
def logged(folder):
    """Three steps, the checkpoint of the second, and a row of the third that was given up."""
    for step in (1, 2):
        folder.append_metrics(StepMetrics(step, {"loss": step / 3}))
        folder.append_rollouts(step, [group_of_two()])
    folder.append_rollouts(3, [group_of_two()])
    return folder.logged(2)


def test_what_a_checkpoint_counts_on_is_what_was_logged_up_to_its_step(folder, logged):
    assert {name: each["rows"] for name, each in logged.items()} == {"metrics.jsonl": 2, "rollouts.jsonl": 4}
    folder.append_metrics(StepMetrics(3, {"loss": 1.0}))
    folder.truncate_after(2, logged=logged)
    folder.truncate_after(2, logged=logged)  # as after a second kill
    assert folder.logged(2) == logged
    assert [row["step"] for row in folder.metrics()] == [1, 2]


def test_metrics_that_are_still_to_be_written_are_not_counted_on(folder):
    folder.append_metrics(StepMetrics(1, {"loss": 1.0}))
    for step in (1, 2):
        folder.append_rollouts(step, [group_of_two()])
    logged = folder.logged(2)
    folder.append_metrics(StepMetrics(2, {"loss": 2.0}))  # it went on, and was killed again
    folder.truncate_after(2, pending=True, logged=logged)
    assert [row["step"] for row in folder.metrics()] == [1]


@pytest.mark.parametrize(
    ("name", "harm", "told"),
    [
        ("metrics", lambda lines: lines[:1], "step 2 counts on 2 rows, and it holds 1 up to there"),
        ("metrics", lambda lines: [], "counts on 2 rows, and it holds 0"),
        ("metrics", lambda lines: [lines[0], lines[1].replace(b"6", b"7")], "holds 2 up to there, others"),
        ("metrics", lambda lines: [lines[0], lines[0], lines[1]], "holds 3 up to there"),
        ("rollouts", lambda lines: lines[:3], "counts on 4 rows, and it holds 3"),
        ("rollouts", lambda lines: [lines[1], lines[0], *lines[2:]], "holds 4 up to there, others"),
        ("rollouts", None, "counts on 4 rows, and it holds 0"),
    ],
)
def test_a_log_that_a_checkpoint_cannot_count_on_is_refused_and_left_as_it_is(folder, logged, name, harm, told):
    path = folder.path / f"{name}.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.unlink()
    if harm:
        path.write_bytes(b"".join(harm(lines)))
    before = {path: path.read_bytes() for path in folder.path.iterdir()}
    with pytest.raises(RunFolderError, match=rf"{name}\.jsonl was cut or edited: .*{told}.*; restore it, or remove"):
        folder.truncate_after(2, logged=logged)
    assert {path: path.read_bytes() for path in folder.path.iterdir()} == before


def test_a_damaged_row_in_the_middle_is_an_error_that_names_it(folder):
    (folder.path / "metrics.jsonl").write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(RunFolderError, match="line 2"):
        folder.metrics()


@pytest.mark.parametrize("row", ["3", "null", "[]", '"step"', "{}", '{"loss": 1}', '{"step": "2"}', '{"step": null}'])
def test_a_row_of_another_form_is_an_error_that_names_it(folder, row):
    lines = f'{{"step": 1}}\n{row}\n'
    for name, read in (
        ("metrics", folder.metrics),
        ("timings", folder.timings),
        ("rollouts", lambda: folder.truncate_after(5)),
    ):
        path = folder.path / f"{name}.jsonl"
        path.write_text(lines)
        with pytest.raises(RunFolderError, match=rf"{name}\.jsonl, line 2, .*damaged"):
            read()
        assert path.read_text() == lines
        path.unlink()


@pytest.mark.parametrize("value", ['"high"', "[1]", "{}"])
def test_a_metric_that_is_no_number_is_an_error_that_names_it(folder, value):
    (folder.path / "metrics.jsonl").write_text(f'{{"step": 1, "loss": null}}\n{{"step": 2, "loss": {value}}}\n')
    with pytest.raises(RunFolderError, match=r"metrics\.jsonl, line 2: loss is no number"):
        folder.metrics()


def test_where_evaluations_go(folder):
    assert folder.evaluation("phantom", "test").relative_to(folder.path).as_posix() == "eval/phantom-test"
    before = folder.evaluation("phantom", "unseen-wording", "before")
    assert before.relative_to(folder.path).as_posix() == "eval/before/phantom-unseen-wording"
    assert folder.evaluation("/home/someone/set.py:load", "../x").name == "set.py-load-..-x"
