"""rarl cache: what it finds, and that it removes nothing else."""

import stat
from pathlib import Path

import pytest

import rarl
from rarl import cli
from rarl.caches import cache_home, caches
from rarl.judges.cache import VerdictCache, cache_path
from rarl.types import Verdict


def run(*arguments: str, patch: pytest.MonkeyPatch) -> int:
    patch.setenv("COLUMNS", "300")
    patch.setattr("sys.argv", ["rarl", *arguments])
    with pytest.raises(SystemExit) as done:
        cli.main()
    return int(done.value.code or 0)


def filled(home: Path) -> Path:
    folder = home / "vision" / "setting"
    folder.mkdir(parents=True)
    (folder / "image.features").write_bytes(b"x" * 100)
    (folder / ".half.part").write_bytes(b"x" * 10)
    (folder / "mine.txt").write_text("kept")
    path = cache_path("")
    assert path is not None
    VerdictCache(path).keep("key", Verdict(1.0, "correctness", "said", "judge", "rubric"))
    return folder


def test_clear_removes_all_that_was_kept_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = filled(tmp_path / "rarl")
    assert run("cache", "show", patch=monkeypatch) == 0
    assert " ".join(capsys.readouterr().out.split()).count("vision features 2 0.0 MB") == 1
    assert run("cache", "clear", "--keep-verdicts", patch=monkeypatch) == 0
    assert (tmp_path / "rarl" / "judge.sqlite").is_file()
    assert run("cache", "clear", patch=monkeypatch) == 0
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["mine.txt"]
    assert folder.is_dir()
    assert [len(each.files) for each in caches()] == [0, 0]
    assert run("cache", "clear", patch=monkeypatch) == 0


def test_another_folder_is_that_of_model_cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    filled(tmp_path / "home" / "rarl")
    config = ["model.base=tiny", "train.steps=1", "rollout.group_size=2", "rollout.prompts_per_step=1"]
    config += ["rollout.max_new_tokens=4", "eval.enabled=false", f"model.cache_dir={tmp_path / 'other'}"]
    folder = rarl.train(rarl.RunConfig().override(config), out=tmp_path / "run").folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert caches(tmp_path / "other")[0].files
    assert run("cache", "clear", "--dir", str(tmp_path / "other"), patch=monkeypatch) == 0
    assert not caches(tmp_path / "other")[0].files
    assert caches()[0].files, "those of the user are elsewhere"


@pytest.mark.parametrize("said", ["", "relative"])
def test_a_home_that_is_not_absolute_is_ignored(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", said)
    monkeypatch.setenv("HOME", "/home/she")
    assert cache_home() == Path("/home/she/.cache/rarl")
