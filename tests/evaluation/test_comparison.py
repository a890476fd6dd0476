import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from evaluation.scripted import record
from rarl.environment import VERSION
from rarl.errors import RarlError, RunFolderError
from rarl.evaluation import compare, estimate
from rarl.evaluation import records as store
from rarl.types import EvalRecord, Grade, QuestionKind, Verdict


def answered(number: int, right: bool, **changes: object) -> EvalRecord:
    grade = Grade(right, float(right), QuestionKind.OPEN, "exact", "left", "left")
    return record(f"q{number}", cluster=f"c{number // 2}", grade=grade, parts={}, **changes)


def evaluation(folder: Path, right: Sequence[bool], split: str = "test", **changes: object) -> Path:
    store.resume(folder, {"data": "/data/ward.py:load", "split": split})
    store.append(folder, [answered(number, each, **changes) for number, each in enumerate(right)])
    return folder


ALL, NONE = [True] * 8, [False] * 8
HALF = [True, True, True, True, False, False, False, False]


def test_two_runs_beside_each_other(tmp_path: Path) -> None:
    found = compare([evaluation(tmp_path / "base", HALF), evaluation(tmp_path / "tuned", ALL)])
    first, second = found.lines
    assert found.runs == ("base", "tuned")
    assert (first.data, first.metric, first.run, first.found.mean, first.paired) == (
        "ward.py:load, test",
        "accuracy",
        "base",
        0.5,
        None,
    )
    assert (second.run, second.found.mean) == ("tuned", 1.0)
    # images c2 and c3 improve by 2 questions each: sums 0 0 2 2, of whose signs 2 of 4 reach 4
    assert (second.paired.difference.mean, second.paired.difference.n, second.paired.p) == (0.5, 8, 0.5)
    assert second.holm == 0.5
    # residuals -1 -1 1 1: SE = sqrt(4/3 x 4) / 8 = 0.289
    assert second.paired.smallest == pytest.approx(2.8016 * 0.28868, rel=1e-4)
    assert found.unshared == {"ward.py:load, test": 0}
    assert any("fewer than 30 clusters" in note for note in found.notes)


def test_holm_is_over_all_comparisons_of_a_metric(tmp_path: Path) -> None:
    runs = {"base": NONE * 4, "good": ALL * 4, "same": NONE * 4}
    for split in ("test", "unseen"):
        for name, right in runs.items():
            evaluation(tmp_path / name / "eval" / f"ward-{split}", right, split=split)
    found = compare([tmp_path / name for name in runs])
    p_values = [(line.run, line.paired.p, line.holm) for line in found.lines if line.paired]
    exact = 1 / 20_001  # 16 images
    assert p_values == 2 * [("good", pytest.approx(exact), pytest.approx(4 * exact)), ("same", 1.0, 1.0)]


def test_only_items_of_every_run_are_compared(tmp_path: Path) -> None:
    found = compare([evaluation(tmp_path / "a", ALL), evaluation(tmp_path / "killed", [False] * 5)])
    assert [line.found.n for line in found.lines] == [5, 5]
    assert [line.found.mean for line in found.lines] == [1.0, 0.0]
    assert found.unshared == {"ward.py:load, test": 3}


@pytest.mark.parametrize("changes", [{"question": "Who?"}, {"gold": "right"}, {"options": ("left", "right")}])
def test_other_questions_are_refused_by_name(tmp_path: Path, changes: dict) -> None:
    folders = [evaluation(tmp_path / "a", ALL), evaluation(tmp_path / "b", ALL, **changes)]
    with pytest.raises(
        RunFolderError,
        match=r"^a and b were asked other questions of ward\.py:load, test: q0 is not the same in both; ",
    ):
        compare(folders)


def test_runs_without_a_question_in_common_are_refused(tmp_path: Path) -> None:
    evaluation(tmp_path / "a", ALL)
    store.resume(tmp_path / "b", {"data": "/data/ward.py:load", "split": "test"})
    store.append(tmp_path / "b", [answered(number, True) for number in (8, 9)])
    with pytest.raises(RunFolderError, match=r"^a, b have no question of ward\.py:load, test in common$"):
        compare([tmp_path / "a", tmp_path / "b"])


