"""One prompt, many completions: attention that computes the shared prompt once.

Every token of a batch lies in one packed row [prompt | completion 1 | .. | completion G | next prompt | ..], so each
linear of the language model runs once over all of it. Only attention needs to know who belongs to whom: a layout says
how the tokens of one forward hang together. No 4-D mask over the row, no cache object, and so nothing that gradient
checkpointing would drop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class Layout(Protocol):
    """How the tokens [T] of one forward attend to each other."""

    read_N: Tensor | None  # the rows whose last hidden state is read, all that the last layer computes; None: all T

    def attend(self, layer: int, query_NHd: Tensor, key_TKd: Tensor, value_TKd: Tensor, scale: float) -> Tensor:
        """[N, H, d] for H query heads over K key heads, of all T rows or of those in `read_N`."""


class PackedGroups:
    """Training layout: groups of completions behind their own prompts, in one packed row.

    `prompt_lengths[g]` tokens of group g's prompt are followed by its completions of `completion_lengths[g]` tokens
    each (possibly none, as in a prefill). What is read is each prompt's last row and all rows of completions.
    """

    def __init__(
        self, prompt_lengths: Sequence[int], completion_lengths: Sequence[Sequence[int]], device: torch.device
    ) -> None:
        self._segments: list[_Segment] = []
        self.length = 0
        read = []
        for prompt, completions in zip(prompt_lengths, completion_lengths, strict=True):
            self._segments.append(_Segment(prompt, tuple(completions), device))
            stop = self.length + prompt + sum(completions)
            read.append(torch.arange(self.length + prompt - 1, stop, device=device))
            self.length = stop
        self.read_N: Tensor | None = torch.cat(read)

    def attend(self, layer: int, query_NHd: Tensor, key_TKd: Tensor, value_TKd: Tensor, scale: float) -> Tensor:
        all_rows = len(query_NHd) == self.length
        rows = [s.prompt + s.fed for s in self._segments]
        queries = query_NHd.split(rows if all_rows else [1 + s.fed for s in self._segments])
        parts = zip(self._segments, queries, key_TKd.split(rows), value_TKd.split(rows), strict=True)
        return torch.cat([part for segment, q, k, v in parts for part in segment.attend(q, k, v, scale)])


class _Segment:
    """One prompt of `prompt` tokens and the `fed` tokens of its completions behind it."""

    def __init__(self, prompt: int, completions: tuple[int, ...], device: torch.device) -> None:
        self.prompt, self.fed = prompt, sum(completions)
        self.count, longest = len(completions), max(completions, default=0)
        if not self.fed:
            return
        lengths_G = torch.tensor(completions, device=device)
        column_C = torch.arange(longest, device=device)
        real_GC = column_C < lengths_G[:, None]
        first_G = lengths_G.cumsum(0) - lengths_G
        # Where slot [g, c] of the padded completions lies in the packed row, and back. Padding slots point at
        # token 0; whatever they compute is dropped, and causality hides them from the real ones before them.
        self.padded_GC = torch.where(real_GC, first_G[:, None] + column_C, 0)
        self.packed_T = real_GC.flatten().nonzero()[:, 0]
        own_CC = torch.ones(longest, longest, dtype=torch.bool, device=device).tril()
        self.mask_CS = torch.cat([own_CC.new_ones(longest, prompt), own_CC], dim=1)

    def attend(self, query_NHd: Tensor, key_TKd: Tensor, value_TKd: Tensor, scale: float) -> list[Tensor]:
        """[tokens, H, d] of the prompt, or of its last token where only that is asked for, and of the completions."""
        asked = len(query_NHd) - self.fed
        key_KPd, value_KPd = key_TKd[: self.prompt].transpose(0, 1), value_TKd[: self.prompt].transpose(0, 1)
        prompt_1HPd = F.scaled_dot_product_attention(
            query_NHd[:asked].transpose(0, 1)[None],
            key_KPd[None],
            value_KPd[None],
            is_causal=asked == self.prompt,
            scale=scale,
            enable_gqa=True,
        )
        prompt_PHd = prompt_1HPd[0].transpose(0, 1)
        if not self.fed:
            return [prompt_PHd]
        query_GCHd = query_NHd[asked:][self.padded_GC]
        key_GKSd = self._behind_prompt(key_KPd, key_TKd[self.prompt :])
        value_GKSd = self._behind_prompt(value_KPd, value_TKd[self.prompt :])
        G, C, H, d = query_GCHd.shape
        K = key_GKSd.shape[1]
        # The r query heads of a key head become r times as many queries: the shared keys need not be repeated.
        query_GKQd = query_GCHd.transpose(1, 2).reshape(G, K, -1, d)
        output_GKQd = F.scaled_dot_product_attention(
            query_GKQd, key_GKSd, value_GKSd, attn_mask=self.mask_CS.repeat(H // K, 1), scale=scale
        )
        output_GCHd = output_GKQd.reshape(G, H, C, d).transpose(1, 2)
        return [prompt_PHd, output_GCHd.flatten(0, 1)[self.packed_T]]

    def _behind_prompt(self, prompt_KPd: Tensor, own_TKd: Tensor) -> Tensor:
        """[G, K, P + C, d]: the shared prompt's keys (or values), then each completion's own."""
        own_GKCd = own_TKd[self.padded_GC].transpose(1, 2)
        return torch.cat([prompt_KPd.expand(self.count, -1, -1, -1), own_GKCd], dim=2)
