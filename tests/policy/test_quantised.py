"""QLoRA: adapters on a base whose linears are kept in 4 bits."""

import sys
from pathlib import Path

import pytest
import torch

import small_model
from rarl.config import Lora, Model
from rarl.errors import MissingExtraError, ModelError
from rarl.policy import Policy
from rarl.policy.loading import load_base, resolve_base
from rarl.policy.plain import plain_logprobs
from rarl.policy.quantised import dequantised, is_quantised


@pytest.fixture(scope="module")
def policy() -> Policy:
    """The embedded checkpoint in 4 bits, a random adapter on it."""
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    quantised = Policy.load(Model(base="tiny", device="cpu", quantization="4bit"), Lora(r=4))
    generator = torch.Generator().manual_seed(1)
    for parameter in quantised.trainable():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    return quantised


def test_the_linears_of_the_language_model_are_in_4_bits_and_nothing_else(policy: Policy) -> None:
    small = {name for name, parameter in policy.base.named_parameters() if is_quantised(parameter)}
    assert len(small) == 7 * len(policy.language.layers)
    assert all(".language_model.layers." in name for name in small)
    assert policy.head_VH.dtype is torch.float32


def test_a_weight_made_wide_is_near_the_one_it_was(policy: Policy) -> None:
    whole = load_base(Model(base="tiny", device="cpu")).model.language_model.layers[0].mlp.up_proj.weight
    narrow = policy.base.model.language_model.layers[0].mlp.up_proj.base_layer.weight
    error = (dequantised(narrow) - whole).norm() / whole.norm()
    assert 0.01 < error < 0.2


def test_the_packed_pass_and_its_gradients_are_those_of_the_plain_one(policy: Policy) -> None:
    batch = small_model.batch()
    found = []
    for compute in (plain_logprobs, lambda *arguments: policy.logprobs(*arguments[1:]).logprobs):
        for parameter in policy.trainable():
            parameter.grad = None
        logprobs_BT = compute(policy, batch, 0.9)
        (logprobs_BT * batch.mask_BT).sum().backward()
        found.append((logprobs_BT.detach(), [parameter.grad.clone() for parameter in policy.trainable()]))
    (plain_BT, plain), (shared_BT, shared) = found
    torch.testing.assert_close(shared_BT, plain_BT, atol=1e-4, rtol=0)
    for a, b in zip(shared, plain, strict=True):
        assert (a - b).norm() <= 1e-4 * b.norm()


def test_without_bitsandbytes_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(MissingExtraError, match=r"quantization.*needs bitsandbytes.*pip install bitsandbytes"):
        load_base(Model(base="tiny", device="cpu", quantization="4bit"))


def test_an_adapter_is_not_merged_into_4_bits(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="rarl export --merge"):
        load_base(Model(base=resolve_base("tiny"), device="cpu", quantization="4bit", adapter=str(tmp_path)))
