"""From a configuration to its judge, in training and evaluation, with a real server."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import judge_server as fake
import rarl
from rarl import assembly
from rarl.config import RunConfig
from rarl.errors import JudgeError
from rarl.judging import evaluation_judge, rewarding, trained_with
from rarl.policy import Policy

SHORT = (
    "model.base=tiny",
    "model.device=cpu",
    "data.limit=2",
    "rollout.group_size=2",
    "rollout.prompts_per_step=2",
    "rollout.max_new_tokens=8",
    "train.steps=1",
    "eval.limit=2",
    "eval.baselines=false",
    "reward.probe=off",
)


@pytest.fixture
def server() -> Iterator[fake.JudgeServer]:
    with fake.running() as running:
        yield running


@pytest.fixture
def config(server: fake.JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RunConfig]:
    """config(*overrides) -> a short run on examples without facts, with the server as its judge."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (tmp_path / "plain.py").write_text(
        "from dataclasses import replace\n"
        "from rarl.data.phantom import load\n"
        "def plain(split, limit=None):\n"
        "    return [replace(each, facts=(), rationale=None) for each in load(split, limit=limit)]\n"
    )
    judge = ("judge.kind=openai", "judge.model=org/M", f"judge.base_url={server.url}", "judge.cache=off")
    data = f'data.name="{tmp_path / "plain.py"}:plain"'
    return lambda *overrides: RunConfig().override([*SHORT, *judge, data, *overrides])


def test_the_rules_are_no_judge_of_rewards(config) -> None:
    rules = RunConfig()
    assert rewarding(rules, evaluation_judge(rules)) is None
    assert rewarding(config(), judge := evaluation_judge(config())) is judge


@pytest.mark.parametrize("wrong", ["key", "address"])
def test_a_judge_that_cannot_be_asked_ends_a_training_before_the_model_is_loaded(
    config, server: fake.JudgeServer, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Policy, "load", lambda *arguments: pytest.fail("loaded"))
    if wrong == "key":
        server.look = fake.fails(401, "Incorrect API key")
    else:
        server.shutdown()
        server.server_close()
    with pytest.raises(JudgeError, match=r"can't be asked: .*; check ") as caught:
        rarl.train(config(), out=tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
    assert server.asked == []


@pytest.mark.parametrize(
    ("overrides", "asked"),
    [
        ((), True),
        (("reward.weights.grounding=0",), False),
        (("run.method=sft",), False),
        (("reward.extra=['gone.py:tone']",), True),  # it may have asked
    ],
)
def test_which_judge_a_training_was_rewarded_by(config, overrides: tuple[str, ...], asked: bool) -> None:
    given = config(*overrides)
    assert trained_with(given) == (given.judge if asked else None)


def test_a_run_has_one_judge_and_warns_of_it_afterwards(config, server: fake.JudgeServer, tmp_path: Path) -> None:
    """With one budget: two queries before training, one while training, none after."""
    settings = config("judge.max_requests=3", "judge.max_unscored=1", "rollout.max_new_tokens=96", "eval.shape=direct")
    run = rarl.train(settings, out=tmp_path / "run")
    before, after = (
        json.loads((run.folder / "eval" / stage / "plain.py-plain-test/summary.json").read_text())["judge"]
        for stage in ("before", "")
    )
    assert (before["requests"], before["unscored"], before["warning"]) == (2, {}, None)  # the base was not trained
    assert (after["requests"], after["unscored"]) == (0, {"budget": 2})
    assert after["warning"].startswith("The judge of this evaluation, M, is also the judge of training")
    assert ["Reasoning" in asked.user for asked in server.asked] == [False, False, True]

    judge = [
        f"judge.{key}={json.dumps(getattr(settings.judge, key))}" for key in ("kind", "model", "base_url", "cache")
    ]
    named = {"data": settings.data.name, "split": "test", "overrides": [*SHORT, *judge]}
    again = rarl.evaluate("tiny", adapter=str(run.folder / "adapter"), out=tmp_path / "eval", **named)
    assert again.judge["warning"] == after["warning"]
    assert rarl.evaluate("tiny", out=tmp_path / "base", **named).judge["warning"] is None


def test_a_run_whose_judge_fails_says_how_to_go_on_and_does(config, server: fake.JudgeServer, tmp_path: Path) -> None:
    server.act = fake.fails(500)
    with pytest.raises(JudgeError, match=rf"correctness of 2 of 2 .* go on with rarl train --resume {tmp_path}/run$"):
        rarl.train(config("judge.retries=0", "rollout.max_new_tokens=64", "eval.shape=direct"), out=tmp_path / "run")
    server.act = fake.says(fake.GOOD)
    run = assembly.resume(tmp_path / "run")
    assert [result.after.summary.metrics["judge_correctness"].unscored for result in run.results] == [0]
