"""Real kills (SIGKILL) of an evaluation with a control and a judge, at every kind of moment."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Start = Callable[..., int]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Evaluates in a folder up to a moment; the status by which the process ended."""
    script = Path(__file__).with_name("killed.py")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}  # it imports what the tests do
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as forking:

        def run(folder: Path, moment: str = "never", count: int = 0) -> int:
            forking.stdin.write(json.dumps([str(folder), moment, count]) + "\n")
            forking.stdin.flush()
            return int(forking.stdout.readline())

        yield run
        forking.stdin.close()


@pytest.fixture(scope="module")
def whole(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert start(folder) == 0
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted((folder / "eval").rglob("*.json*"))}


@pytest.mark.parametrize(
    ("moment", "count"),
    [
        ("generate", 2),  # between two batches
        ("generate", 5),  # in the control
        ("half", 2),  # within a row of answers
        ("half", 7),  # within a row of verdicts
        ("fsync", 3),
        ("replace", 1),  # before the settings have their name
        ("judge", 1),
        ("replace", 4),  # before what was sent has its own
        ("replace", 5),  # before the records with verdicts have theirs
        ("replace", 6),  # before the summary
    ],
)
def test_killed_at_any_moment_it_ends_with_the_same_bytes(
    moment: str, count: int, start: Start, whole: Path, tmp_path: Path
) -> None:
    assert start(tmp_path, moment, count) == -9
    assert start(tmp_path) == 0
    assert contents(tmp_path) == contents(whole)
    rows = [json.loads(line) for line in (tmp_path / "eval/records.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"q{number}" for number in range(8)]
    # Only what was under way is asked again: a batch of 3 questions, or a call of the judge.
    asked = Counter((tmp_path / "asked").read_text().splitlines())
    assert asked.keys() == set((whole / "asked").read_text().splitlines())
    again = [question for question, times in asked.items() if times > 1]
    assert len(again) <= (16 if again and again[0].startswith("judge") else 3)


def test_killed_over_and_over_it_comes_to_its_end(start: Start, whole: Path, tmp_path: Path) -> None:
    for attempt in range(3):
        assert start(tmp_path, "generate", 2) == -9, attempt  # each gets one batch further
    assert start(tmp_path) == 0
    assert contents(tmp_path) == contents(whole)
    assert max(Counter((tmp_path / "asked").read_text().splitlines()).values()) == 1
