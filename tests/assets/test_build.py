"""The build command makes a checkpoint that loads, the same one each time."""

import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoTokenizer


@pytest.mark.slow
def test_the_build_command_is_reproducible(tmp_path):
    for name in ("a", "b"):
        command = [sys.executable, "-m", "rarl.assets.build", "--seed", "3", "--out", str(tmp_path / name)]
        subprocess.run([*command, "--effort", "0.01"], check=True)
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b"))
    assert first == second
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "a")
    assert model.dtype == torch.float16
    assert len(AutoTokenizer.from_pretrained(tmp_path / "a")) == model.config.text_config.vocab_size