def test_what_not_every_run_has_is_said(tmp_path: Path) -> None:
    for name, splits in (("a", ("test", "unseen")), ("b", ("test",))):
        for split in splits:
            evaluation(tmp_path / name / f"ward-{split}", ALL, split=split)
    found = compare([tmp_path / "a", tmp_path / "b"])
    assert {line.data for line in found.lines} == {"ward.py:load, test"}
    assert "ward.py:load, unseen is left out: not every run has it" in found.notes
    with pytest.raises(RunFolderError, match="no data set and split in common"):
        compare([tmp_path / "a/ward-unseen", tmp_path / "b"])


def test_the_evaluation_after_training_is_a_runs(tmp_path: Path) -> None:
    evaluation(tmp_path / "run/eval/ward-test", ALL)
    evaluation(tmp_path / "run/eval/before/ward-test", NONE)
    evaluation(tmp_path / "run/eval/ward-test/swapped", HALF)
    found = compare([tmp_path / "run/eval/before", tmp_path / "run"])
    assert [line.found.mean for line in found.lines] == [0.0, 1.0]


def test_runs_of_one_name_are_called_by_as_much_of_their_paths_as_differs(tmp_path: Path) -> None:
    found = compare([evaluation(tmp_path / "a/eval-1", ALL), evaluation(tmp_path / "b/eval-1", NONE)])
    assert found.runs == ("a/eval-1", "b/eval-1")


def verdicts(judge: str, value: float | None) -> dict[str, Verdict]:
    return {"correctness": Verdict(value, "correctness", "", judge, "r1")}


def test_a_judges_metric_with_what_it_could_not_score(tmp_path: Path) -> None:
    folders = [
        evaluation(tmp_path / name, ALL, verdicts=verdicts("m", value)) for name, value in (("a", 0), ("b", None))
    ]
    found = compare(folders, metrics=["judge_correctness"])
    assert [line.found.unscored for line in found.lines] == [0, 8]
    assert (found.lines[1].paired.difference.unscored, found.lines[1].paired.p) == (8, None)


def test_other_judges_are_not_compared(tmp_path: Path) -> None:
    folders = [evaluation(tmp_path / name, ALL, verdicts=verdicts(name, 1.0)) for name in ("a", "b")]
    found = compare(folders)
    assert {line.metric for line in found.lines} == {"accuracy"}
    assert "judge correctness on ward.py:load, test is left out: judged by a (r1) and by b (r1)" in found.notes


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    folder = evaluation(tmp_path / "a", ALL)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunFolderError, match="two runs or more"):
        compare([folder])
    with pytest.raises(RunFolderError, match="empty holds no evaluation"):
        compare([folder, tmp_path / "empty"])
    with pytest.raises(RarlError, match="unknown metric 'acuracy'; did you mean 'accuracy'"):
        compare([folder, folder], metrics=["acuracy"])
    with pytest.raises(RunFolderError, match="a: the same folder twice; give each once"):
        compare([folder, tmp_path / "empty" / ".." / "a"])
    (folder / "settings.json").write_text(json.dumps({"data": "ward"}))
    with pytest.raises(RunFolderError, match=r"settings\.json is damaged"):
        compare([folder, evaluation(tmp_path / "b", ALL)])


def test_a_judge_that_saw_the_images_is_another_one(tmp_path: Path) -> None:
    folders = [evaluation(tmp_path / name, ALL, verdicts=verdicts("m", 1.0)) for name in ("a", "b")]
    (folders[1] / "judge.json").write_text(json.dumps({"send_images": True}))
    note = "judge correctness on ward.py:load, test is left out: judged by m (r1) and by m (r1, shown the images)"
    assert note in compare(folders).notes


