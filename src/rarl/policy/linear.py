"""Frozen linears with LoRA adapters as one operation: y_i = x W_i' + b_i + scale_i (x A_i') B_i'.

Linears that read the same rows (query, key and value; gate and up) are computed as one. Left to autograd, PEFT's
modules make and keep several tensors of the output's size; with the backward written out only x and the narrow x A' are
kept, and nothing is computed for the weights, which are frozen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rarl.policy.half import product, product_back
from rarl.policy.quantised import dequantised, is_quantised


@dataclass(frozen=True, slots=True)
class Adapter:
    """The trained A [r, I] and B [O, r] of one linear, and which columns of the joint output and of x A' are its."""

    A_rI: Tensor
    B_Or: Tensor
    scale: float
    output: slice
    low: slice


class Projection:
    """Linears side by side: torch's modules or, with an adapter, PEFT's around them. Output [T, O], O their sum.

    The modules go on working: their weights become views of one joint tensor.
    """

    def __init__(self, *modules: Any) -> None:
        bases = [getattr(module, "base_layer", module) for module in modules]
        self._weights = [base.weight for base in bases]
        self._joint_OI = None if is_quantised(self._weights[0]) else _join(self._weights)
        biases = [base.bias for base in bases]
        self.bias_O = None if biases[0] is None else _join(biases)
        self.adapters: list[Adapter] = []
        output = low = 0
        for module, base in zip(modules, bases, strict=True):
            if module is not base:
                [name] = module.active_adapters
                A_rI, B_Or = module.lora_A[name].weight, module.lora_B[name].weight
                columns, rank = slice(output, output + base.out_features), slice(low, low + len(A_rI))
                self.adapters.append(Adapter(A_rI, B_Or, float(module.scaling[name]), columns, rank))
                low += len(A_rI)
            output += base.out_features
        self._like = self.weight().new_empty(output, 0)
        self.refresh()

    def weight(self) -> Tensor:
        """The weights [O, I] as they are multiplied with; 4-bit ones are made wide for the moment, so don't keep it."""
        if self._joint_OI is not None:
            return self._joint_OI
        return torch.cat([dequantised(weight) for weight in self._weights])

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over what the optimizer changed into what is computed with: all A as one [R, I], and all B, scaled, as
        the blocks of one [O, R], both in the dtype of the weights."""
        if self.adapters:
            self._A_RI = torch.cat([adapter.A_rI for adapter in self.adapters]).to(self._like.dtype)
            self._B_OR = self._like.new_zeros(len(self._like), len(self._A_RI))
            for adapter in self.adapters:
                self._B_OR[adapter.output, adapter.low] = adapter.scale * adapter.B_Or

    def __call__(self, rows_TI: Tensor, adapted: bool, known: Tensor | None = None) -> Tensor:
        """[T, O]; without the adapters where `adapted` is false. A `known` output is not computed again."""
        adapted = adapted and bool(self.adapters)
        if not torch.is_grad_enabled():
            return self.forward(rows_TI)[0] if adapted else product(rows_TI, self.weight(), self.bias_O)
        output_TO: Tensor
        if adapted:
            output_TO = _Adapted.apply(rows_TI, self, _Known(known), *self.trained)  # type: ignore[no-untyped-call]
        else:
            output_TO = _Frozen.apply(rows_TI, self, _Known(known))  # type: ignore[no-untyped-call]
        return output_TO

    @property
    def trained(self) -> list[Tensor]:
        """All A, then all B: what `backward` gives gradients of."""
        return [adapter.A_rI for adapter in self.adapters] + [adapter.B_Or for adapter in self.adapters]

    def forward(self, rows_TI: Tensor, known: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outside of autograd: the output [T, O] and x A' [T, R] of all adapters."""
        low_TR = rows_TI @ self._A_RI.t()
        if known is not None:
            return known, low_TR
        return product(rows_TI, self.weight(), self.bias_O).addmm_(low_TR, self._B_OR.t()), low_TR

    def back(self, grad_TO: Tensor, *, to_rows: bool) -> tuple[Tensor, Tensor | None]:
        """The gradients of x A' [T, R] and, if it is asked for, of x [T, I]."""
        grad_low_TR = grad_TO @ self._B_OR
        if not to_rows:
            return grad_low_TR, None
        return grad_low_TR, product_back(grad_TO, self.weight()).addmm_(grad_low_TR, self._A_RI)

    def back_to_adapters(self, grad_TO: Tensor, grad_low_TR: Tensor, rows_TI: Tensor, low_TR: Tensor) -> list[Tensor]:
        """The gradients of `trained`, in their own dtype."""
        grad_A_RI, grad_B_OR = grad_low_TR.t() @ rows_TI, grad_TO.t() @ low_TR
        grads_A = [grad_A_RI[one.low] for one in self.adapters]
        grads_B = [grad_B_OR[one.output, one.low] * one.scale for one in self.adapters]
        return [grad.to(to.dtype) for grad, to in zip([*grads_A, *grads_B], self.trained, strict=True)]


