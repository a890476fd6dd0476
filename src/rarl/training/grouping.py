"""Scored groups, cut into batches of tensors that fit a budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.nn.utils.rnn import pad_sequence

from rarl.algo.batch import GroupBatch
from rarl.types import Group, Prompt, Rollout


def scored_rollouts(groups: Sequence[Group]) -> list[Rollout]:
    """The completions that count, those with a total, in the order in which batches hold them."""
    return [member.rollout for group in groups for member in _scored(group)]


def scored_lengths(groups: Sequence[Group]) -> list[int]:
    """Their token counts."""
    return [len(rollout.token_ids) for rollout in scored_rollouts(groups)]


@dataclass(frozen=True, slots=True)
class _Member:
    """A scored completion and its advantage."""

    rollout: Rollout
    advantage: float


Part = tuple[Prompt, list[_Member]]  # some completions of one prompt


def group_batches(groups: Sequence[Group], budget: int, prompt_length: Callable[[Prompt], int]) -> Iterator[GroupBatch]:
    """Batches of whole groups, in order, of at most `budget` tokens.

    A group beyond the budget is cut, its prompt computed again for each part; one completion is the least that a part
    holds. Completions that could not be scored are left out, and with them groups in which nothing could be.
    """
    gathered: list[Part] = []
    room = budget
    for group in groups:
        length = prompt_length(group.prompt)
        for members in _parts(_scored(group), budget - length):
            tokens = length + _tokens(members)
            if gathered and tokens > room:
                yield _to_batch(gathered)
                gathered, room = [], budget
            gathered.append((group.prompt, members))
            room -= tokens
    if gathered:
        yield _to_batch(gathered)


def to_batch(groups: Sequence[Group]) -> GroupBatch:
    """The scored completions of some groups as one batch, on the CPU."""
    return _to_batch([(group.prompt, _scored(group)) for group in groups])


def halved(batches: Iterable[GroupBatch], prompt_length: Callable[[Prompt], int]) -> int:
    """The budget that cuts the largest of these batches in two; 0 where each holds a single completion."""
    several = [batch for batch in batches if sum(batch.sizes) > 1]
    return max((sum(batch.lengths) + sum(map(prompt_length, batch.prompts)) for batch in several), default=0) // 2


def _scored(group: Group) -> list[_Member]:
    members = zip(group.rollouts, group.scores, group.advantages, strict=True)
    return [_Member(rollout, advantage) for rollout, score, advantage in members if score.total is not None]


def _tokens(members: Sequence[_Member]) -> int:
    return sum(len(member.rollout.token_ids) for member in members)


def _parts(members: Sequence[_Member], room: int) -> Iterator[list[_Member]]:
    """Runs of completions of at most `room` tokens, or of one completion."""
    part: list[_Member] = []
    for member in members:
        if part and _tokens([*part, member]) > room:
            yield part
            part = []
        part.append(member)
    if part:
        yield part


def _to_batch(parts: Sequence[Part]) -> GroupBatch:
    members = [member for _, part in parts for member in part]
    ids_BT = pad_sequence([torch.tensor(member.rollout.token_ids) for member in members], batch_first=True)
    sampled_BT = pad_sequence([torch.tensor(member.rollout.logprobs) for member in members], batch_first=True)
    lengths_B = torch.tensor([len(member.rollout.token_ids) for member in members])
    return GroupBatch(
        prompts=tuple(prompt for prompt, _ in parts),
        sizes=tuple(len(part) for _, part in parts),
        completion_ids_BT=ids_BT,
        mask_BT=torch.arange(ids_BT.shape[1]) < lengths_B[:, None],
        advantages_B=torch.tensor([member.advantage for member in members]),
        sampled_BT=sampled_BT,
    )