def test_what_only_some_runs_have_is_said(tmp_path: Path) -> None:
    folders = [evaluation(tmp_path / "a", ALL, verdicts=verdicts("m", 1.0)), evaluation(tmp_path / "b", ALL)]
    found = compare(folders)
    assert {line.metric for line in found.lines} == {"accuracy"}
    assert "judge correctness on ward.py:load, test is left out: b has none" in found.notes
    assert not any("reasoning" in note for note in found.notes)  # which neither has


def test_records_that_another_version_graded_are_named(tmp_path: Path) -> None:
    old = evaluation(tmp_path / "old", [True] * 5 + [False] * 3)  # all said "left", which is right by today's rules
    found = compare([old, evaluation(tmp_path / "new", ALL)])
    [note] = [note for note in found.notes if "graded" in note]
    assert note.startswith(
        f"3 of 8 answers of old on ward.py:load, test are graded otherwise by this version of rarl ({VERSION})"
    )


def test_runs_of_different_versions_are_named_where_they_say_it(tmp_path: Path) -> None:
    folders = [evaluation(tmp_path / name, ALL) for name in ("a", "b", "c")]
    for folder, version in zip(folders, ("0.1.0", "0.2.0"), strict=False):
        (folder / "environment.json").write_text(json.dumps({"packages": {"rarl": version}}))
    [note] = [note for note in compare(folders).notes if "versions" in note]
    assert note.startswith("the runs were made with different versions of rarl (a with 0.1.0, b with 0.2.0):")
    assert not any("versions" in note for note in compare([folders[0], folders[2]]).notes)


def test_intervals_are_those_of_the_first_runs_summary(tmp_path: Path) -> None:
    right = [number * number % 11 > 3 for number in range(80)]
    folders = [evaluation(tmp_path / name, right) for name in ("a", "b")]
    (folders[0] / "settings.json").write_text(json.dumps({"data": "ward.py:load", "split": "test", "seed": 7}))
    clusters = [f"c{number // 2}" for number in range(80)]
    first, second = (estimate(list(map(float, right)), clusters, seed=seed) for seed in (7, 0))
    assert (first.low, first.high) != (second.low, second.high)
    assert {line.found for line in compare(folders).lines} == {first}
    assert {line.found for line in compare(folders, seed=0).lines} == {second}


def asked(folder: Path, **settings: object) -> Path:
    store.resume(folder, {"data": "ward", "split": "test", **settings})
    store.append(folder, [answered(number, True) for number in range(8)])
    return folder


def test_runs_that_were_not_asked_in_the_same_way_are_marked_and_named(tmp_path: Path) -> None:
    own = asked(tmp_path / "own", control="none", shape="think", samples=1)
    found = compare([own, asked(tmp_path / "blank", control="blank", shape="think", samples=5)])
    assert [line.asked for line in found.lines] == [{"samples": 1}, {"control": "blank", "samples": 5}]
    assert [note for note in found.notes if "same way" in note] == [
        f"ward, test was not asked in the same way (eval.{name}: own with {first}, blank with {second}): a difference "
        "is not of the models alone"
        for name, first, second in (("control", "none", "blank"), ("samples", 1, 5))
    ]
    found = compare([own, asked(tmp_path / "direct", control="none", shape="direct", samples=1)])
    assert [line.asked for line in found.lines] == [{"shape": "think"}, {"shape": "direct"}]


def test_runs_that_were_asked_alike_are_marked_with_their_control_alone(tmp_path: Path) -> None:
    found = compare([asked(tmp_path / name, control="swapped", samples=5, shape="think") for name in ("a", "b")])
    assert [line.asked for line in found.lines] == [{"control": "swapped"}] * 2
    assert not any("same way" in note for note in found.notes)


def test_versions_of_several_sets_in_one_folder(tmp_path: Path) -> None:
    for name, version in (("a", "0.1.0"), ("b", "0.2.0")):
        folder = evaluation(tmp_path / name / "ward-test", ALL)
        (folder / "environment.json").write_text(json.dumps({"packages": {"rarl": version}}))
    assert any("different versions" in note for note in compare([tmp_path / "a", tmp_path / "b"]).notes)
