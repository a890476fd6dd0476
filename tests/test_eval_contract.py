"""What scripts outside rely on in `rarl eval`, `compare`, `judge-check` and `predict`: names, files, exit codes."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import judge_server as fake
import rarl
from rarl import cli
from rarl.engines import NativeEngine
from rarl.files import read_rows
from rarl.policy import Policy
from rarl.types import Finish, Rollout

Rarl = Callable[..., tuple[int, str, str]]
EVAL = "eval --base tiny --data phantom --split test --set eval.limit=4 --set eval.baselines=false"


@pytest.fixture
def server() -> Iterator[fake.JudgeServer]:
    with fake.running() as running:
        yield running


@pytest.fixture
def openai(server: fake.JudgeServer) -> str:
    """The settings of a judge at the server."""
    return f"--set judge.kind=openai --set judge.model=m --set judge.base_url={server.url} --set judge.concurrency=1"


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Rarl:
    """run(words, ...) -> (exit code, standard output, error stream) of that command line."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rarl", *" ".join(words).split()])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    return run


def rows(folder: str) -> list[dict]:
    return list(read_rows(Path(folder) / "records.jsonl"))


def summary(folder: str) -> dict:
    return json.loads((Path(folder) / "summary.json").read_text())


def test_records_and_summary(run: Rarl, server: fake.JudgeServer, openai: str) -> None:
    server.script = [fake.says('{"score": 3, "reason": "same"}'), fake.says("no JSON")]
    server.act = fake.slowly(0.1, fake.says(fake.GOOD))
    judge = openai.replace("concurrency=1", "concurrency=2")
    assert run(EVAL, judge, "--set judge.max_unscored=0.5 --set eval.samples=2 --out e")[0] == 0
    assert server.most_at_once == 2
    assert {asked.headers["authorization"] for asked in server.asked} == {"Bearer sk-of-the-environment"}
    found = rows("e")
    assert len({row["id"] for row in found}) == 4
    for row in found:
        for name in ("id", "cluster", "question", "gold", "completion"):
            assert isinstance(row[name], str), name
        assert row["answer"] is None or isinstance(row["answer"], str)
        assert isinstance(row["grade"]["correct"], bool)
        assert 0 <= row["grade"]["score"] <= 1
        assert len(row["completions"]) == 2
        assert row["verdicts"].keys() == {"correctness", "explanation"}
        for axis, verdict in row["verdicts"].items():
            assert verdict["value"] is None or 0 <= verdict["value"] <= 1
            assert verdict["judge"] == "m"
            assert re.fullmatch(rf"{axis}-\d+ sha256:[0-9a-f]{{64}}", verdict["rubric"])
    told = summary("e")
    for metric in ("accuracy", "score", "reasoning", "judge_correctness", "judge_explanation"):
        assert told[metric].keys() == {"mean", "low", "high", "n", "clusters", "unscored"}
        assert told[metric]["n"] + told[metric]["unscored"] == 4
    unscored = [verdict["value"] is None for row in found for verdict in row["verdicts"].values()]
    assert sum(unscored) == 1
    assert told["judge_correctness"]["unscored"] + told["judge_explanation"]["unscored"] == 1


@pytest.mark.parametrize("control", ["none", "blank", "swapped", "question_only"])
def test_controls_and_comparison(run: Rarl, control: str) -> None:
    assert run(EVAL, "--set judge.kind=rules --out own")[0] == 0
    assert run(EVAL, f"--set eval.control={control} --out other")[0] == 0
    assert (rows("own") == rows("other")) is (control == "none")
    assert {row["verdicts"]["correctness"]["judge"] for row in rows("own")} == {"rules (not a language model)"}
    assert run("compare own other")[0] == 0
    code, out, _ = run("compare own other --format csv")
    assert (code, len({len(row) for row in csv.reader(io.StringIO(out))})) == (0, 1)
    assert "\n| run |" in run("compare own other --format md")[1]
    assert r"\begin{tabular}" in run("compare own other --format latex")[1]


