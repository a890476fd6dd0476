"""rarl plan against the truth: every tensor that a step allocates, as torch's profiler saw it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

import small_model
from rarl.benchmarking import random_policy
from rarl.config import Lora, RunConfig
from rarl.policy import Policy
from rarl.policy.footprint import tensor_bytes

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
WITHIN = 0.1
SMALL = {
    **small_model.TEXT,
    "vocab_size": 1024,
    "hidden_size": 96,
    "intermediate_size": 480,
    "num_attention_heads": 6,
    "num_hidden_layers": 5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
}


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def tiny() -> Policy:
    return random_policy("tiny", "float32", "cpu")


def small() -> Policy:
    ids = small_model.processor().tokenizer.convert_tokens_to_ids
    config = Qwen2VLConfig(
        text_config={**SMALL, "eos_token_id": ids("<|im_end|>"), "pad_token_id": ids("<|endoftext|>")},
        vision_config={**small_model.VISION, "embed_dim": 64, "hidden_size": 96, "mlp_ratio": 4},
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    network = Qwen2VLForConditionalGeneration(config)
    network.generation_config.eos_token_id = ids("<|im_end|>")
    return Policy(network.requires_grad_(False).eval(), small_model.processor(), Lora())


@pytest.mark.parametrize(
    ("make", "groups", "settings", "checkpointing"),
    [
        (tiny, 1, ["rollout.group_size=4", "rollout.max_new_tokens=8"], False),
        (small, 2, ["rollout.group_size=3", "rollout.max_new_tokens=6", "train.resample=1"], True),
        (small, 2, ["rollout.group_size=8", "rollout.max_new_tokens=4", "train.tokens_per_batch=300"], False),
    ],
    ids=["tiny, recorded", "small, two groups, checkpointing", "small, cut into micro-batches"],
)
def test_what_is_planned_is_what_is_held(make, groups, settings, checkpointing):
    from memory import measured, planned
    from versus.case import prompt

    made: list[Policy] = []

    def build() -> Policy:
        made.append(make())
        made[0].end_ids, made[0].language.checkpointing = (), checkpointing
        return made[0]

    config, prompts = RunConfig().override(settings), [prompt(number, 6, 8) for number in range(groups)]
    peaks = measured(build, config, prompts, torch.device("cpu")).bytes
    _, phases = planned(made[0], config, prompts)
    assert phases.keys() == {"vision", "sampling", "reference", "training", "update"}
    for phase, parts in phases.items():
        assert sum(parts.values()) == pytest.approx(peaks[phase], rel=WITHIN), phase
    assert tensor_bytes(phases) == pytest.approx(max(peaks[phase] for phase in phases), rel=WITHIN)


def test_what_is_planned_for_the_process_is_near_its_resident_set(tmp_path):
    """Beside torch and transformers the tensors of the tiny model are small: this holds what the process takes."""
    from versus.case import Case

    from rarl.policy.footprint import PROCESS_BYTES

    out = tmp_path / "side.json"
    case = Case(9, 2, 3, model="tiny")
    command = [sys.executable, BENCHMARKS / "memory.py", "--side", "resident", "--case", case.to_json(), "--out", out]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(out.read_text())["resident_bytes"] == pytest.approx(PROCESS_BYTES["cpu"], rel=0.3)


def test_a_row_for_the_eye():
    from memory import line

    row = {
        "shape": "256,8,64",
        "groups": 2,
        "checkpointing": False,
        "phases": {"vision": {"planned": 110, "measured": 100}, "training": {"planned": 198, "measured": 200}},
        "tensor_bytes": {"planned": 198_000_000, "measured": 200_000_000},
        "needed_bytes": 600_000_000,
        "resident_bytes": 640_000_000,
    }
    words = "256,8,64 x 2: 198.0 MB planned, 200.0 MB measured (vision +10.0%, training -1.0%)"
    assert line(row) == f"{words}; 640 MB resident, 600 MB planned"
