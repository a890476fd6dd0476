"""Products with a frozen weight, in half precision also on a CPU that has no units for it.

torch then multiplies bfloat16 five times slower than float32. Widening a weight for the moment of its product costs
little when many rows share it, and keeps the weights at half their size.
"""

from __future__ import annotations

from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW_ROWS = 32  # below this a product is bound by reading the weight, and widening it only adds to that
WIDE = 32_768  # outputs at a time that are widened: of the output head they are 200 MB
PIECE = 768  # outputs at a time that a product of few rows computes on a CPU; measured in docs/performance.md


def product(rows_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """x W' + b [T, O] in the dtype of the rows, outside of autograd."""
    if not _widens(rows_TI, weight_OI):
        return (
            _in_pieces(rows_TI, weight_OI, bias_O)
            if _is_flat(rows_TI, weight_OI)
            else F.linear(rows_TI, weight_OI, bias_O)
        )
    wide_TI, output_TO = rows_TI.float(), rows_TI.new_empty(*rows_TI.shape[:-1], len(weight_OI))
    for cut in _cuts(weight_OI):
        output_TO[..., cut] = F.linear(wide_TI, weight_OI[cut].float(), None if bias_O is None else bias_O[cut].float())
    return output_TO


def product_back(grad_TO: Tensor, weight_OI: Tensor) -> Tensor:
    """The gradient of the rows [T, I]."""
    if not _widens(grad_TO, weight_OI):
        return grad_TO @ weight_OI
    first, *others = _cuts(weight_OI)
    total_TI = grad_TO[..., first].float() @ weight_OI[first].float()
    for cut in others:
        total_TI += grad_TO[..., cut].float() @ weight_OI[cut].float()
    return total_TI.to(grad_TO.dtype)


def widen_linears(network: nn.Module) -> None:
    """Make every linear of a network that gets no gradient widen its weight likewise, where that is faster."""
    for module in network.modules():
        if isinstance(module, nn.Linear) and is_slow(module.weight.device.type, module.weight.dtype):
            module.forward = partial(_forward, module)  # type: ignore[method-assign]


@cache
def is_slow(device: str, dtype: torch.dtype) -> bool:
    """Whether products of this dtype are emulated on this kind of device."""
    if device != "cpu" or dtype not in (torch.bfloat16, torch.float16):
        return False
    units = torch.ops.mkldnn
    native = units._is_mkldnn_bf16_supported if dtype is torch.bfloat16 else units._is_mkldnn_fp16_supported
    return not native()


def _widens(rows: Tensor, weight: Tensor) -> bool:
    return is_slow(weight.device.type, weight.dtype) and rows.numel() // rows.shape[-1] >= FEW_ROWS


def _cuts(weight_OI: Tensor) -> list[slice]:
    return [slice(start, start + WIDE) for start in range(0, len(weight_OI), WIDE)]


def _is_flat(rows: Tensor, weight_OI: Tensor) -> bool:
    """Whether the product has so few rows and so many outputs that the CPU's library loses time on its own packing."""
    return rows.ndim == 2 and len(rows) < FEW_ROWS and len(weight_OI) > 2 * PIECE and not rows.is_cuda


def _in_pieces(rows_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
    """x W' + b computed for some outputs at a time."""
    output_TO = rows_TI.new_empty(len(rows_TI), len(weight_OI))
    pieces = -(-len(weight_OI) // PIECE)
    for into, weight in zip(output_TO.tensor_split(pieces, 1), weight_OI.tensor_split(pieces), strict=True):
        torch.mm(rows_TI, weight.t(), out=into)
    return output_TO if bias_O is None else output_TO.add_(bias_O)


def _forward(linear: nn.Linear, rows: Tensor) -> Tensor:
    return product(rows, linear.weight, linear.bias)
