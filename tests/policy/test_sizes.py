import dataclasses

import pytest
import torch

import small_model
from rarl.config import Lora
from rarl.errors import ModelError
from rarl.policy import Policy
from rarl.policy.sizes import Tower, sizes_of

CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl"])
@pytest.mark.parametrize("targets", [Lora().targets, ("q_proj", "v_proj"), ("gate_proj", "down_proj")])
def test_they_are_those_of_the_model_with_its_adapter(kind: str, targets: tuple[str, ...]) -> None:
    network, lora = small_model.network(kind=kind), Lora(r=4, targets=targets)
    weights = sum(parameter.numel() for parameter in network.parameters())
    policy = Policy(network, small_model.processor(), lora)
    sizes = sizes_of(network.config, lora, torch.float32, CPU)
    assert sizes.weights == weights
    assert sizes.trained == sum(parameter.numel() for parameter in policy.trainable())
    products = [
        product
        for layer in policy.language.layers
        for product in (layer.query_key_value, layer.output, layer.gate_up, layer.down)
    ]
    adapted = [product for product in products if product.adapters]
    assert sizes.joint == sum(product._A_RI.numel() + product._B_OR.numel() for product in adapted)
    assert sizes.low == tuple(4 * len(product.adapters) for product in products[:4])
    assert sizes.outputs == tuple(len(product.weight()) for product in products[:4])


@pytest.mark.parametrize(("kind", "inner"), [("qwen2_vl", 64), ("qwen2_5_vl", 48)])
def test_widths_are_the_configurations(kind: str, inner: int) -> None:
    sizes = sizes_of(small_model.network(kind=kind).config, None, torch.bfloat16, torch.device("cuda"))
    assert (sizes.vocabulary, sizes.hidden, sizes.intermediate, sizes.layers) == (320, 64, 96, 3)
    assert (sizes.heads, sizes.key_heads, sizes.head, sizes.query, sizes.key) == (4, 2, 16, 64, 32)
    assert sizes.tower == Tower(hidden=32, intermediate=inner, patch=3 * 2 * 14 * 14, patches=4)
    assert (sizes.trained, sizes.joint, sizes.low) == (0, 0, (0, 0, 0, 0))
    assert (sizes.element, sizes.cuda, sizes.widened) == (2, True, False)


def test_four_bits_are_half_a_byte_and_their_scales() -> None:
    config = small_model.network().config
    whole = sizes_of(config, None, torch.bfloat16, CPU)
    sizes = sizes_of(config, None, torch.bfloat16, CPU, quantised=True)
    linears = 3 * (64 * (64 + 2 * 32) + 64 * 64 + 3 * 64 * 96)
    assert sizes.quantised == linears
    assert whole.weight_bytes - sizes.weight_bytes == pytest.approx(linears * (2 - 0.516), rel=1e-3)
    assert dataclasses.replace(sizes, quantised=0) == whole


def test_targets_that_the_model_lacks_are_refused() -> None:
    with pytest.raises(ModelError, match="wrong_proj"):
        sizes_of(small_model.network().config, Lora(targets=("wrong_proj",)), torch.float32, CPU)
