"""Whole runs on a device that gets too small for one of their steps: cut from there on, and the same when killed."""

from pathlib import Path
from typing import Any

import pytest
import torch

import rarl
from rarl import assembly
from rarl.config import RunConfig
from rarl.errors import MemoryShortError
from rarl.files import read_rows
from rarl.policy import Policy
from rarl.runlog import RunFolder
from rarl.types import StepMetrics

SETTINGS = [
    "model.base=tiny",
    "model.device=cpu",
    "data.limit=20",
    "rollout.group_size=4",
    "rollout.prompts_per_step=2",
    "rollout.max_new_tokens=12",
    "train.steps=7",
    "train.lr=2e-3",
    "eval.enabled=false",
    "checkpoint.every_steps=3",
    "reward.probe=off",
]
FILES = ("metrics.jsonl", "rollouts.jsonl", "adapter/adapter_model.safetensors", "checkpoints/step-000007/state.json")
CUT = "memory/tokens_per_batch"


def train(folder: Path) -> Path:
    return rarl.train(RunConfig().override(SETTINGS), out=folder).folder


def contents(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in FILES]


def rows(folder: Path) -> list[dict[str, Any]]:
    return list(read_rows(folder / "metrics.jsonl"))


def shrink(most: int, patch: pytest.MonkeyPatch, only: str = "") -> None:
    """A device that holds no pass with gradients over more completions than that, if `only` is among the examples."""
    logprobs = Policy.logprobs

    def short(self: Policy, batch: Any, *arguments: Any, **options: Any) -> Any:
        concerned = not only or only in [prompt.example.id for prompt in batch.prompts]
        if torch.is_grad_enabled() and concerned and len(batch.lengths) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return logprobs(self, batch, *arguments, **options)

    patch.setattr(Policy, "logprobs", short)


def test_a_run_goes_on_in_smaller_parts_and_a_killed_one_likewise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enough = rows(train(tmp_path / "enough"))
    logged, first = list(read_rows(tmp_path / "enough" / "rollouts.jsonl")), 4  # counted from 0
    seen = {row["id"] for row in logged if row["step"] <= first}
    shrink(4, monkeypatch, only=next(row["id"] for row in logged if row["step"] == first + 1 and row["id"] not in seen))
    whole = train(tmp_path / "whole")
    cut = rows(whole)
    assert [CUT in row for row in cut] == [step >= first for step in range(7)]
    assert cut[:first] == enough[:first]
    for name in ("loss", "kl", "entropy", "grad_norm", "completion/tokens"):
        assert cut[first][name] == pytest.approx(enough[first][name], rel=1e-2, abs=1e-5), name
    assert len(list(read_rows(whole / "rollouts.jsonl"))) == 7 * 2 * 4

    append, killed, folder = RunFolder.append_metrics, set[int](), tmp_path / "run"

    def interrupt(self: RunFolder, metrics: StepMetrics) -> None:
        append(self, metrics)
        if metrics.step not in killed:
            killed.add(metrics.step)
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append_metrics", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(folder)
        while len(killed) < 7:
            with pytest.raises(KeyboardInterrupt):
                assembly.resume(folder)
    assembly.resume(folder)
    assert contents(folder) == contents(whole)


def test_where_nothing_fits_the_message_has_the_plans_advice_and_the_run_can_go_on_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        shrink(0, patch)
        with pytest.raises(MemoryShortError, match="step 1: memory ran out in training") as raised:
            train(tmp_path / "run")
    assert "by rarl plan the run needs" in str(raised.value)
    assert "model.gradient_checkpointing=true" in str(raised.value)
    assert raised.value.exit_code == 2
    assembly.resume(tmp_path / "run")
    assert not any(CUT in row for row in rows(tmp_path / "run"))
    assert contents(tmp_path / "run") == contents(train(tmp_path / "whole"))
