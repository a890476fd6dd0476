"""A frozen linear with a LoRA adapter as one operation: y = x W' + b + scale (x A') B'.

Left to autograd, PEFT's module makes and keeps several tensors of the output's size. With the backward written out only
x and the narrow x A' are kept, and nothing is computed for the weight, which is frozen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rarl.policy.half import product, product_back


class Projection:
    """One linear of the language model: torch's module or, with an adapter, PEFT's around it."""

    def __init__(self, module: Any) -> None:
        base = getattr(module, "base_layer", module)
        self.weight_OI: Tensor = base.weight
        self.bias_O: Tensor | None = base.bias
        self.has_adapter = base is not module
        if self.has_adapter:
            [name] = module.active_adapters
            self.trained: tuple[Tensor, Tensor] = (module.lora_A[name].weight, module.lora_B[name].weight)
            self.scale = float(module.scaling[name])
            same = self.trained[0].dtype == self.weight_OI.dtype
            # What is computed with: A [r, I] and B [O, r] in the weight's own dtype, brought up to date by `refresh`.
            self.used = self.trained if same else tuple(t.detach().to(self.weight_OI.dtype) for t in self.trained)

    def __call__(self, rows_TI: Tensor, adapted: bool) -> Tensor:
        """[T, O]; without the adapter where `adapted` is false."""
        output_TO: Tensor
        if adapted and self.has_adapter:
            output_TO = _Adapted.apply(rows_TI, *self.trained, *self.used, self)  # type: ignore[no-untyped-call]
        else:
            output_TO = _Frozen.apply(rows_TI, self.weight_OI, self.bias_O)  # type: ignore[no-untyped-call]
        return output_TO

    def forward(self, rows_TI: Tensor, A_rI: Tensor, B_Or: Tensor) -> tuple[Tensor, Tensor]:
        """The output [T, O] and x A' [T, r], outside of autograd."""
        low_Tr = rows_TI @ A_rI.t()
        return product(rows_TI, self.weight_OI, self.bias_O).addmm_(low_Tr, B_Or.t(), alpha=self.scale), low_Tr

    def backward(self, grad_TO: Tensor, A_rI: Tensor, B_Or: Tensor, *, for_input: bool) -> tuple[Tensor, Tensor | None]:
        """The gradients of x A' [T, r] and, if it is asked for, of x [T, I]."""
        grad_low_Tr = (grad_TO @ B_Or).mul_(self.scale)
        if not for_input:
            return grad_low_Tr, None
        return grad_low_Tr, product_back(grad_TO, self.weight_OI).addmm_(grad_low_Tr, A_rI)

    def adapter_gradients(
        self, grad_TO: Tensor, grad_low_Tr: Tensor, rows_TI: Tensor, low_Tr: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The gradients of A [r, I] and B [O, r], in their own dtype."""
        A_rI, B_Or = self.trained
        return (grad_low_Tr.t() @ rows_TI).to(A_rI.dtype), (grad_TO.t() @ low_Tr).mul_(self.scale).to(B_Or.dtype)


@torch.no_grad()
def refresh(projections: Iterable[Projection]) -> None:
    """Bring the adapters' copies in the computing dtype up to date. In float32 there are none."""
    stale = [p for p in projections if p.has_adapter and p.used is not p.trained]
    if stale:
        torch._foreach_copy_([used for p in stale for used in p.used], [new for p in stale for new in p.trained])


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
    """The trained A and B are arguments to get their gradients, the used ones to be computed with."""

    @staticmethod
    def forward(
        ctx: Any, rows_TI: Tensor, A: Tensor, B: Tensor, used_A: Tensor, used_B: Tensor, projection: Projection
    ) -> Tensor:
        output_TO, low_Tr = projection.forward(rows_TI, used_A, used_B)
        ctx.save_for_backward(rows_TI, low_Tr, used_A, used_B)
        ctx.projection = projection
        return output_TO

    @staticmethod
    def backward(ctx: Any, grad_TO: Tensor) -> tuple[Tensor | None, ...]:
        rows_TI, low_Tr, used_A, used_B = ctx.saved_tensors
        projection: Projection = ctx.projection
        low, grad_TI = projection.backward(grad_TO, used_A, used_B, for_input=ctx.needs_input_grad[0])
        return grad_TI, *projection.adapter_gradients(grad_TO, low, rows_TI, low_Tr), None, None, None


def gated_down(gate_TI: Tensor, up_TI: Tensor, down: Projection, adapted: bool) -> Tensor:
    """down(silu(gate) * up) [T, H]; the product, the widest tensor of a layer, is computed again in the backward."""
    if not (adapted and down.has_adapter):
        return down(F.silu(gate_TI) * up_TI, adapted)
    output_TH: Tensor = _GatedDown.apply(gate_TI, up_TI, *down.trained, *down.used, down)  # type: ignore[no-untyped-call]
    return output_TH


class _GatedDown(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gate: Tensor, up: Tensor, A: Tensor, B: Tensor, used_A: Tensor, used_B: Tensor, down: Projection
    ) -> Tensor:
        output_TH, low_Tr = down.forward(F.silu(gate).mul_(up), used_A, used_B)
        ctx.save_for_backward(gate, up, low_Tr, used_A, used_B)
        ctx.down = down
        return output_TH

    @staticmethod
    def backward(ctx: Any, grad_TH: Tensor) -> tuple[Tensor | None, ...]:
        gate_TI, up_TI, low_Tr, used_A, used_B = ctx.saved_tensors
        down: Projection = ctx.down
        low, grad_TI = down.backward(grad_TH, used_A, used_B, for_input=True)
        assert grad_TI is not None
        silu_TI = F.silu(gate_TI)
        grads = down.adapter_gradients(grad_TH, low, silu_TI * up_TI, low_Tr)
        grad_gate_TI = torch.ops.aten.silu_backward(grad_TI * up_TI, gate_TI)
        return grad_gate_TI, grad_TI.mul_(silu_TI), *grads, None, None, None
