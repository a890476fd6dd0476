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
        self.weight_OI = _join([base.weight for base in bases])
        biases = [base.bias for base in bases]
        self.bias_O = None if biases[0] is None else _join(biases)
        self.adapters: list[Adapter] = []
        output = low = 0
        for module, base in zip(modules, bases, strict=True):
            if module is not base:
                [name] = module.active_adapters
                A_rI, B_Or = module.lora_A[name].weight, module.lora_B[name].weight
                columns, rank = slice(output, output + len(base.weight)), slice(low, low + len(A_rI))
                self.adapters.append(Adapter(A_rI, B_Or, float(module.scaling[name]), columns, rank))
                low += len(A_rI)
            output += len(base.weight)
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over what the optimizer changed into the tensors that are computed with, in the weights' own dtype."""
        if self.adapters:
            self._A_RI = torch.cat([adapter.A_rI for adapter in self.adapters]).to(self.weight_OI.dtype)
            self._B_Or = [adapter.B_Or.detach().to(self.weight_OI.dtype) for adapter in self.adapters]

    def __call__(self, rows_TI: Tensor, adapted: bool) -> Tensor:
        """[T, O]; without the adapters where `adapted` is false."""
        adapted = adapted and bool(self.adapters)
        if not torch.is_grad_enabled():
            return self.forward(rows_TI)[0] if adapted else product(rows_TI, self.weight_OI, self.bias_O)
        output_TO: Tensor
        if adapted:
            output_TO = _Adapted.apply(rows_TI, self, *self.trained)  # type: ignore[no-untyped-call]
        else:
            output_TO = _Frozen.apply(rows_TI, self.weight_OI, self.bias_O)  # type: ignore[no-untyped-call]
        return output_TO

    @property
    def trained(self) -> list[Tensor]:
        """All A, then all B: what `backward` gives gradients of."""
        return [adapter.A_rI for adapter in self.adapters] + [adapter.B_Or for adapter in self.adapters]

    def forward(self, rows_TI: Tensor) -> tuple[Tensor, Tensor]:
        """Outside of autograd: the output [T, O] and x A' [T, R] of all adapters."""
        output_TO, low_TR = product(rows_TI, self.weight_OI, self.bias_O), rows_TI @ self._A_RI.t()
        for adapter, B_Or in zip(self.adapters, self._B_Or, strict=True):
            output_TO[:, adapter.output].addmm_(low_TR[:, adapter.low], B_Or.t(), alpha=adapter.scale)
        return output_TO, low_TR

    def back(self, grad_TO: Tensor, *, to_rows: bool) -> tuple[Tensor, Tensor | None]:
        """The gradients of x A' [T, R] and, if it is asked for, of x [T, I]."""
        members = zip(self.adapters, self._B_Or, strict=True)
        grad_low_TR = torch.cat([(grad_TO[:, one.output] @ B_Or).mul_(one.scale) for one, B_Or in members], 1)
        if not to_rows:
            return grad_low_TR, None
        return grad_low_TR, product_back(grad_TO, self.weight_OI).addmm_(grad_low_TR, self._A_RI)

    def back_to_adapters(self, grad_TO: Tensor, grad_low_TR: Tensor, rows_TI: Tensor, low_TR: Tensor) -> list[Tensor]:
        """The gradients of `trained`, in their own dtype."""
        grad_A_RI = grad_low_TR.t() @ rows_TI
        grads_B = [(grad_TO[:, one.output].t() @ low_TR[:, one.low]).mul_(one.scale) for one in self.adapters]
        grads = [grad_A_RI[one.low] for one in self.adapters] + grads_B
        return [grad.to(trained.dtype) for grad, trained in zip(grads, self.trained, strict=True)]


def _join(weights: Sequence[Tensor]) -> Tensor:
    """One tensor of all rows, the given ones made views of it."""
    if len(weights) == 1:
        return weights[0]
    joint = torch.cat([weight.detach() for weight in weights])
    for weight, rows in zip(weights, joint.split([len(weight) for weight in weights]), strict=True):
        weight.data = rows
    return joint


class _Frozen(torch.autograd.Function):
    """x W' + b of a weight that gets no gradient: not even x is kept."""

    @staticmethod
    def forward(ctx: Any, rows_TI: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight_OI)
        return product(rows_TI, weight_OI, bias_O)

    @staticmethod
    def backward(ctx: Any, grad_TO: Tensor) -> tuple[Tensor, None, None]:
        (weight_OI,) = ctx.saved_tensors
        return product_back(grad_TO, weight_OI), None, None


class _Adapted(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows_TI: Tensor, projection: Projection, *trained: Tensor) -> Tensor:
        output_TO, low_TR = projection.forward(rows_TI)
        ctx.save_for_backward(rows_TI, low_TR)
        ctx.projection = projection
        return output_TO

    @staticmethod
    def backward(ctx: Any, grad_TO: Tensor) -> tuple[Tensor | None, ...]:
        rows_TI, low_TR = ctx.saved_tensors
        projection: Projection = ctx.projection
        grad_low_TR, grad_TI = projection.back(grad_TO, to_rows=ctx.needs_input_grad[0])
        return grad_TI, None, *projection.back_to_adapters(grad_TO, grad_low_TR, rows_TI, low_TR)


def gated_down(gate_up_TI: Tensor, down: Projection, adapted: bool) -> Tensor:
    """down(silu(gate) * up) [T, H] of gate and up side by side.

    Their product, the widest tensor of a layer, is not kept but computed again in the backward.
    """
    adapted = adapted and bool(down.adapters)
    if not adapted or not torch.is_grad_enabled():
        return down(_gated(gate_up_TI), adapted)
    output_TH: Tensor = _GatedDown.apply(gate_up_TI, down, *down.trained)  # type: ignore[no-untyped-call]
    return output_TH


def _gated(gate_up_TI: Tensor) -> Tensor:
    gate, up = gate_up_TI.chunk(2, 1)
    return F.silu(gate) * up


class _GatedDown(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up_TI: Tensor, down: Projection, *trained: Tensor) -> Tensor:
        output_TH, low_TR = down.forward(_gated(gate_up_TI))
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
        return grad_TI, None, *grads
