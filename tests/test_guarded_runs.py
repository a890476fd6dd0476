"""Whole runs on the embedded model whose guards fire, since the KL may be no larger than what some steps bring."""

import json
import logging
import re
from pathlib import Path

import pytest

import rarl
from rarl import assembly
from rarl.config import RunConfig
from rarl.errors import GuardError, RunFolderError
from rarl.files import read_rows
from rarl.reporting import write_report
from rarl.runlog import RunFolder
from rarl.types import StepMetrics

SETTINGS = [
    "model.base=tiny",
    "model.device=cpu",
    "data.limit=6",
    "rollout.group_size=4",
    "rollout.prompts_per_step=2",
    "rollout.max_new_tokens=12",
    "train.steps=10",
    "train.lr=2e-3",
    "train.warmup_steps=0",
    "eval.enabled=false",
    "checkpoint.every_steps=2",
    "checkpoint.keep=1",
    "reward.probe=off",
    "guards.kl.limit=1e-2",
]
FILES = ("metrics.jsonl", "rollouts.jsonl", "guards.jsonl", "adapter/adapter_model.safetensors")


def config(*overrides: str) -> RunConfig:
    return RunConfig().override([*SETTINGS, *overrides])


def contents(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in FILES]


def firings(folder: Path) -> list[tuple[int, str, str]]:
    return [(row["step"], row["guard"], row["action"]) for row in RunFolder.open(folder).firings()]


@pytest.fixture(scope="module")
def rolled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "rolled"
    return rarl.train(config("guards.kl.action=roll-back", "guards.roll_backs=9"), out=folder).folder


def test_a_run_that_goes_back_leaves_every_row_and_names_what_happened(rolled: Path) -> None:
    fired = firings(rolled)
    assert len(fired) > 1
    assert {(guard, action) for _, guard, action in fired} == {("kl", "roll-back")}
    rows = list(read_rows(rolled / "metrics.jsonl"))
    assert [row["step"] for row in rows] == list(range(1, 11))
    assert len(list(read_rows(rolled / "rollouts.jsonl"))) == 10 * 2 * 4
    limit = 1e-2
    assert [row["step"] for row in rows if row["kl"] > limit] == [step for step, *_ in fired]
    assert all(json.dumps(row, allow_nan=False) for row in rows)
    first, to = fired[0][0], RunFolder.open(rolled).firings()[0]["to"]
    assert to == max(step for step in (0, 2, 4, 6, 8, 10) if step < first - 1)
    assert f"kl {len(fired)} (roll-back)" in (rolled / "report.html").read_text()


@pytest.mark.parametrize("chances", [1, 2])
def test_stopped_and_given_more_chances_it_ends_with_the_same_bytes(rolled: Path, tmp_path: Path, chances: int) -> None:
    folder = tmp_path / "run"
    with pytest.raises(GuardError, match=f"after {chances} roll-backs"):
        rarl.train(config("guards.kl.action=roll-back", f"guards.roll_backs={chances}"), out=folder)
    assert [action for *_, action in firings(folder)] == ["roll-back"] * chances + ["stop"]
    assembly.resume(folder, ["guards.roll_backs=9"])
    assert contents(folder) == contents(rolled)


def test_killed_after_any_step_it_ends_with_the_same_bytes(
    rolled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One kill after the other, before the step's checkpoint: also that of a roll-back."""
    folder, append, killed = tmp_path / "run", RunFolder.append_metrics, set[int]()

    def interrupt(self: RunFolder, metrics: StepMetrics) -> None:
        append(self, metrics)
        if metrics.step not in killed:
            killed.add(metrics.step)
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append_metrics", interrupt)
        with pytest.raises(KeyboardInterrupt):
            rarl.train(config("guards.kl.action=roll-back", "guards.roll_backs=9"), out=folder)
        while len(killed) < 10:
            with pytest.raises(KeyboardInterrupt):
                assembly.resume(folder)
    assembly.resume(folder)
    assert contents(folder) == contents(rolled)


def test_stopped_by_a_limit_it_goes_on_under_another_as_if_nothing_had_been(tmp_path: Path) -> None:
    whole = rarl.train(config("guards.kl.limit=1e3"), out=tmp_path / "whole").folder
    with pytest.raises(GuardError, match=r"raise guards\.kl\.limit") as raised:
        rarl.train(config(), out=tmp_path / "run")
    [(step, guard, action)] = firings(tmp_path / "run")
    assert (guard, action) == ("kl", "stop")
    assert f"go on from step {step - 1} with" in str(raised.value)
    assert RunFolder.open(tmp_path / "run").checkpoints.all()[-1].step == step - 1
    assembly.resume(tmp_path / "run", ["guards.kl.limit=1e3"])
    kept = [name for name in FILES if name != "guards.jsonl"]
    assert [(tmp_path / "run" / name).read_bytes() for name in kept] == [(whole / name).read_bytes() for name in kept]
    assert not firings(tmp_path / "run")
    assert not (whole / "guards.jsonl").exists()
    assert "Guards fired" not in (whole / "report.html").read_text()


def test_a_damaged_row_of_a_firing_is_an_error_that_names_it(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", config())
    (folder.path / "guards.jsonl").write_text('{"step": 1, "guard": "kl", "action": "stop"}\n{"step": 2, "guard": 3}\n')
    with pytest.raises(RunFolderError, match=r"guards\.jsonl, line 2, names no guard"):
        folder.firings()


def test_a_report_of_a_run_that_was_stopped_names_the_guard(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "rarl"), pytest.raises(GuardError):
        rarl.train(config("guards.kl.action=skip", "guards.skips=1"), out=tmp_path / "run")
    fired = firings(tmp_path / "run")
    *skipped, last = [action for *_, action in fired]
    assert set(skipped) == {"skip"}
    assert last == "stop"
    assert f"kl {len(fired)} (skip, stop)" in write_report(tmp_path / "run").read_text()
    assert re.search(r"step \d+: the mean KL to the reference is \S+ 0\.01 is allowed; skipped", caplog.text)
