import subprocess
import sys
from pathlib import Path

import pytest

from rarl.errors import RunFolderError
from rarl.locking import alone


def test_one_at_a_time_in_a_folder(tmp_path: Path) -> None:
    with alone(tmp_path / "new"):
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
        told = "new is being written by another process; wait for it, or choose"
        with pytest.raises(RunFolderError, match=told), alone(tmp_path / "new"):
            pytest.fail("both are in")
        with alone(tmp_path / "other"):
            pass
    with alone(tmp_path / "new"):
        pass
    assert list((tmp_path / "new").iterdir()) == []  # a lock leaves nothing behind


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = "can't be written into: it is a file; choose another folder"
    with pytest.raises(RunFolderError, match=told), alone(tmp_path / "file"):
        pytest.fail("in a file")


def test_a_kill_lets_go_of_it(tmp_path: Path) -> None:
    hold = f"from pathlib import Path; from rarl.locking import alone\nwith alone(Path({str(tmp_path)!r})):\n"
    other = subprocess.Popen([sys.executable, "-c", f"{hold}  print('in', flush=True); input()"], stdin=-1, stdout=-1)
    assert other.stdout
    assert other.stdout.readline() == b"in\n"
    with pytest.raises(RunFolderError, match="another process"), alone(tmp_path):
        pytest.fail("both are in")
    other.kill()
    other.communicate()
    with alone(tmp_path):
        pass
