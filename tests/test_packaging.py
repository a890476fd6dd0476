"""What is installed: the pinned versions, and a wheel that holds every file the code reads."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from rarl.environment import VERSION

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(name):
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]
    for line in lines:
        assert re.fullmatch(r"[\w.-]+==[\w.]+", line), f"{name}: {line!r} is no plain pin"
    return {plain(line.partition("==")[0]): line.partition("==")[2] for line in lines}


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_pinned():
    runtime, development = pins("requirements.lock"), pins("requirements-dev.lock")
    assert runtime["torch"] == "2.13.0"
    assert not set(runtime) & set(development)
    for requirement in PROJECT["dependencies"]:
        assert plain(re.split(r"[<>=]", requirement)[0]) in runtime
    for requirement in PROJECT["optional-dependencies"]["test"]:
        assert plain(re.split(r"[<>=]", requirement)[0]) in development


def test_the_citation_is_of_this_version():
    assert re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)[1] == VERSION


def test_a_wheel_holds_every_file(tmp_path):
    pytest.importorskip("setuptools")
    copy = tmp_path / "source"
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    build = ["-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(copy)]
    subprocess.run([sys.executable, *build], check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.name == f"rarl-{VERSION}-py3-none-any.whl"
    packed = set(zipfile.ZipFile(wheel).namelist())
    written = {
        path.relative_to(copy / "src").as_posix() for path in (copy / "src" / "rarl").rglob("*") if path.is_file()
    }
    assert written <= packed, "name the kind of file in pyproject.toml, [tool.setuptools.package-data]"
    assert any(name.endswith("licenses/LICENSE") for name in packed)
