import os

import pytest
import torch
from transformers.utils import logging as transformers_logging

from rarl.config import Model
from rarl.policy.loading import load_base, resolve_base, threads_for


def test_the_embedded_checkpoint_computes_on_one_thread_and_gives_the_others_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threads_for("tiny"):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with threads_for("Qwen/Qwen2-VL-2B-Instruct"):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("bytes_of_a_moment", [0, 100_000_000])
def test_a_bar_is_shown_only_for_weights_that_take_a_while(
    bytes_of_a_moment: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rarl.policy.loading.MOMENT_BYTES", bytes_of_a_moment)
    transformers_logging.enable_progress_bar()
    load_base(Model(base=resolve_base("tiny"), device="cpu"))
    assert ("Loading weights" in capfd.readouterr().err) is (bytes_of_a_moment == 0)


def test_the_deterministic_mode_is_the_runs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    load_base(Model(base="tiny", deterministic=True))
    assert torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    load_base(Model(base="tiny"))
    assert not torch.are_deterministic_algorithms_enabled()
