"""A prompt as the language model takes it, and prompts with their completions in one packed row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rarl.policy.processor import Processor
from rarl.policy.vision import VisionFeatures
from rarl.types import Prompt


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """Token ids [P], each image's features, M-RoPE positions [3, P], the completion's first position: on the CPU."""

    ids_P: Tensor
    is_image_P: Tensor
    features_VH: tuple[Tensor, ...]
    positions_3P: Tensor
    next_position: int

    def __len__(self) -> int:
        return len(self.ids_P)


@torch.no_grad()
def encode(prompt: Prompt, base: Any, processor: Processor, vision: VisionFeatures) -> EncodedPrompt:
    """Tokens, image features and positions of a prompt."""
    images = [vision.of(source) for source in prompt.example.images]
    ids_P = torch.tensor(processor.prompt_ids(prompt, [len(image.features_VH) for image in images]))
    is_image_P = ids_P == processor.image_token_id
    grids = torch.stack([image.grid_3 for image in images]) if images else None
    positions_31P, _ = base.model.get_rope_index(
        ids_P[None], mm_token_type_ids=is_image_P[None].int(), image_grid_thw=grids
    )
    # An image's positions grow by its longer side only: the text after it does not go on at its own index.
    next_position = int(positions_31P.max()) + 1
    return EncodedPrompt(
        ids_P, is_image_P, tuple(image.features_VH for image in images), positions_31P[:, 0], next_position
    )


@dataclass(frozen=True, slots=True)
class Packed:
    """Prompts and completions as one row [prompt 1 | its completions | prompt 2 | ..], without padding.

    A completion's last token predicts nothing and is not fed: L = sum over groups of P + sum(lengths) - G.
    """

    prompts: tuple[EncodedPrompt, ...]
    fed_lengths: tuple[tuple[int, ...], ...]  # of each group's completions
    ids_L: Tensor
    is_image_L: Tensor
    positions_3L: Tensor

    @property
    def prompt_lengths(self) -> list[int]:
        return [len(prompt) for prompt in self.prompts]


def pack(prompts: Sequence[EncodedPrompt], completions: Sequence[Sequence[Tensor]]) -> Packed:
    """Each prompt followed by the fed tokens of its completions, which may be none. On the CPU."""
    ids, is_image, positions = [], [], []
    for prompt, group in zip(prompts, completions, strict=True):
        ids += [prompt.ids_P, *group]
        fed = sum(map(len, group))
        is_image += [prompt.is_image_P, torch.zeros(fed, dtype=torch.bool)]
        columns = [prompt.next_position + torch.arange(len(completion)) for completion in group]
        positions += [prompt.positions_3P, *(column_C.expand(3, -1) for column_C in columns)]
    lengths = tuple(tuple(len(completion) for completion in group) for group in completions)
    return Packed(tuple(prompts), lengths, torch.cat(ids), torch.cat(is_image), torch.cat(positions, 1))


def predicting_rows(fed_lengths: Sequence[Sequence[int]]) -> Tensor:
    """Which of the rows that are read (each prompt's last, then its completions') predicts each completion token."""
    rows = []
    start = 0
    for group in fed_lengths:
        last_of_prompt, start = start, start + 1
        for fed in group:
            rows += [last_of_prompt, *range(start, start + fed)]
            start += fed
    return torch.tensor(rows)
