"""One prompt, many completions: attention that computes the shared prompt once.

Every token of a batch lies in one packed row [prompt | completion 1 | .. | completion G | next prompt | ..], so each
linear of the language model runs once over all of it. Only attention needs to know who belongs to whom. The model is
told once to use the attention function registered here; a `layout` passed through the forward's keyword arguments says
how this forward's tokens hang together. Without a layout it is plain SDPA. No 4-D mask, no cache object of
transformers, and so nothing that gradient checkpointing would drop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

NAME = "rarl_shared_prefix"


class Layout(Protocol):
    """How the tokens of one forward attend to each other."""

    def attend(self, layer: int, query_BHLd: Tensor, key_BKLd: Tensor, value_BKLd: Tensor, scale: float) -> Tensor:
        """Attention output [B, L, H, d] for H query heads over K key heads."""


def shared_prefix_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    layout: Layout | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """The attention function that transformers calls in every layer of the language model."""
    if layout is None:
        plain = ALL_ATTENTION_FUNCTIONS["sdpa"]
        output: tuple[Tensor, None] = plain(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return output
    return layout.attend(int(module.layer_idx), query, key, value, scaling), None  # type: ignore[arg-type]


AttentionInterface.register(NAME, shared_prefix_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)  # an unknown name would get no mask at all, padding included


def install(language_model: torch.nn.Module) -> None:
    """Set the attention once and for all: toggling it around a forward breaks checkpoint recomputation."""
    language_model.config._attn_implementation = NAME  # type: ignore[union-attr]


class PackedGroups:
    """Training layout: groups of completions behind their own prompts, in one packed row.

    `prompt_lengths[g]` tokens of group g's prompt are followed by its completions of `completion_lengths[g]` tokens
    each (possibly none, as in a prefill).
    """

    def __init__(
        self,
        prompt_lengths: Sequence[int],
        completion_lengths: Sequence[Sequence[int]],
        query_heads_per_key: int,
        device: torch.device,
    ) -> None:
        self._segments = []
        start = 0
        for length, completions in zip(prompt_lengths, completion_lengths, strict=True):
            segment = _Segment(start, length, tuple(completions), query_heads_per_key, device)
            self._segments.append(segment)
            start = segment.stop
        self.length = start

    def attend(self, layer: int, query_BHLd: Tensor, key_BKLd: Tensor, value_BKLd: Tensor, scale: float) -> Tensor:
        parts = [segment.attend(query_BHLd, key_BKLd, value_BKLd, scale) for segment in self._segments]
        return torch.cat(parts, dim=1).transpose(0, 1)[None]  # [1, L, H, d]


class _Segment:
    """One prompt [start, start + P) and the completions behind it, up to `stop`."""

    def __init__(
        self, start: int, prompt: int, completions: tuple[int, ...], heads_per_key: int, device: torch.device
    ) -> None:
        self.start, self.prompt = start, prompt
        self.stop = start + prompt + sum(completions)
        self.heads_per_key = heads_per_key
        self.count, self.longest = len(completions), max(completions, default=0)
        if not self.longest:
            return
        lengths_G = torch.tensor(completions, device=device)
        column_C = torch.arange(self.longest, device=device)
        real_GC = column_C < lengths_G[:, None]
        first_G = lengths_G.cumsum(0) - lengths_G
        # Where slot [g, c] of the padded completions lies in the packed row, and back. Padding slots point at
        # token 0; whatever they compute is dropped, and causality hides them from the real ones before them.
        self.padded_GC = torch.where(real_GC, first_G[:, None] + column_C, 0)
        self.packed_T = real_GC.flatten().nonzero()[:, 0]
        own_CC = torch.ones(self.longest, self.longest, dtype=torch.bool, device=device).tril()
        prompt_CP = torch.ones(self.longest, prompt, dtype=torch.bool, device=device)
        self.mask_QS = torch.cat([prompt_CP, own_CC], dim=1).repeat(heads_per_key, 1)

    def attend(self, query_BHLd: Tensor, key_BKLd: Tensor, value_BKLd: Tensor, scale: float) -> Tensor:
        """Attention output [H, tokens of this segment, d]."""
        split = self.start + self.prompt
        query_HPd = query_BHLd[:, :, self.start : split]
        key_KPd, value_KPd = key_BKLd[:, :, self.start : split], value_BKLd[:, :, self.start : split]
        r = self.heads_per_key
        prompt_HPd = F.scaled_dot_product_attention(
            query_HPd,
            key_KPd.repeat_interleave(r, dim=1),
            value_KPd.repeat_interleave(r, dim=1),
            is_causal=True,
            scale=scale,
        )[0]
        if not self.longest:
            return prompt_HPd
        own = slice(split, self.stop)
        query_GHCd = query_BHLd[0, :, own][:, self.padded_GC].transpose(0, 1)
        key_GKSd = self._behind_prompt(key_KPd, key_BKLd[0, :, own])
        value_GKSd = self._behind_prompt(value_KPd, value_BKLd[0, :, own])
        G, H, C, d = query_GHCd.shape
        # The r query heads of a key head become r times as many queries: the shared keys need not be repeated.
        query_GKQd = query_GHCd.reshape(G, H // r, r * C, d)
        output_GKQd = F.scaled_dot_product_attention(
            query_GKQd, key_GKSd, value_GKSd, attn_mask=self.mask_QS, scale=scale
        )
        output_HTd = output_GKQd.reshape(G, H, C, d).transpose(0, 1).reshape(H, G * C, d)[:, self.packed_T]
        return torch.cat([prompt_HPd, output_HTd], dim=1)

    def _behind_prompt(self, prompt_1KPd: Tensor, own_KTd: Tensor) -> Tensor:
        """[G, K, P + C, d]: the shared prompt's keys (or values), then each completion's own."""
        own_GKCd = own_KTd[:, self.padded_GC].transpose(0, 1)
        return torch.cat([prompt_1KPd.expand(self.count, -1, -1, -1), own_GKCd], dim=2)
