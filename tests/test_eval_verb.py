"""`rarl eval` as scripts outside call it: real command lines, the embedded model, a real server as the judge."""

import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import judge_server as fake
from rarl import cli
from rarl.files import read_rows
from rarl.judges import limits
from rarl.policy import Policy

KEY = "sk-0123456789abcdef"
LIMIT = 3
Eval = Callable[..., tuple[int, str, str]]


@pytest.fixture
def server() -> Iterator[fake.JudgeServer]:
    with fake.running() as running:
        yield running


@pytest.fixture
def evaluate(
    server: fake.JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Eval:
    """evaluate(*settings, sets=words) -> (exit code, standard output, error stream), with the folder tmp_path/eval."""
    monkeypatch.setattr(limits, "FIRST_PAUSE", 0.01)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")

    def run(*settings: str, sets: str = "--data phantom --split test") -> tuple[int, str, str]:
        judge = ("judge.kind=openai", "judge.model=m", f"judge.base_url={server.url}", "judge.concurrency=1")
        fixed = (f"eval.limit={LIMIT}", "eval.baselines=false", "model.device=cpu", *judge)
        options = [word for setting in (*fixed, *settings) for word in ("--set", setting)]
        words = ["eval", "--base", "tiny", *sets.split(), "--out", str(tmp_path / "eval"), *options]
        monkeypatch.setattr(sys, "argv", ["rarl", *words])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    return run


def rows(folder: Path) -> list[dict]:
    return list(read_rows(folder / "records.jsonl"))


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def verdicts(folder: Path) -> list[dict]:
    return [row["verdicts"][axis] for row in rows(folder) for axis in ("correctness", "explanation")]


def test_what_records_and_summary_hold(evaluate: Eval, server: fake.JudgeServer, tmp_path: Path) -> None:
    server.script = [fake.says('{"score": 3, "reason": "same"}'), fake.says('{"score": 1, "reason": "thin"}')]
    server.script += [fake.says("I would rather not say."), fake.says('{"score": 0, "reason": "no"}')]
    assert evaluate("judge.max_unscored=0.5")[0] == 0
    found = rows(tmp_path / "eval")
    assert len({row["id"] for row in found}) == LIMIT
    for row in found:
        assert {"id", "cluster", "question", "gold", "completion", "answer", "grade"} <= row.keys()
        assert f"<answer> {row['answer']} </answer>" in row["completion"]
        assert row["grade"]["correct"] is (row["answer"].lower() == row["gold"].lower())
        assert row["verdicts"].keys() == {"correctness", "explanation"}
        for axis, verdict in row["verdicts"].items():
            assert verdict["judge"] == "m"
            assert re.fullmatch(rf"{axis}-\d+ sha256:[0-9a-f]{{64}}", verdict["rubric"])
    assert [verdict["value"] for verdict in verdicts(tmp_path / "eval")] == pytest.approx(
        [1.0, 1 / 3, None, 0.0, 2 / 3, 2 / 3]
    )
    told = summary(tmp_path / "eval")
    right = sum(row["grade"]["correct"] for row in found)
    for metric, mean, n in (
        ("accuracy", right / LIMIT, LIMIT),
        ("judge_correctness", (1 + 2 / 3) / 2, 2),
        ("judge_explanation", (1 / 3 + 0 + 2 / 3) / 3, 3),
    ):
        assert told[metric].keys() == {"mean", "low", "high", "n", "clusters", "unscored"}
        assert told[metric]["mean"] == pytest.approx(mean)
        assert (told[metric]["n"], told[metric]["unscored"]) == (n, LIMIT - n)
        assert told[metric]["low"] <= told[metric]["mean"] <= told[metric]["high"]


def test_what_a_summary_says_of_the_judge_and_what_is_asked(
    evaluate: Eval, server: fake.JudgeServer, tmp_path: Path
) -> None:
    server.script = [fake.says(fake.GOOD), fake.says("hm")]
    assert evaluate("judge.max_unscored=0.5")[0] == 0
    told = summary(tmp_path / "eval")["judge"]
    assert (told["judge"], told["language_model"], told["sees_images"]) == ("m", True, False)
    assert (told["host"], told["requests"], told["images"]) == (f"127.0.0.1:{server.server_port}", 2 * LIMIT, 0)
    assert (told["prompt_tokens"], told["completion_tokens"]) == (200 * LIMIT, 20 * LIMIT)
    assert (told["unscored"], told["warning"]) == ({"unreadable": 1}, None)
    assert told["rubrics"] == {verdict["axis"]: verdict["rubric"] for verdict in verdicts(tmp_path / "eval")}
    assert {asked.headers["authorization"] for asked in server.asked} == {f"Bearer {KEY}"}
    assert all('{"score": 0, 1, 2 or 3, "reason": "one sentence"}' in asked.user for asked in server.asked)
    assert not any(KEY in path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())


def test_an_outage_halfway_keeps_what_was_scored_and_only_the_rest_is_asked_again(
    evaluate: Eval, server: fake.JudgeServer, tmp_path: Path
) -> None:
    server.script, server.act = [fake.says(fake.GOOD)] * 3, fake.fails(500)
    code, out, err = evaluate("judge.retries=0", "judge.cache=off")
    assert code == 2
    assert re.search(r"^accuracy\*? +33\.3 .* 3 +0 *$", out, re.MULTILINE)
    assert re.search(r"^judge correctness\*? +66\.7 .* 2 +1 *$", out, re.MULTILINE)
    assert re.search(r"^judge explanation\*? +66\.7 .* 1 +2 *$", out, re.MULTILINE)
    assert err == (
        f"rarl: error: {tmp_path / 'eval'}: the judge left unscored the correctness of 1 of 3 answers (1 outage) and "
        "the explanation of 2 of 3 answers (2 outage), more than judge.max_unscored = 0.1 of all; what it scored is "
        f"kept: mend the cause and run this again with --out {tmp_path / 'eval'}\n"
    )
    values = [verdict["value"] for verdict in verdicts(tmp_path / "eval")]
    assert values == [2 / 3] * 3 + [None] * 3
    assert summary(tmp_path / "eval")["judge_correctness"]["unscored"] == 1
    lost, server.act = {asked.user for asked in server.asked[3:]}, fake.says('{"score": 3, "reason": "right"}')
    server.asked.clear()
    assert evaluate("judge.cache=off")[0] == 0
    assert {asked.user for asked in server.asked} == lost
    assert [verdict["value"] for verdict in verdicts(tmp_path / "eval")] == [2 / 3] * 3 + [1.0] * 3
    assert summary(tmp_path / "eval")["judge"]["requests"] == 9


def test_a_judge_that_moved_is_the_same_one(evaluate: Eval, server: fake.JudgeServer, tmp_path: Path) -> None:
    server.act = fake.fails(500)
    assert evaluate("judge.retries=0")[0] == 2
    moved = server.url.replace("127.0.0.1", "localhost")
    server.act = fake.says(fake.GOOD)
    assert evaluate(f"judge.base_url={moved}")[0] == 0
    port = server.server_port
    assert summary(tmp_path / "eval")["judge"]["host"] == f"127.0.0.1:{port}, localhost:{port}"


def test_a_judge_that_is_not_there_is_told_before_the_model_is_loaded_and_answers_are_kept(
    evaluate: Eval, server: fake.JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    load = Policy.load

    def told_then_load(*arguments: object) -> Policy:
        assert "can't be asked: AuthenticationError" in caplog.text
        return load(*arguments)

    monkeypatch.setattr(Policy, "load", told_then_load)
    server.look = server.act = fake.fails(401, f"Incorrect API key: {KEY}")
    with caplog.at_level(logging.WARNING):
        assert evaluate()[0] == 2
    assert len(server.asked) == 1
    assert {verdict["value"] for verdict in verdicts(tmp_path / "eval")} == {None}
    assert {verdict["failure"] for verdict in verdicts(tmp_path / "eval")} == {"denied"}
    assert KEY not in caplog.text


def test_a_judge_that_was_never_there_costs_seconds_and_not_the_table(
    evaluate: Eval, server: fake.JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    monkeypatch.setattr(limits, "FIRST_PAUSE", 60.0)  # a single retry would be seen
    server.shutdown()
    server.server_close()
    start = time.monotonic()
    code, out, err = evaluate()
    assert time.monotonic() - start < 30
    assert (code, "accuracy" in out) == (2, True)
    assert "the correctness of 3 of 3 answers (3 outage) and the explanation of 3 of 3 answers (3 outage)" in err
    assert "ConnectError: [Errno 111] Connection refused; check judge.base_url" in caplog.messages[0]
    assert {verdict["value"] for verdict in verdicts(tmp_path / "eval")} == {None}
    assert summary(tmp_path / "eval")["accuracy"]["n"] == LIMIT
    assert evaluate("judge.max_unscored=1")[0] == 0


def test_a_judge_that_dies_halfway(evaluate: Eval, server: fake.JudgeServer, tmp_path: Path) -> None:
    server.script = [*[fake.says(fake.GOOD)] * 3, fake.dies]
    code, out, err = evaluate("judge.retries=1")
    assert (code, "judge correctness" in out) == (2, True)
    assert "the correctness of 1 of 3 answers (1 outage) and the explanation of 2 of 3 answers (2 outage)" in err
    assert [verdict["value"] for verdict in verdicts(tmp_path / "eval")] == [2 / 3] * 3 + [None] * 3


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (fake.gives(b"<html>Welcome</html>", Content_Type="text/html"), "outage"),
        (fake.says('{"score": "3", "reason": "x"}'), "unreadable"),
        (fake.says('{"score": 2.5, "reason": "x"}'), "unreadable"),
        (fake.says('{"score": 4, "reason": "x"}'), "unreadable"),
        (fake.says('{"score": -1, "reason": "x"}'), "unreadable"),
        (fake.says('{"score": 3, "reason": "x"} I hope that this helps.'), "unreadable"),
        (fake.says('{"score": 3, "reason": "x"} {"score": 0, "reason": "y"}'), "unreadable"),
    ],
)
def test_a_reply_that_is_no_verdict_is_unscored_and_never_0(
    evaluate: Eval, server: fake.JudgeServer, tmp_path: Path, reply: fake.Act, failure: str
) -> None:
    server.script, server.act = [fake.says(fake.GOOD)], reply
    assert evaluate("judge.max_unscored=0.7", "judge.retries=0", "eval.shape=direct")[0] == 0
    found = [row["verdicts"]["correctness"] for row in rows(tmp_path / "eval")]
    assert [(each["value"], each["failure"]) for each in found] == [(2 / 3, ""), (None, failure), (None, failure)]
    told = summary(tmp_path / "eval")["judge_correctness"]
    assert (told["mean"], told["n"], told["unscored"]) == (pytest.approx(2 / 3), 1, 2)


SETS = "--data phantom --split test --split unseen-wording"


def test_several_sets(evaluate: Eval, tmp_path: Path) -> None:
    code, out, _ = evaluate(sets=SETS)
    assert code == 0
    places = [tmp_path / "eval" / name for name in ("phantom-test", "phantom-unseen-wording")]
    assert re.findall(r"^Records: (.*)$", out, re.MULTILINE) == [str(place / "records.jsonl") for place in places]
    assert summary(tmp_path / "eval") == {place.name: summary(place) for place in places}
    assert [summary(place)["settings"]["split"] for place in places] == ["test", "unseen-wording"]
    assert [summary(place)["judge"]["queries"] for place in places] == [2 * LIMIT] * 2  # each its own


def test_several_sets_go_on_where_they_stopped(evaluate: Eval, server: fake.JudgeServer, tmp_path: Path) -> None:
    server.script, server.act = [fake.says(fake.GOOD)] * (2 * LIMIT), fake.fails(500)
    code, out, err = evaluate("judge.retries=0", sets=SETS)
    assert code == 2
    assert "phantom-unseen-wording: the judge left unscored the correctness of 3 of 3 answers (3 outage)" in err
    assert [out.count(f"phantom, {split}") for split in ("test", "unseen-wording")] == [1, 1]
    assert summary(tmp_path / "eval").keys() == {"phantom-test", "phantom-unseen-wording"}
    assert len(rows(tmp_path / "eval/phantom-unseen-wording")) == LIMIT
    before = (tmp_path / "eval/phantom-test/records.jsonl").read_bytes()
    server.asked.clear()
    server.act = fake.says(fake.GOOD)
    assert evaluate(sets=SETS)[0] == 0
    assert len(server.asked) == 2 * LIMIT
    assert (tmp_path / "eval/phantom-test/records.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ("--data phantom --data phantom --split test", "phantom-test is asked for twice"),
        ("--data a --data b --split x --split y --split z", "--data is given 2 times: give it once, or 3 times"),
        ("--data phantom --split test --root a --root b", "phantom-test is asked for twice"),
    ],
)
def test_sets_that_do_not_go_together(evaluate: Eval, tmp_path: Path, sets: str, message: str) -> None:
    code, out, err = evaluate(sets=sets)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert not (tmp_path / "eval").exists()


def test_votes_are_shown_with_how_sure_they_are(evaluate: Eval, tmp_path: Path) -> None:
    code, out, _ = evaluate("eval.samples=2", "judge.kind=rules", "rollout.max_new_tokens=8")
    assert code == 0
    assert "calibration of the vote" in out
    assert [len(row["completions"]) for row in rows(tmp_path / "eval")] == [2] * LIMIT
