"""Nothing is asked twice: across calls, judges, processes and kills."""

import multiprocessing
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import pytest

import judge_server as fake
from rarl.errors import JudgeError
from rarl.judges.cache import VerdictCache, cache_path
from rarl.types import Verdict

VERDICT = Verdict(1 / 3, "correctness", '{"score": 1}', "m", "correctness-1 sha256:ab")


def test_what_is_kept_is_read(tmp_path):
    cache = VerdictCache(tmp_path / "below" / "verdicts.sqlite")
    cache.keep("a", VERDICT)
    cache.keep("a", replace(VERDICT, value=1.0))  # the first stays
    again = VerdictCache(tmp_path / "below" / "verdicts.sqlite")
    assert again.read(["a", "b"]) == {"a": VERDICT}
    assert stat.S_IMODE(again.path.stat().st_mode) == 0o600


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_path("") == tmp_path / "rarl" / "judge.sqlite"
    assert cache_path("off") is None
    assert cache_path("~/mine.sqlite") == Path.home() / "mine.sqlite"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_path("") == Path.home() / ".cache" / "rarl" / "judge.sqlite"


@pytest.mark.parametrize("what", ["text", "folder", "version", "below a file"])
def test_a_file_that_is_no_cache_is_one_line(tmp_path, what):
    path = tmp_path / "verdicts.sqlite"
    if what == "text":
        path.write_text("not a data base, and long enough to be taken for one" * 20)
    elif what == "folder":
        path.mkdir()
    elif what == "version":
        with sqlite3.connect(path) as file:
            file.execute("PRAGMA user_version = 99")
    else:
        path.write_text("")
        path = path / "below"
    remedy = r"; remove it, name another file, or set judge\.cache=off$"
    with pytest.raises(JudgeError, match=rf"judge\.cache: .*{remedy}") as caught:
        VerdictCache(path)
    assert "\n" not in str(caught.value)


def test_a_cache_that_breaks_underway_is_a_warning(tmp_path, caplog):
    cache = VerdictCache(tmp_path / "verdicts.sqlite")
    cache.path.write_text("broken" * 1000)
    cache.keep("a", VERDICT)
    assert cache.read(["a"]) == {}
    assert "can't be written" in caplog.text
    assert "can't be read" in caplog.text


def write(path, own):
    cache = VerdictCache(path)
    for i in range(15):
        for name in (own, "shared"):
            cache.keep(f"{name}-{i}", Verdict(1.0, "correctness", "", "m", "r"))


def test_two_processes_at_once(tmp_path):
    path, processes = tmp_path / "verdicts.sqlite", multiprocessing.get_context("fork")
    writers = [processes.Process(target=write, args=(path, name)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    keys = [f"{name}-{i}" for name in ("a", "b", "shared") for i in range(15)]
    assert len(VerdictCache(path).read(keys)) == 45


def test_nothing_is_asked_twice(remote, server, several, tmp_path):
    cache = str(tmp_path / "verdicts.sqlite")
    first = remote(cache=cache)(several(4))
    judge = remote(cache=cache)
    assert judge(several(5))[:4] == first
    assert len(server.asked) == 5
    assert (judge.sent()["from_cache"], judge.sent()["requests"]) == (4, 1)


def test_the_same_query_twice_in_a_call_is_asked_once(remote, server, query):
    verdicts = remote()([query, replace(query, id="other"), query])
    assert len(set(verdicts)) == len(server.asked) == 1


def test_failures_are_asked_again_and_successes_survive_an_interrupt(remote, server, several, tmp_path, monkeypatch):
    cache = str(tmp_path / "verdicts.sqlite")
    server.script = [fake.says(fake.GOOD), fake.says("hm"), fake.fails(500), fake.says(fake.GOOD)]
    values = [verdict.value for verdict in remote(cache=cache, concurrency=1, retries=0)(several(4))]
    assert values == [2 / 3, None, None, 2 / 3]
    assert [verdict.value for verdict in remote(cache=cache)(several(4))] == [2 / 3] * 4
    assert len(server.asked) == 6

    def interrupted(items, label, total, units):
        for i, item in enumerate(items):
            if i == 2:
                raise KeyboardInterrupt
            yield item

    with monkeypatch.context() as patch:
        patch.setattr("rarl.judges.language.progress", interrupted)
        with pytest.raises(KeyboardInterrupt):
            remote(cache=cache, concurrency=1)(several(12)[4:])
    before = len(server.asked)
    remote(cache=cache, concurrency=1)(several(12))
    assert len(server.asked) - before == 5  # three of eight were kept


@pytest.mark.parametrize(
    "changes",
    [{"model": "n"}, {"temperature": 0.5}, {"max_tokens": 99}, {"base_url": "localhost"}],
    ids=lambda changes: next(iter(changes)),
)
def test_another_judge_is_asked_anew(remote, server, query, tmp_path, changes):
    cache = str(tmp_path / "verdicts.sqlite")
    if "base_url" in changes:
        changes = {"base_url": server.url.replace("127.0.0.1", "localhost")}
    remote(cache=cache)([query])
    remote(cache=cache, **changes)([query])
    assert len(server.asked) == 2
    remote(cache=cache, concurrency=2, timeout=9.0, retries=1)([query])  # patience is no other judge
    assert len(server.asked) == 2


@pytest.mark.parametrize("field", ["question", "gold", "answer", "modality"])
def test_another_query_is_asked_anew_and_what_is_not_shown_makes_none(remote, server, query, tmp_path, field):
    cache = str(tmp_path / "verdicts.sqlite")
    remote(cache=cache)([query])
    remote(cache=cache)([replace(query, **{field: "another"})])
    assert len(server.asked) == 2
    remote(cache=cache)([replace(query, id="another", reasoning="another")])
    assert len(server.asked) == 2


def test_another_rubric_is_asked_anew(remote, server, query, tmp_path, monkeypatch):
    from rarl.judges import language, rubrics

    cache = str(tmp_path / "verdicts.sqlite")
    remote(cache=cache)([query])
    changed = {axis: replace(rubric, sha256="0" * 64) for axis, rubric in rubrics.rubrics().items()}
    monkeypatch.setattr(language, "rubrics", lambda: changed)
    remote(cache=cache)([query])
    assert len(server.asked) == 2
