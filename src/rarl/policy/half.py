"""Half-precision weights on a CPU that has no units for them.

torch then multiplies bfloat16 five times slower than float32. Widening a weight for the moment of its product costs
little when many rows share it, and keeps the weights at half their size.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW_ROWS = 32  # below this the product is bound by reading the weight, and widening it only adds to that


def compute_in_float32(network: nn.Module) -> None:
    """Make every frozen half-precision linear of the network widen its weight for products of many rows."""
    for module in network.modules():
        if isinstance(module, nn.Linear) and module.weight.dtype in (torch.bfloat16, torch.float16):
            module.forward = partial(_forward, module)  # type: ignore[method-assign]


def is_slow(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether products of this dtype are emulated on this device."""
    if device.type != "cpu" or dtype not in (torch.bfloat16, torch.float16):
        return False
    units = torch.ops.mkldnn
    native = units._is_mkldnn_bf16_supported if dtype is torch.bfloat16 else units._is_mkldnn_fp16_supported
    return not native()


def _forward(linear: nn.Linear, rows: Tensor) -> Tensor:
    if rows.numel() // rows.shape[-1] < FEW_ROWS:
        return F.linear(rows, linear.weight, linear.bias)
    product: Tensor = _WideLinear.apply(rows, linear.weight, linear.bias)  # type: ignore[no-untyped-call]
    return product


class _WideLinear(torch.autograd.Function):
    """rows @ weight.T + bias in float32, of a weight that gets no gradient; only the narrow weight is kept."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        wide_bias = None if bias is None else bias.float()
        return F.linear(rows.float(), weight.float(), wide_bias).to(rows.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return (grad.float() @ weight.float()).to(grad.dtype), None, None
