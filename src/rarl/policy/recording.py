"""What sampling computed, kept for the training pass under the same weights: that pass then multiplies nothing anew.

In a step's first pass the policy is still the one that sampled, so the outputs of its linears are those that sampling
had: of the prompts in the prefill, of the completions one token at a time. They are most of what the backward needs
and nearly all of what the forward costs; norms, rotations and attention are computed again, with a graph.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rarl.algo.batch import GroupBatch
from rarl.policy.linear import Projection, gated_down
from rarl.types import Prompt


class Products:
    """The products of a pass, computed."""

    def __init__(self, *, adapted: bool = True) -> None:
        self.adapted = adapted

    def of(self, projection: Projection, rows_TI: Tensor) -> Tensor:
        """[T, O]."""
        return projection(rows_TI, self.adapted)

    def gated(self, down: Projection, gate_up_TI: Tensor) -> Tensor:
        """[T, H] of silu(gate) * up."""
        return gated_down(gate_up_TI, down, self.adapted)


class Recording(Products):
    """The products of sampling, computed and kept."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[Projection, list[Tensor]] = {}
        self._prompts: dict[int, tuple[Tensor, Tensor]] = {}  # by identity: its rows, and the one that is read
        self._completions: dict[tuple[int, tuple[int, ...]], tuple[Tensor, Tensor]] = {}  # and by its tokens
        self._rows = self._read = 0  # rows kept so far: of all tokens, and of those that the last layer reads

    def of(self, projection: Projection, rows_TI: Tensor) -> Tensor:
        return self._keep(projection, super().of(projection, rows_TI))

    def gated(self, down: Projection, gate_up_TI: Tensor) -> Tensor:
        return self._keep(down, super().gated(down, gate_up_TI))

    def _keep(self, projection: Projection, output_TO: Tensor) -> Tensor:
        self.kept.setdefault(projection, []).append(output_TO)
        return output_TO

    def note(
        self,
        prompts: Sequence[Prompt],
        lengths: Sequence[int],
        steps: Sequence[Tensor],
        token_ids: Sequence[Sequence[int]],
    ) -> None:
        """After a batch was sampled: which rows are whose.

        `lengths` are the prompts'; `steps` says for each decode step which completion [S] each of its rows belongs to;
        `token_ids` are the completions', as many for each prompt.
        """
        for prompt, length in zip(prompts, lengths, strict=True):
            self._prompts[id(prompt)] = torch.arange(self._rows, self._rows + length), torch.tensor([self._read])
            self._rows, self._read = self._rows + length, self._read + 1
        decoded_BC = torch.zeros(len(token_ids), len(steps), dtype=torch.long)
        count = 0
        for step, rows_S in enumerate(steps):
            decoded_BC[rows_S.cpu(), step] = torch.arange(count, count + len(rows_S))
            count += len(rows_S)
        n = len(token_ids) // len(prompts)
        for row, tokens in enumerate(token_ids):
            decoded_C = decoded_BC[row, : len(tokens) - 1]  # the last token was not fed
            key = id(prompts[row // n]), tuple(tokens)
            self._completions[key] = self._rows + decoded_C, self._read + decoded_C
        self._rows, self._read = self._rows + count, self._read + count

    def replay(self, batch: GroupBatch, *, keep: bool) -> Replay | None:
        """The batch's products in the order of its packed row; None if it was not sampled here.

        With `keep` each can be asked for again, as checkpointing does; without, it is given away.
        """
        rows, read = [], []
        members = iter(zip(batch.completion_ids_BT.tolist(), batch.lengths, strict=True))
        for prompt, size in zip(batch.prompts, batch.sizes, strict=True):
            keys = [(id(prompt), tuple(ids[:length])) for ids, length in (next(members) for _ in range(size))]
            if id(prompt) not in self._prompts or any(key not in self._completions for key in keys):
                return None
            for of_all, of_read in (self._prompts[id(prompt)], *(self._completions[key] for key in keys)):
                rows.append(of_all)
                read.append(of_read)
        return Replay(self, torch.cat(rows), torch.cat(read), keep=keep)


class Replay(Products):
    """The products of a training pass, taken from a recording."""

    def __init__(self, recording: Recording, rows_L: Tensor, read_N: Tensor, *, keep: bool) -> None:
        super().__init__()
        self._recording, self._keep = recording, keep
        self._rows_L, self._read_N = rows_L, read_N

    def of(self, projection: Projection, rows_TI: Tensor) -> Tensor:
        return projection(rows_TI, adapted=True, known=self._known(projection, len(rows_TI)))

    def gated(self, down: Projection, gate_up_TI: Tensor) -> Tensor:
        return gated_down(gate_up_TI, down, adapted=True, known=self._known(down, len(gate_up_TI)))

    def _known(self, projection: Projection, count: int) -> Tensor:
        parts = self._recording.kept.pop(projection)
        joint = parts[0] if len(parts) == 1 else torch.cat(parts)
        if self._keep:
            self._recording.kept[projection] = [joint]
        rows = self._rows_L if count == len(self._rows_L) else self._read_N
        return joint[rows.to(joint.device)]
