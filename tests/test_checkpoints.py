import json

import pytest

from rarl.checkpoints import SUMS, Checkpoints
from rarl.errors import RunFolderError
from rarl.files import NotWrittenError


def written(folder, *steps):
    found = Checkpoints(folder / "checkpoints")
    for step in steps:
        with found.write(step) as path:
            (path / "adapter").mkdir()
            (path / "adapter" / "weights").write_bytes(bytes([step % 256]) * 1000)
            (path / "state.json").write_text(json.dumps({"step": step}))
    return found


def test_one_gets_its_name_only_when_complete(tmp_path):
    found = Checkpoints(tmp_path)
    with found.write(50) as path:
        (path / "state.json").write_text("{}")
        assert found.all() == []
    assert [step for step, _ in found.all()] == [50]
    with pytest.raises(NotWrittenError, match="cannot write"), found.write(100) as path:
        path.write_text("a write that fails")
    assert [(step, path.name) for step, path in found.all()] == [(50, "step-000050")]


def test_the_newest_are_kept_and_the_best(tmp_path):
    found = written(tmp_path, 10, 50, 100, 1000000)
    found.keep(2, [10])
    assert [step for step, _ in found.all()] == [10, 100, 1000000]
    found.keep(1, [1000000])
    assert [step for step, _ in found.all()] == [1000000]
    found.keep(1, [None])
    assert [step for step, _ in found.all()] == [1000000]


def test_every_file_has_a_checksum(tmp_path):
    [(_, path)] = written(tmp_path, 3).all()
    assert set(json.loads((path / SUMS).read_text())) == {"adapter/weights", "state.json", "logged.json"}
    assert written(tmp_path, 3).all()[0].damage == ""


@pytest.mark.parametrize("name", ["adapter/weights", "state.json", SUMS])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "empty"])
def test_a_damaged_one_is_passed_over_with_a_warning(tmp_path, caplog, name, harm):
    found = written(tmp_path, 1, 2)
    path = found.all()[-1].path / name
    content = bytearray(path.read_bytes())
    if harm == "remove":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes({"flip": bytes(content), "cut": path.read_bytes()[: len(content) // 2], "empty": b""}[harm])
    newest = found.newest()
    assert newest is not None
    assert newest.step == 1
    assert "step-000002 is damaged and passed over" in caplog.text


def test_sums_of_nothing_are_damage(tmp_path):
    [newest] = written(tmp_path, 1).all()
    (newest.path / SUMS).write_text("{}")
    assert "names no file" in newest.damage


def test_none_at_all_and_none_that_is_sound(tmp_path):
    assert Checkpoints(tmp_path / "nowhere").newest() is None
    found = written(tmp_path, 1, 2)
    for _, path in found.all():
        (path / "state.json").unlink()
    with pytest.raises(RunFolderError, match="holds no sound checkpoint"):
        found.newest()