def _join(weights: Sequence[Tensor]) -> Tensor:
    """One tensor of all rows, the given ones made views of it."""
    if len(weights) == 1:
        return weights[0]
    joint = torch.cat([weight.detach() for weight in weights])
    for weight, rows in zip(weights, joint.split([len(weight) for weight in weights]), strict=True):
        weight.data = rows
    return joint


@dataclass(frozen=True, slots=True)
class _Known:
    """An output that was computed before, hidden from autograd: it is no input that a gradient could go to."""

    output_TO: Tensor | None


class _Frozen(torch.autograd.Function):
    """x W' + b of a weight that gets no gradient: not even x is kept."""

    @staticmethod
    def forward(ctx: Any, rows_TI: Tensor, projection: Projection, known: _Known) -> Tensor:
        ctx.projection = projection
        if known.output_TO is not None:
            return known.output_TO
        return product(rows_TI, projection.weight(), projection.bias_O)

    @staticmethod
    def backward(ctx: Any, grad_TO: Tensor) -> tuple[Tensor, None, None]:
        return product_back(grad_TO, ctx.projection.weight()), None, None


class _Adapted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows_TI: Tensor, projection: Projection, known: _Known, *trained: Tensor) -> Tensor:
        output_TO, low_TR = projection.forward(rows_TI, known.output_TO)
        ctx.save_for_backward(rows_TI, low_TR)
        ctx.projection = projection
        return output_TO

    @staticmethod
    def backward(ctx: Any, grad_TO: Tensor) -> tuple[Tensor | None, ...]:
        rows_TI, low_TR = ctx.saved_tensors
        projection: Projection = ctx.projection
        grad_low_TR, grad_TI = projection.back(grad_TO, to_rows=ctx.needs_input_grad[0])
        return grad_TI, None, None, *projection.back_to_adapters(grad_TO, grad_low_TR, rows_TI, low_TR)


def gated_down(gate_up_TI: Tensor, down: Projection, adapted: bool, known: Tensor | None = None) -> Tensor:
    """down(silu(gate) * up) [T, H] of gate and up side by side; a `known` output is not computed again.

    Their product, the widest tensor of a layer, is not kept but computed again in the backward.
    """
    adapted = adapted and bool(down.adapters)
    if not adapted or not torch.is_grad_enabled():
        return down(_gated(gate_up_TI), adapted, known)
    output_TH: Tensor = _GatedDown.apply(gate_up_TI, down, _Known(known), *down.trained)  # type: ignore[no-untyped-call]
    return output_TH


def _gated(gate_up_TI: Tensor) -> Tensor:
    gate, up = gate_up_TI.chunk(2, 1)
    return F.silu(gate) * up


class _GatedDown(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up_TI: Tensor, down: Projection, known: _Known, *trained: Tensor) -> Tensor:
        output_TH, low_TR = down.forward(_gated(gate_up_TI), known.output_TO)
        ctx.save_for_backward(gate_up_TI, low_TR)
        ctx.down = down
        return output_TH

    @staticmethod
    def backward(ctx: Any, grad_TH: Tensor) -> tuple[Tensor | None, ...]:
        gate_up_TI, low_TR = ctx.saved_tensors
        down: Projection = ctx.down
        grad_low_TR, grad_product = down.back(grad_TH, to_rows=True)
        assert grad_product is not None
        gate, up = gate_up_TI.chunk(2, 1)
        silu = F.silu(gate)
        grads = down.back_to_adapters(grad_TH, grad_low_TR, silu * up, low_TR)
        grad_TI = torch.empty_like(gate_up_TI)
        grad_gate, grad_up = grad_TI.chunk(2, 1)
        torch.mul(grad_product, silu, out=grad_up)
        grad_gate.copy_(torch.ops.aten.silu_backward(grad_product.mul_(up), gate))
        return grad_TI, None, None, *grads
