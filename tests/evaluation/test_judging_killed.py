"""A real kill (SIGKILL) while a real server judges: nothing that came is lost, nothing that left is forgotten."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import judge_server as fake
from evaluation.judged import CONCURRENCY, RECORDS, main


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[fake.JudgeServer]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with fake.running() as running:
        yield running


def killed(folder: Path, server: fake.JudgeServer, after: int) -> int:
    """Judges until the server got so many requests; how many it got by the time that the process is gone."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    script = Path(__file__).with_name("judged.py")
    with subprocess.Popen([sys.executable, script, folder, server.url], env=environment) as process:
        while len(server.asked) < after and process.poll() is None:
            server.closing.wait(0.005)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    server.closing.wait(0.2)  # what left before may still arrive
    return len(server.asked)


def sent(folder: Path) -> dict[str, object]:
    return json.loads((folder / "sent.json").read_text())


def test_a_kill_within_a_call_loses_no_verdict_and_forgets_no_request(server: fake.JudgeServer, tmp_path: Path) -> None:
    server.act = fake.slowly(0.03, fake.says(fake.GOOD))
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    first = killed(cut, server, 20)
    assert first <= sent(cut)["requests"] <= first + CONCURRENCY
    kept = (cut / "verdicts.jsonl").read_text().count("\n")
    assert first - 2 * CONCURRENCY <= kept <= first  # in flight, or between its reply and the disk
    second = killed(cut, server, first + 15)
    assert second <= sent(cut)["requests"] <= second + 2 * CONCURRENCY
    server.act = fake.says(fake.GOOD)
    main(cut, server.url)
    total = len(server.asked)
    assert total <= 2 * len(RECORDS) + 4 * CONCURRENCY
    assert total <= sent(cut)["requests"] <= total + 2 * CONCURRENCY
    main(whole, server.url)
    assert sent(whole)["requests"] == len(server.asked) - total == 2 * len(RECORDS)
    for name in ("records.jsonl", "judge.json"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()
    assert not (cut / "verdicts.jsonl").exists()


def test_a_request_is_counted_before_the_server_has_it(server: fake.JudgeServer, tmp_path: Path) -> None:
    folder = tmp_path / "e"
    short: list[tuple[int, object]] = []

    def look(handler: fake.Handler, asked: fake.Asked) -> None:
        arrived = len(server.asked)
        if (counted := sent(folder)["requests"]) < arrived:
            short.append((arrived, counted))
        if arrived % 5 == 0:
            return fake.fails(500, Retry_After="0")(handler, asked)  # retries count too
        return fake.says(fake.GOOD)(handler, asked)

    server.act = look
    main(folder, server.url)
    assert short == []
    assert sent(folder)["requests"] == len(server.asked) > 2 * len(RECORDS)
    assert sent(folder)["queries"] == 2 * len(RECORDS)
    assert sent(folder)["completion_tokens"] == 10 * 2 * len(RECORDS)


def test_one_bar_that_moves_with_every_verdict(
    server: fake.JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rarl.judges.language.progress", lambda *arguments, **options: pytest.fail("a second bar"))
    moves: list[int] = []

    def bar(items, label, *, total, units):
        assert (label, total) == ("judging", 2 * len(RECORDS))
        for item in items:
            yield item
            moves.append(units(item))

    monkeypatch.setattr("rarl.evaluation.verdicts.progress", bar)
    main(tmp_path / "e", server.url)
    assert moves == [1] * (2 * len(RECORDS))
