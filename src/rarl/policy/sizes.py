"""The sizes of a model that decide its memory, read from its configuration: no weights are loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from rarl.config import Lora
from rarl.policy.half import is_slow
from rarl.policy.loading import lora_target

FOUR_BIT = 1 / 2 + 1 / 64 + 4 / (64 * 256)  # bytes: nf4, a byte of scale for 64, and those scaled in turn
PROJECTIONS = (("q_proj", "k_proj", "v_proj"), ("o_proj",), ("gate_proj", "up_proj"), ("down_proj",))


@dataclass(frozen=True, slots=True)
class Tower:
    """The vision tower: the widths of its layers, and how an image comes in."""

    hidden: int
    intermediate: int
    patch: int  # numbers of one patch
    patches: int  # that become one token


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of a model with its adapter; in numbers, but for `element`, the bytes of one."""

    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_heads: int
    head: int
    tower: Tower
    weights: int  # of the base
    trained: int  # all A and B of the adapter
    joint: int  # all A and B once more, as they are computed with: in the computing dtype, B with zeros between
    low: tuple[int, int, int, int]  # columns of x A' of a layer's four products; 0 where there is no adapter
    element: int
    cuda: bool = False
    widened: bool = False  # products widen their weight to float32: half precision on a CPU that has no units for it
    quantised: int = 0  # of the weights, those in 4 bits; a product makes its own wide for the moment

    @property
    def weight_bytes(self) -> int:
        return round((self.weights - self.quantised) * self.element + self.quantised * FOUR_BIT)

    @property
    def query(self) -> int:
        return self.heads * self.head

    @property
    def key(self) -> int:
        return self.key_heads * self.head

    @property
    def outputs(self) -> tuple[int, int, int, int]:
        """Of a layer's four products: query, key and value; attention's output; gate and up; down."""
        return self.query + 2 * self.key, self.hidden, 2 * self.intermediate, self.hidden


def sizes_of(
    config: Any, lora: Lora | None, dtype: torch.dtype, device: torch.device, *, quantised: bool = False
) -> Sizes:
    """From transformers' configuration of a Qwen2-VL or Qwen2.5-VL. ModelError for targets that it doesn't have."""
    from transformers import AutoModelForImageTextToText

    with torch.device("meta"):  # shapes without numbers
        network: Any = AutoModelForImageTextToText.from_config(config)
    language, tower = network.model.language_model, network.model.visual
    layer, block = language.layers[0], tower.blocks[0]
    if lora:
        lora_target(network, lora)  # refuses what isn't there
    products = [_Product.of(layer, names, lora) for names in PROJECTIONS]
    layers, head = len(language.layers), int(layer.self_attn.head_dim)
    inner = block.mlp.fc1 if hasattr(block.mlp, "fc1") else block.mlp.gate_proj
    return Sizes(
        vocabulary=network.lm_head.out_features,
        hidden=language.embed_tokens.embedding_dim,
        intermediate=layer.mlp.down_proj.in_features,
        layers=layers,
        heads=layer.self_attn.q_proj.out_features // head,
        key_heads=layer.self_attn.k_proj.out_features // head,
        head=head,
        tower=Tower(
            hidden=inner.in_features,
            intermediate=inner.out_features,
            patch=tower.patch_embed.proj.weight[0].numel(),
            patches=int(tower.spatial_merge_size) ** 2,
        ),
        weights=sum(parameter.numel() for parameter in network.parameters()),
        trained=layers * sum(product.trained for product in products),
        joint=layers * sum(product.joint for product in products),
        low=(products[0].low, products[1].low, products[2].low, products[3].low),
        element=dtype.itemsize,
        cuda=device.type == "cuda",
        widened=is_slow(device.type, dtype),
        quantised=layers * sum(product.weights for product in products) if quantised else 0,
    )


@dataclass(frozen=True, slots=True)
class _Product:
    """Linears of a layer that are computed as one; in numbers."""

    weights: int
    trained: int
    joint: int
    low: int

    @classmethod
    def of(cls, layer: Any, names: tuple[str, ...], lora: Lora | None) -> _Product:
        linears = {name: getattr(layer.self_attn, name, None) or getattr(layer.mlp, name) for name in names}
        adapted = [linear for name, linear in linears.items() if lora and name in lora.targets]
        rank = lora.r if lora else 0
        inputs = linears[names[0]].in_features
        outputs = sum(linear.out_features for linear in linears.values())
        low = rank * len(adapted)
        trained = rank * sum(inputs + linear.out_features for linear in adapted)
        return cls(inputs * outputs, trained, low * (inputs + outputs), low)
