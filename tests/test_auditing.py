"""What is looked at before a run starts."""

import json
import logging
from pathlib import Path

import pytest

import rarl
from rarl import assembly
from rarl.auditing import probe_at_start
from rarl.config import RunConfig
from rarl.data.phantom import load
from rarl.errors import RarlError, RewardError
from rarl.judging import judge_of
from rarl.prompting import load_pool

SHORT = ["model.base=tiny", "model.device=cpu", "data.limit=4", "rollout.group_size=2", "rollout.prompts_per_step=1"]
SHORT += ["rollout.max_new_tokens=4", "train.steps=1", "eval.enabled=false"]
LENGTH = "def bonus(completion_ids, **_):\n    return [min(1.0, len(ids) / 80) for ids in completion_ids]\n"


@pytest.fixture
def bonus(tmp_path: Path) -> list[str]:
    (tmp_path / "my.py").write_text(LENGTH)
    return [f'reward.extra=["{tmp_path / "my.py"}:bonus"]', "reward.weights.bonus=3.0"]


def config(*overrides: str) -> RunConfig:
    return RunConfig().override([*SHORT, *overrides])


def test_a_run_writes_down_what_its_rewards_would_pay_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        run = rarl.train(config(), out=tmp_path / "run")
    record = json.loads((run.folder / "probe.json").read_text())
    assert record["pays"] is False
    assert record["examples"] == 4
    assert "ways of gaming" not in caplog.text


def test_a_probe_leaves_a_run_as_it_is(tmp_path: Path) -> None:
    with_it, without = (
        rarl.train(config(f"reward.probe={when}"), out=tmp_path / when).folder for when in ("warn", "off")
    )
    for name in ("metrics.jsonl", "rollouts.jsonl", "adapter/adapter_model.safetensors"):
        assert (with_it / name).read_bytes() == (without / name).read_bytes()
    assert not (without / "probe.json").exists()
    assert config("reward.probe=warn").digest() == config("reward.probe=off").digest()


def test_a_length_bonus_is_told_and_named(bonus: list[str], caplog: pytest.LogCaptureFixture) -> None:
    examples, pool = list(load("train", limit=4)), load_pool("default")
    with caplog.at_level(logging.WARNING):
        probed = probe_at_start(examples, config(*bonus), pool)
    assert probed is not None
    assert "long padding" in {outcome.name for outcome in probed.paying}
    (record,) = caplog.records
    assert "known ways of gaming would pay" in record.getMessage()
    assert "by bonus" in record.getMessage()


def test_it_stops_a_run_before_its_folder_is_made(bonus: list[str], tmp_path: Path) -> None:
    with pytest.raises(RewardError, match=r"would pay, .* the most, by bonus.*reward\.probe"):
        rarl.train(config(*bonus, "reward.probe=stop"), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_verbs_functions(bonus: list[str], tmp_path: Path) -> None:
    assert assembly.probe(config()).paying == ()
    assert "long padding" in {outcome.name for outcome in assembly.probe(config(*bonus)).paying}
    row = {"question": "Is it?", "gold": "yes", "completion": "<think> It is small. </think> <answer> yes </answer>"}
    (tmp_path / "in.jsonl").write_text(json.dumps(row) + "\n")
    assert assembly.score(tmp_path / "in.jsonl", tmp_path / "out.jsonl").rows == 1
    assert json.loads((tmp_path / "out.jsonl").read_text())["parts"]["accuracy"] == 1.0


def test_a_reward_that_raises_stops_a_run_where_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text("def bad(completions, **_):\n    raise ValueError('no')\n")
    settings = [f'reward.extra=["{tmp_path / "my.py"}:bad"]', "reward.on_error=stop", "reward.probe=off"]
    with pytest.raises(RewardError, match=r"'bad' failed on example '.*': ValueError: no"):
        rarl.train(config(*settings), out=tmp_path / "run")


def test_parts_may_be_normalised_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(LENGTH.replace("80", "8"))
    settings = [f'reward.extra=["{tmp_path / "my.py"}:bonus"]', "reward.probe=off", "rollout.group_size=6"]
    hows = ("reward.normalise=total", "reward.normalise=parts")
    folders = [rarl.train(config(*settings, how), out=tmp_path / how).folder for how in hows]
    total, parts = ([json.loads(line) for line in (folder / "rollouts.jsonl").open()] for folder in folders)
    assert [row["total"] for row in total] == [row["total"] for row in parts]
    assert sum(row["advantage"] for row in parts) == pytest.approx(0.0, abs=1e-9)


def test_judges(tmp_path: Path) -> None:
    assert judge_of(RunConfig()) is None
    with pytest.raises(RarlError, match="unknown judge"):
        judge_of(RunConfig().override(["judge.kind=nobody"]))
