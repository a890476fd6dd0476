"""Norm and rotation, with backwards that keep next to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


def rms_norm(hidden_TH: Tensor, weight_H: Tensor, epsilon: float) -> Tensor:
    """x / rms(x), in float32, times a frozen weight [T, H]."""
    if not torch.is_grad_enabled():
        return _normed(hidden_TH, weight_H, epsilon)[0]
    normed_TH: Tensor = _RmsNorm.apply(hidden_TH, weight_H, epsilon)  # type: ignore[no-untyped-call]
    return normed_TH


def _normed(hidden_TH: Tensor, weight_H: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """And 1 / rms(x) [T, 1]."""
    wide_TH = hidden_TH.float()
    scale_T1 = wide_TH.pow(2).mean(-1, keepdim=True).add_(epsilon).rsqrt_()
    return (wide_TH * scale_T1).to(hidden_TH.dtype) * weight_H, scale_T1


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_TH: Tensor, weight_H: Tensor, epsilon: float) -> Tensor:
        normed_TH, scale_T1 = _normed(hidden_TH, weight_H, epsilon)
        ctx.save_for_backward(hidden_TH, weight_H, scale_T1)
        return normed_TH

    @staticmethod
    def backward(ctx: Any, grad_TH: Tensor) -> tuple[Tensor, None, None]:
        hidden_TH, weight_H, scale_T1 = ctx.saved_tensors
        normed_TH = hidden_TH.float() * scale_T1
        grad_normed_TH = grad_TH.float() * weight_H.float()
        along_T1 = (grad_normed_TH * normed_TH).mean(-1, keepdim=True)
        return (grad_normed_TH - normed_TH.mul_(along_T1)).mul_(scale_T1).to(hidden_TH.dtype), None, None


@dataclass(frozen=True)
class Rotation:
    """Rotary embedding: cos and sin [T, 1, d / 2] of the angle of each pair (i, i + d / 2) of a head."""

    cos: Tensor
    sin: Tensor

    def __call__(self, heads_THd: Tensor, count: int) -> Tensor:
        """All heads, the first `count` of them turned; nothing is kept for the backward but the angles."""
        if not torch.is_grad_enabled():
            return _turned(heads_THd, self.cos, self.sin, count)
        turned_THd: Tensor = _Turn.apply(heads_THd, self.cos, self.sin, count)  # type: ignore[no-untyped-call]
        return turned_THd

    def of(self, rows: Any) -> Rotation:
        """Of some of the rows, by index."""
        return Rotation(self.cos[rows], self.sin[rows])


class _Turn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, heads_THd: Tensor, cos: Tensor, sin: Tensor, count: int) -> Tensor:
        ctx.save_for_backward(cos, sin)
        ctx.count = count
        return _turned(heads_THd, cos, sin, count)

    @staticmethod
    def backward(ctx: Any, grad_THd: Tensor) -> tuple[Tensor, None, None, None]:
        cos, sin = ctx.saved_tensors
        return _turned(grad_THd, cos, -sin, ctx.count), None, None, None


def _turned(heads_THd: Tensor, cos: Tensor, sin: Tensor, count: int) -> Tensor:
    turned_THd = torch.empty_like(heads_THd)
    first, second = heads_THd[:, :count].chunk(2, -1)
    into_first, into_second = turned_THd[:, :count].chunk(2, -1)
    torch.mul(first, cos, out=into_first).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=into_second).addcmul_(first, sin)
    turned_THd[:, count:] = heads_THd[:, count:]
    return turned_THd
