import json
from pathlib import Path

import pytest
import torch

from rarl.benchmarking import PHASES, bench_step, random_policy
from rarl.cli import app
from rarl.errors import ConfigError


@pytest.fixture(autouse=True)
def quick_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rarl.roofline.MEASURE_SECONDS", 0.03)
    monkeypatch.setattr("rarl.roofline.COPY_BYTES", 1 << 24)


def test_a_step_beside_the_plain_path_and_the_least_possible() -> None:
    backward = torch.Tensor.backward
    found = bench_step("tiny", "float32", "cpu", vision_tokens=16, group_size=2, new_tokens=3, groups=2)
    shared, plain = found["rarl"], found["plain"]
    prompts = found["rarl"]["tokens"] / 3 - 2 * 2 * (3 - 1)  # prefill and decode, reference, training: each P + fed
    assert prompts == int(prompts)
    assert plain["tokens"] == 2 * (3 * prompts) + 4 * (3 * 3 - 1)  # 2 completions a prompt, three passes
    assert (shared["image_encodes"], plain["image_encodes"]) == (2, 12)
    for side in (shared, plain):
        assert set(side["seconds"]) == {*PHASES, "step"}
        assert side["seconds"]["step"] == pytest.approx(sum(side["seconds"][phase] for phase in PHASES), abs=1e-3)
    assert 0 < found["floor"]["seconds"]["step"] < shared["seconds"]["step"] < plain["seconds"]["step"]
    assert torch.Tensor.backward is backward


def test_the_command_writes_what_it_prints_and_writes_over_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rarl.benchmarking.LARGE", 0)  # so that the plain path is left out
    file = tmp_path / "step.json"
    app(["bench", "step", "--device", "cpu", "--out", str(file)], standalone_mode=False)
    found = json.loads(file.read_text())
    printed = capsys.readouterr().out
    assert "plain" not in found
    assert "plain path" not in printed
    assert "tiny, 256 vision tokens, 1 x 4 completions of 16 tokens, float32 on cpu" in printed
    assert f"{found['rarl']['tokens']:,}" in printed
    with pytest.raises(Exception, match="exists; nothing is written over"):
        app(["bench", "step", "--out", str(file)], standalone_mode=False)


def test_an_unknown_shape_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"unknown shape 'midi'; did you mean 'mid'\? Known: mid, qwen2-vl-2b, tiny"):
        random_policy("midi", "float32", "cpu")
