import errno
import json
from pathlib import Path

import pytest

from rarl.errors import RunFolderError
from rarl.files import NotWrittenError, folder_aside, free_path, read_json, require_free, write_json, write_text


def test_a_folder_written_again_is_replaced_whole(tmp_path):
    for name in ("old", "new"):
        with folder_aside(tmp_path / "adapter") as path:
            (path / name).write_text(name)
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]
    assert [path.name for path in (tmp_path / "adapter").iterdir()] == ["new"]


def test_a_folder_that_cannot_take_its_name_leaves_the_old_one(tmp_path, monkeypatch):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "old").write_text("old")
    rename = Path.rename

    def full(path, target):
        if path.name.endswith(".part"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(NotWrittenError, match="No space left on device; make room"), folder_aside(tmp_path / "adapter"):
        pass
    assert [path.name for path in (tmp_path / "adapter").iterdir()] == ["old"]


def test_a_failed_write_leaves_the_old_text(tmp_path):
    path = tmp_path / "summary.json"
    write_text(path, "old")
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert path.read_text() == "old"
    write_json(path, {"a": 0.1})
    assert json.loads(path.read_text()) == {"a": 0.1}


def test_the_first_free_number(tmp_path):
    assert free_path(tmp_path / "runs", "demo").name == "demo-1"
    (tmp_path / "runs" / "demo-1").mkdir(parents=True)
    assert free_path(tmp_path / "runs", "demo").name == "demo-2"


def test_what_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunFolderError, match="cannot write"):
        require_free("x" * 300)
    with pytest.raises(RunFolderError, match="cannot write"):
        write_text(tmp_path / "file" / "report.html", "")
    with pytest.raises(RunFolderError, match="is a folder"):
        write_text(tmp_path / "folder", "")
    with pytest.raises(RunFolderError, match="cannot write"), folder_aside(tmp_path / "file" / "below"):
        pass
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_damaged_json_file_is_named(tmp_path, text):
    (tmp_path / "x.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(RunFolderError, match=r"x\.json is .*damaged"):
        read_json(tmp_path / "x.json")
    with pytest.raises(RunFolderError, match=r"none\.json is missing"):
        read_json(tmp_path / "none.json")
