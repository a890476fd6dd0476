import shutil

import pytest

import fake_run
from rarl.errors import RunFolderError
from rarl.files import read_json, write_json
from rarl.reporting.sources import read_sources


@pytest.fixture
def folder(tmp_path):
    return fake_run.make(tmp_path / "run")


def test_an_evaluation_is_a_source_too(folder):
    [place] = folder.path.glob("eval/mine*")
    alone, several = read_sources([place, folder.path / "eval"])
    assert alone.label == place.name
    assert (alone.config, alone.steps, alone.results[0].before) == (None, 0, None)
    assert alone.results[0].after.summary.metrics["accuracy"].mean == 0.75
    assert [result.title for result in several.results] == ["mine.py:load, test"]


def test_several_evaluations_beside_their_common_summary(folder):
    write_json(folder.path / "eval" / "summary.json", {"mine.py-load-test": {}})
    [source] = read_sources([folder.path / "eval"])
    assert [result.title for result in source.results] == ["mine.py:load, test"]


def test_an_evaluation_that_was_killed_is_no_source(folder):
    [place] = folder.path.glob("eval/mine*")
    (place / "summary.json").unlink()
    with pytest.raises(RunFolderError, match="holds no evaluation that came to its end"):
        read_sources([place])


def test_folders_of_one_name_are_told_apart(folder, tmp_path):
    shutil.copytree(folder.path, tmp_path / "other" / "run")
    labels = [source.label for source in read_sources([folder.path, tmp_path / "other" / "run"])]
    assert labels == [f"{tmp_path.name}/run", "other/run"]


@pytest.mark.parametrize("count", [0, 2])
def test_none_and_the_same_twice_are_refused(folder, count):
    with pytest.raises(RunFolderError, match=r"needs the folder|the same folder twice"):
        read_sources([folder.path] * count)


def test_an_evaluation_knows_the_run_that_its_adapter_is_from(folder):
    [place] = folder.path.glob("eval/mine*")
    [source] = read_sources([place])
    assert source.trained_with is None
    summary = read_json(place / "summary.json")
    write_json(place / "summary.json", {**summary, "settings": {**summary["settings"], "adapter": str(folder.adapter)}})
    [source] = read_sources([place])
    assert source.trained_with == folder.config


def test_what_is_neither_is_an_error(tmp_path):
    with pytest.raises(RunFolderError, match="is no run folder and holds no evaluation"):
        read_sources([tmp_path])


def test_how_far_an_unfinished_run_has_come(folder):
    def unfinished(*changes):
        (folder.path / "config.toml").write_text(folder.config.override(changes).to_toml())
        return read_sources([folder.path])[0].unfinished

    assert unfinished() == ""
    said = unfinished("train.steps=4")
    assert said == "still running, or stopped, after step 3 of 4; rarl train --resume goes on with it"
    [after] = folder.path.glob("eval/mine*/summary.json")
    after.unlink()
    assert "after all 3 steps, before the end of the evaluation that follows them" in unfinished("train.steps=3")
    shutil.rmtree(folder.path / "eval")
    assert "after all 3 steps, before the end of the evaluation" in unfinished()
    assert unfinished("eval.enabled=false") == ""
    (folder.path / "metrics.jsonl").unlink()
    assert "before the first of 3 steps" in unfinished()


def test_an_evaluation_that_was_killed_beside_others_is_named(folder):
    [place] = folder.path.glob("eval/mine*")
    shutil.copytree(place, place.with_name("other"))
    (place.with_name("other") / "summary.json").unlink()
    [source] = read_sources([folder.path / "eval"])
    assert [result.title for result in source.results] == ["mine.py:load, test"]
    assert source.unfinished == "other did not come to an end; the same rarl eval again goes on with it"
