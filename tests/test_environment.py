import json
import os
import platform
import subprocess
import sys

import pytest

from rarl.environment import _without_folders, describe_environment


@pytest.mark.parametrize(
    ("argument", "kept"),
    [
        ("/home/someone/.venv/bin/rarl", "rarl"),
        ("data.root=/home/someone/vqa_rad", "data.root=vqa_rad"),
        ('reward.extra=["/home/someone/my.py:f", "/srv/b.py:g"]', 'reward.extra=["my.py:f", "b.py:g"]'),
        ("~/runs/a", "a"),
        (r"C:\Users\someone\run", "run"),
        ("Qwen/Qwen2-VL-2B-Instruct", "Qwen/Qwen2-VL-2B-Instruct"),
        ("configs/quickstart.toml", "configs/quickstart.toml"),
        ("--set", "--set"),
    ],
)
def test_folders_of_absolute_paths_are_not_kept(argument, kept):
    assert _without_folders(argument) == kept


def test_it_tells_versions_and_neither_host_nor_user(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "marked-secret")
    monkeypatch.setattr(sys, "argv", ["/home/someone/bin/rarl", "train", "configs/quickstart.toml"])
    told = describe_environment()
    assert told["command"] == ["rarl", "train", "configs/quickstart.toml"]
    assert told["python"] == platform.python_version()
    assert {"torch", "transformers", "peft"} <= set(told["packages"])
    text = json.dumps(told)
    assert "marked-secret" not in text
    assert "someone" not in text
    assert os.path.expanduser("~/") not in text


def test_it_does_not_import_torch():
    code = (
        "import sys; from rarl.environment import describe_environment; describe_environment(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
