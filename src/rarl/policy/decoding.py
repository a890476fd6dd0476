"""Attention for sampling: the prompt's keys and values are kept once a group and shared by its completions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from rarl.policy.attention import PackedGroups


class Prefill(PackedGroups):
    """A packed forward over prompts alone that keeps every layer's keys and values."""

    def __init__(self, prompt_lengths: Sequence[int], device: torch.device) -> None:
        super().__init__(prompt_lengths, [()] * len(prompt_lengths), device)
        self.prompt_lengths = tuple(prompt_lengths)
        self.keys_values_TKd: list[tuple[Tensor, Tensor]] = []  # one a layer, over the packed row

    def attend(self, layer: int, query_NHd: Tensor, key_TKd: Tensor, value_TKd: Tensor, scale: float) -> Tensor:
        # Copies: keys and values are views of rows that hold the queries too.
        self.keys_values_TKd.append((key_TKd.clone(), value_TKd.clone()))
        return super().attend(layer, query_NHd, key_TKd, value_TKd, scale)


class Decoding:
    """Layout of one decode step: slots [N groups, G completions], each with one new token.

    All slots are at the same step, so the completions' own keys need no mask. The prompts, right-padded to the
    longest, do. Slots of finished completions are given up with `keep`.
    """

    read_N: Tensor | None = None  # every row is new and read

    def __init__(self, prefill: Prefill, completions: int, max_new_tokens: int) -> None:
        self.groups, self.completions = len(prefill.prompt_lengths), completions
        self.step = 0
        lengths_N = torch.tensor(prefill.prompt_lengths)
        longest = int(lengths_N.max())
        real_NP = torch.arange(longest) < lengths_N[:, None]
        first_N = lengths_N.cumsum(0) - lengths_N
        padded_NP = torch.where(real_NP, first_N[:, None] + torch.arange(longest), 0)
        some_key = prefill.keys_values_TKd[0][0]
        padded_NP = padded_NP.to(some_key.device)
        mask_NP = torch.zeros(real_NP.shape, dtype=some_key.dtype).masked_fill(~real_NP, float("-inf"))
        self._mask_N11P = mask_NP.to(some_key.device)[:, None, None]
        self._prompts_NKPd = [
            (key[padded_NP].transpose(1, 2).contiguous(), value[padded_NP].transpose(1, 2).contiguous())
            for key, value in prefill.keys_values_TKd
        ]
        heads, width = some_key.shape[1:]
        shape_BKCd = (self.groups * completions, heads, max_new_tokens, width)
        self._own_BKCd = [
            (some_key.new_empty(shape_BKCd), some_key.new_empty(shape_BKCd)) for _ in prefill.keys_values_TKd
        ]

    def attend(self, layer: int, query_BHd: Tensor, key_BKd: Tensor, value_BKd: Tensor, scale: float) -> Tensor:
        B, H, d = query_BHd.shape
        K = key_BKd.shape[1]
        N, G, r = self.groups, self.completions, H // K
        own_key_BKCd, own_value_BKCd = self._own_BKCd[layer]
        own_key_BKCd[:, :, self.step] = key_BKd
        own_value_BKCd[:, :, self.step] = value_BKd
        seen = self.step + 1
        prompt_key_NKPd, prompt_value_NKPd = self._prompts_NKPd[layer]
        P = prompt_key_NKPd.shape[2]

        query_BKrd = (query_BHd * scale).view(B, K, r, d)
        query_NKQd = query_BKrd.view(N, G, K, r, d).transpose(1, 2).reshape(N, K, G * r, d)
        shared_NKQP = query_NKQd @ prompt_key_NKPd.transpose(-1, -2) + self._mask_N11P
        shared_BKrP = shared_NKQP.view(N, K, G, r, P).transpose(1, 2).reshape(B, K, r, P)
        own_BKrC = query_BKrd @ own_key_BKCd[:, :, :seen].transpose(-1, -2)
        weights_BKrS = F.softmax(torch.cat([shared_BKrP, own_BKrC], dim=-1).float(), dim=-1).to(query_BHd.dtype)

        weights_NKQP = weights_BKrS[..., :P].view(N, G, K, r, P).transpose(1, 2).reshape(N, K, G * r, P)
        shared_NKQd = weights_NKQP @ prompt_value_NKPd
        shared_BKrd = shared_NKQd.view(N, K, G, r, d).transpose(1, 2).reshape(B, K, r, d)
        output_BKrd = shared_BKrd + weights_BKrS[..., P:] @ own_value_BKCd[:, :, :seen]
        return output_BKrd.reshape(B, H, d)

    def keep(self, groups_n: Tensor, slots_b: Tensor, completions: int) -> None:
        """Go on with some groups, and in each with `completions` of the present slots [len(groups_n) * completions]."""
        self.groups, self.completions = len(groups_n), completions
        self._mask_N11P = self._mask_N11P[groups_n]
        self._prompts_NKPd = [(key[groups_n], value[groups_n]) for key, value in self._prompts_NKPd]
        self._own_BKCd = [(key[slots_b], value[slots_b]) for key, value in self._own_BKCd]