def test_a_local_judge(run: Rarl, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded model can't judge: what it says is unscored, which no setting but max_unscored lets pass."""
    local = "--set judge.kind=local --set judge.model=tiny --set judge.max_tokens=8 --set judge.concurrency=8"
    code, out, err = run(EVAL, local, "--out e")
    assert (code, "accuracy" in out) == (2, True)
    assert "the correctness of 4 of 4 answers (4 " in err
    assert {verdict["value"] for row in rows("e") for verdict in row["verdicts"].values()} == {None}
    assert run(EVAL, local, "--set judge.max_unscored=1 --out e")[0] == 0
    assert summary("e")["judge"]["completion_tokens"] > 0


def test_without_out_a_new_folder_is_made_and_named(run: Rarl) -> None:
    assert run(EVAL)[1].startswith("Records: runs/eval-phantom-test-1/records.jsonl\n")
    assert run(EVAL)[1].startswith("Records: runs/eval-phantom-test-2/records.jsonl\n")


def test_killed_while_it_is_judged_another_process_goes_on(run: Rarl, server: fake.JudgeServer, openai: str) -> None:
    server.act = fake.slowly(0.3, fake.says(fake.GOOD))
    words = f"{EVAL} {openai} --set judge.cache=off --out"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    first = subprocess.Popen(
        [sys.executable, "-c", "import rarl.cli; rarl.cli.main()", *words.split(), "e"], env=environment
    )
    while len(server.asked) < 3 and first.poll() is None:
        server.closing.wait(0.02)
    code, _, err = run(words, "e")  # at the same time
    assert (code, err) == (
        2,
        "rarl: error: e is being written by another process; wait for it, or choose another folder\n",
    )
    first.kill()
    assert first.wait() == -signal.SIGKILL
    assert len(server.asked) < 8
    server.act = fake.says(fake.GOOD)
    assert run(words, "e")[0] == 0
    assert run(words, "whole")[0] == 0
    for name in ("records.jsonl", "settings.json", "judge.json"):
        assert Path("e", name).read_bytes() == Path("whole", name).read_bytes()
    assert not Path("e/verdicts.jsonl").exists()


def test_a_limit_draws_the_same_questions_for_every_model_and_seed(run: Rarl) -> None:
    """Of a set in some order: its questions are in blocks, as in published files, and no loader shuffles them."""
    Path("ward.py").write_text(
        "from dataclasses import replace\n"
        "from rarl.data.phantom import load\n"
        "def ward(split):\n"
        "    for number, each in enumerate(sorted(load(split, limit=60), key=lambda each: each.task)):\n"
        "        yield replace(each, id=f'q{number:02}', cluster=f'c{number // 3}')\n"
    )
    words = EVAL.replace("--data phantom", "--data ward.py:ward").replace("limit=4", "limit=12")
    short = "--set rollout.max_new_tokens=4"
    code, out, _ = run(words, short, "--out a")
    assert (code, "12 of 60 questions, drawn by their ids" in out) == (0, True)
    ids = [row["id"] for row in rows("a")]
    assert ids == sorted(ids)  # in the set's own order
    assert len({row["task"] for row in rows("a")}) >= 5  # the first 12 have one or two
    assert run(words, short, "--set run.seed=7 --set eval.shape=direct --out b")[0] == 0
    assert [row["id"] for row in rows("b")] == ids
    assert run(words.replace("limit=12", "limit=20"), short, "--out c")[0] == 0
    assert set(ids) < {row["id"] for row in rows("c")}
    code, out, _ = run(words.replace("limit=12", "limit=60"), short, "--out d")
    assert (len(rows("d")), "drawn" in out, "drawn_from" in summary("d")["settings"]) == (60, False, False)


def test_predict_without_an_answer_fails(run: Rarl, monkeypatch: pytest.MonkeyPatch) -> None:
    def mumble(self: NativeEngine, prompts, n, sampling, draws):
        return [[Rollout(prompt, (1,), (0.0,), "Well,\nit goes on", Finish.LENGTH, 0)] for prompt in prompts]

    rarl.load_dataset("phantom", split="test", limit=1)[0].images[0].read().save("image.png")
    words = "predict image.png --base tiny --question Which?"
    assert run(words)[0] == 0
    monkeypatch.setattr(NativeEngine, "generate", mumble)
    assert run(words) == (1, "", "rarl: error: no answer in 'Well,\\nit goes on'\n")


LABELS = "id,axis,question,gold,answer,reasoning,human\n" + "".join(
    f"{n},correctness,Is it {n}?,yes,yes,,{n % 4}\n" for n in range(8)
)


def test_judge_check(run: Rarl, server: fake.JudgeServer, openai: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("labels.csv").write_text(LABELS)
    code, out, _ = run("judge-check labels.csv", openai)
    assert (code, "quadratic kappa" in out, "human \\ judge" in out) == (0, True, True)
    server.act = fake.says("hm")
    code, out, err = run("judge-check labels.csv", openai, "--set judge.cache=off")
    assert (code, "quadratic kappa" in out) == (2, False)
    assert "the judge left unscored the correctness of 8 of 8 answers (8 unreadable)" in err
    server.shutdown()
    server.server_close()
    monkeypatch.setattr(Policy, "load", lambda *arguments: pytest.fail("loaded"))
    code, out, err = run("judge-check labels.csv", openai)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "can't be asked: ConnectError" in err
