"""Scored groups, cut into batches of tensors that fit a budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from rarl.algo.batch import GroupBatch
from rarl.types import Group, Prompt


def scored_lengths(groups: Sequence[Group]) -> list[int]:
    """Token counts of the completions that count: those with a total."""
    return [
        len(rollout.token_ids)
        for group in groups
        for rollout, score in zip(group.rollouts, group.scores, strict=True)
        if score.total is not None
    ]


def group_batches(groups: Sequence[Group], budget: int, prompt_length: Callable[[Prompt], int]) -> Iterator[GroupBatch]:
    """Batches of whole groups, in order, of at most `budget` tokens; a group beyond it is a batch by itself.

    Completions that could not be scored are left out, and with them groups in which nothing could be.
    """
    gathered: list[Group] = []
    room = budget
    for group in groups:
        tokens = sum(scored_lengths([group]))
        if not tokens:
            continue
        tokens += prompt_length(group.prompt)
        if gathered and tokens > room:
            yield to_batch(gathered)
            gathered, room = [], budget
        gathered.append(group)
        room -= tokens
    if gathered:
        yield to_batch(gathered)


def to_batch(groups: Sequence[Group]) -> GroupBatch:
    """The scored completions of some groups as one batch, on the CPU."""
    rows, advantages, sizes = [], [], []
    for group in groups:
        members = zip(group.rollouts, group.scores, group.advantages, strict=True)
        scored = [(rollout.token_ids, advantage) for rollout, score, advantage in members if score.total is not None]
        rows += [torch.tensor(token_ids) for token_ids, _ in scored]
        advantages += [advantage for _, advantage in scored]
        sizes.append(len(scored))
    ids_BT = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    lengths_B = torch.tensor([len(row) for row in rows])
    return GroupBatch(
        prompts=tuple(group.prompt for group in groups),
        sizes=tuple(sizes),
        completion_ids_BT=ids_BT,
        mask_BT=torch.arange(ids_BT.shape[1]) < lengths_B[:, None],
        advantages_B=torch.tensor(advantages),
    )
