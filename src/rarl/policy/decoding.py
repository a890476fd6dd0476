"""Attention for sampling: the prompt's keys and values are kept once a group and shared by its completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rarl.policy.attention import PackedGroups

SEGMENT = 128  # places for keys of completions' own tokens that are made at once where shapes have to stay


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
    longest, do where their lengths differ. Slots of finished completions are given up with `keep`.
    """

    read_N: Tensor | None = None  # every row is new and read

    def __init__(self, prefill: Prefill, completions: int, new_tokens: int) -> None:
        """`new_tokens` places for own keys, for a start; what the prefill has kept is taken away from it."""
        self.groups, self.completions = len(prefill.prompt_lengths), completions
        self.step: Any = 0  # tokens of each completion that have gone through the model; an int
        lengths_N = torch.tensor(prefill.prompt_lengths)
        longest = int(lengths_N.max())
        real_NP = torch.arange(longest) < lengths_N[:, None]
        first_N = lengths_N.cumsum(0) - lengths_N
        some_key = prefill.keys_values_TKd[0][0]
        padded_NP = torch.where(real_NP, first_N[:, None] + torch.arange(longest), 0).to(some_key.device)
        self._mask_N11P: Tensor | None = None
        if not bool(real_NP.all()):
            mask_NP = torch.zeros(real_NP.shape, dtype=some_key.dtype).masked_fill(~real_NP, float("-inf"))
            self._mask_N11P = mask_NP.to(some_key.device)[:, None, None]
        self._prompts_NKPd: list[tuple[Tensor, Tensor]] = []
        while prefill.keys_values_TKd:  # layer by layer, so that only one is there twice
            key_TKd, value_TKd = prefill.keys_values_TKd.pop(0)
            key_NKPd, value_NKPd = (rows[padded_NP].transpose(1, 2).contiguous() for rows in (key_TKd, value_TKd))
            self._prompts_NKPd.append((key_NKPd, value_NKPd))
        heads, width = some_key.shape[1:]
        shape_NKGCd = (self.groups, heads, completions, new_tokens, width)
        self._own_NKGCd = [
            (some_key.new_empty(shape_NKGCd), some_key.new_empty(shape_NKGCd)) for _ in self._prompts_NKPd
        ]

    def attend(self, layer: int, query_BHd: Tensor, key_BKd: Tensor, value_BKd: Tensor, scale: float) -> Tensor:
        _, H, d = query_BHd.shape
        N, K, G = self.groups, key_BKd.shape[1], self.completions
        r = H // K
        prompt_key_NKPd, prompt_value_NKPd = self._prompts_NKPd[layer]
        own_key_NKGCd, own_value_NKGCd = self._with_own(
            layer, key_BKd.view(N, G, K, d).transpose(1, 2), value_BKd.view(N, G, K, d).transpose(1, 2)
        )

        # The r query heads of a key head, of all G completions, ask the shared prompt as one block of G r queries.
        query_NKGrd = (query_BHd * scale).view(N, G, K, r, d).transpose(1, 2).contiguous()
        shared_NKQP = query_NKGrd.view(N, K, G * r, d) @ prompt_key_NKPd.transpose(-1, -2)
        if self._mask_N11P is not None:
            shared_NKQP += self._mask_N11P
        own_NKGrC = self._masked(query_NKGrd @ own_key_NKGCd.transpose(-1, -2))
        scores_NKQS = torch.cat([shared_NKQP, own_NKGrC.flatten(2, 3)], dim=-1)
        weights_NKQS = F.softmax(scores_NKQS, dim=-1, dtype=torch.float32).to(query_BHd.dtype)

        P = prompt_key_NKPd.shape[2]
        output_NKQd = weights_NKQS[..., :P] @ prompt_value_NKPd
        own_weights_NKGrC = weights_NKQS[..., P:].unflatten(2, (G, r))
        output_NKGrd = output_NKQd.view(N, K, G, r, d) + own_weights_NKGrC @ own_value_NKGCd
        output_BHd: Tensor = output_NKGrd.transpose(1, 2).reshape(N * G, H, d)
        return output_BHd

    def _with_own(self, layer: int, key_NKGd: Tensor, value_NKGd: Tensor) -> tuple[Tensor, Tensor]:
        """The completions' own keys and values so far, these new ones with them."""
        key_NKGCd, value_NKGCd = self._own_NKGCd[layer]
        key_NKGCd[:, :, :, self.step] = key_NKGd
        value_NKGCd[:, :, :, self.step] = value_NKGd
        return key_NKGCd[:, :, :, : self.step + 1], value_NKGCd[:, :, :, : self.step + 1]

    def _masked(self, own_NKGrC: Tensor) -> Tensor:
        return own_NKGrC

    @property
    def places(self) -> int:
        """For own keys of a completion."""
        return self._own_NKGCd[0][0].shape[3]

    def grow(self) -> None:
        """Places for another segment of tokens."""
        for layer, (key, value) in enumerate(self._own_NKGCd):
            self._own_NKGCd[layer] = F.pad(key, (0, 0, 0, SEGMENT)), F.pad(value, (0, 0, 0, SEGMENT))

    def keep(self, groups_n: Tensor, slots_b: Tensor, completions: int) -> None:
        """Go on with some groups, and in each with `completions` of the present slots [len(groups_n) * completions]."""
        before, self.groups, self.completions = self.completions, len(groups_n), completions
        heads_K = torch.arange(self._own_NKGCd[0][0].shape[1], device=slots_b.device)
        slots = groups_n[:, None, None], heads_K[:, None], (slots_b % before).view(self.groups, 1, completions)
        if self._mask_N11P is not None:
            self._mask_N11P = self._mask_N11P[groups_n]
        for layer, (key, value) in enumerate(self._prompts_NKPd):
            self._prompts_NKPd[layer] = key[groups_n], value[groups_n]
        for layer, (key, value) in enumerate(self._own_NKGCd):
            self._own_NKGCd[layer] = key[slots], value[slots]


class FixedDecoding(Decoding):
    """The same with shapes and addresses that a step does not change, as a CUDA graph wants them.

    The step is a number on the device. There are places for some steps to come, which are masked until then; `grow`
    makes more, under new addresses.
    """

    def __init__(self, prefill: Prefill, completions: int, new_tokens: int) -> None:
        super().__init__(prefill, completions, min(new_tokens, SEGMENT))
        for key, value in self._own_NKGCd:  # what a weight of 0 is multiplied with has to be a number
            key.zero_()
            value.zero_()
        self.step = torch.zeros(1, dtype=torch.long, device=self._own_NKGCd[0][0].device)
        self._to_come_C = torch.empty(0)

    def attend(self, layer: int, query_BHd: Tensor, key_BKd: Tensor, value_BKd: Tensor, scale: float) -> Tensor:
        if layer == 0:
            self._to_come_C = torch.arange(self.places, device=query_BHd.device) > self.step
        return super().attend(layer, query_BHd, key_BKd, value_BKd, scale)

    def _with_own(self, layer: int, key_NKGd: Tensor, value_NKGd: Tensor) -> tuple[Tensor, Tensor]:
        key_NKGCd, value_NKGCd = self._own_NKGCd[layer]
        key_NKGCd.index_copy_(3, self.step, key_NKGd[:, :, :, None])
        value_NKGCd.index_copy_(3, self.step, value_NKGd[:, :, :, None])
        return key_NKGCd, value_NKGCd

    def _masked(self, own_NKGrC: Tensor) -> Tensor:
        return own_NKGrC.masked_fill_(self._to_come_C, float("-inf"))
