"""What sampling computed, kept for the training pass under the same weights: that pass then multiplies nothing anew.

In a step's first pass the policy is still the one that sampled, so the outputs of its linears are those that sampling
had: of the prompts in the prefill, of the completions one token at a time. They are most of what the backward needs
and nearly all of what the forward costs; norms, rotations and attention are computed again, with a graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rarl.algo.batch import GroupBatch
from rarl.policy.linear import Projection, gated_down
from rarl.types import Prompt


@dataclass(frozen=True, slots=True)
class Room:
    """Rows for the tokens of groups that are sampled: a prompt's, then `fed` for each of its completions, and so on."""

    prompt_lengths: tuple[int, ...]
    completions: int  # of each prompt
    fed: int  # tokens of the longest completion but the last, which goes through the model no more

    @property
    def rows(self) -> int:
        return sum(self.prompt_lengths) + len(self.prompt_lengths) * self.completions * self.fed

    def starts(self) -> tuple[Tensor, Tensor]:
        """The first row of each prompt [N] and of each completion [B]."""
        lengths_N = torch.tensor(self.prompt_lengths)
        groups_N = lengths_N + self.completions * self.fed
        first_N = groups_N.cumsum(0) - groups_N
        own_NG = (first_N + lengths_N)[:, None] + self.fed * torch.arange(self.completions)
        return first_N, own_NG.flatten()

    def prompt_rows(self) -> Tensor:
        """Those of all prompts [T], one after the other."""
        first_N, _ = self.starts()
        return torch.cat(
            [torch.arange(length) + first for length, first in zip(self.prompt_lengths, first_N, strict=True)]
        )


class Products:
    """The products of a pass, computed."""

    def __init__(self, *, adapted: bool = True) -> None:
        self.adapted = adapted

    def at(self, rows_T: Tensor, read_N: Tensor | None = None) -> None:
        """Before a pass of sampling: its rows in the batch's room, and which of them the last layer computes, if not
        all."""

    def of(self, projection: Projection, rows_TI: Tensor) -> Tensor:
        """[T, O]."""
        return projection(rows_TI, self.adapted)

    def gated(self, down: Projection, gate_up_TI: Tensor) -> Tensor:
        """[T, H] of silu(gate) * up."""
        return gated_down(gate_up_TI, down, self.adapted)


class Recording(Products):
    """The products of sampling, computed and kept: of each projection one tensor of `room` rows."""

    def __init__(self, room: int) -> None:
        """`room`: rows of all batches together."""
        super().__init__()
        self.kept: dict[Projection, Tensor] = {}
        self._room, self._first = room, 0  # rows there are, and the first of the batch that is sampled
        self._rows_T = self._read_N = torch.empty(0, dtype=torch.long)
        self._prompts: dict[int, Tensor] = {}  # by identity: its rows
        self._completions: dict[tuple[int, tuple[int, ...]], Tensor] = {}  # and by its tokens

    def at(self, rows_T: Tensor, read_N: Tensor | None = None) -> None:
        self._rows_T = rows_T + self._first
        self._read_N = self._rows_T if read_N is None else self._rows_T[read_N]

    def of(self, projection: Projection, rows_TI: Tensor) -> Tensor:
        return self._keep(projection, super().of(projection, rows_TI))

    def gated(self, down: Projection, gate_up_TI: Tensor) -> Tensor:
        return self._keep(down, super().gated(down, gate_up_TI))

    def _keep(self, projection: Projection, output_TO: Tensor) -> Tensor:
        if projection not in self.kept:
            self.kept[projection] = output_TO.new_empty(self._room, output_TO.shape[1])
        rows = self._rows_T if len(output_TO) == len(self._rows_T) else self._read_N
        self.kept[projection].index_copy_(0, rows, output_TO)
        return output_TO

    def note(self, prompts: Sequence[Prompt], room: Room, token_ids: Sequence[Sequence[int]]) -> None:
        """After a batch was sampled: whose its rows are. `token_ids` are the completions', group by group."""
        starts_N, starts_B = (starts + self._first for starts in room.starts())
        for prompt, start, length in zip(prompts, starts_N, room.prompt_lengths, strict=True):
            self._prompts[id(prompt)] = torch.arange(start, start + length)
        for row, (tokens, start) in enumerate(zip(token_ids, starts_B, strict=True)):
            key = id(prompts[row // room.completions]), tuple(tokens)
            self._completions[key] = torch.arange(start, start + len(tokens) - 1)  # the last token was not fed
        self._first += room.rows

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
            of_prompt, of_completions = self._prompts[id(prompt)], [self._completions[key] for key in keys]
            rows += [of_prompt, *of_completions]
            read += [of_prompt[-1:], *of_completions]
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
        kept = self._recording.kept
        recorded = kept[projection] if self._keep else kept.pop(projection)
        return recorded[self._rows_L if count == len(self._rows_L) else self._read_N]
