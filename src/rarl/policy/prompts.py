"""A prompt as the language model takes it, and prompts with their completions in one packed row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rarl.algo.batch import GroupBatch
from rarl.policy.processor import Processor
from rarl.policy.vision import VisionFeatures
from rarl.types import Prompt


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """Embeddings [P, H], image features in place; M-RoPE positions [3, P]; the completion's first position."""

    ids_P: Tensor
    embeddings_PH: Tensor
    positions_3P: Tensor
    next_position: int

    def __len__(self) -> int:
        return len(self.embeddings_PH)


@torch.no_grad()
def encode(prompt: Prompt, base: Any, processor: Processor, vision: VisionFeatures) -> EncodedPrompt:
    """Tokens, image features and positions of a prompt, on the base model's device."""
    images = [vision.of(source) for source in prompt.example.images]
    ids = processor.prompt_ids(prompt, [len(image.features_VH) for image in images])
    ids_P = torch.tensor(ids, device=base.device)
    is_image_P = ids_P == processor.image_token_id
    embeddings_PH = base.model.language_model.embed_tokens(ids_P)
    grids = None
    if images:
        features_VH = torch.cat([image.features_VH for image in images]).to(embeddings_PH)
        embeddings_PH = embeddings_PH.masked_scatter(is_image_P[:, None], features_VH)
        grids = torch.stack([image.grid_3 for image in images])
    positions_31P, _ = base.model.get_rope_index(
        ids_P[None].cpu(), mm_token_type_ids=is_image_P[None].int().cpu(), image_grid_thw=grids
    )
    positions_3P = positions_31P[:, 0].to(base.device)
    # An image's positions grow by its longer side only: the text after it does not go on at its own index.
    return EncodedPrompt(ids_P, embeddings_PH, positions_3P, int(positions_31P.max()) + 1)


@dataclass(frozen=True, slots=True)
class Packed:
    """Prompts and completions as one row [prompt 1 | its completions | prompt 2 | ..], without padding.

    A completion's last token predicts nothing and is not fed: L = sum over groups of P + sum(lengths) - G.
    """

    prompt_lengths: list[int]
    fed_lengths: list[list[int]]  # of each group's completions
    fed_ids_F: Tensor  # the completions' fed tokens, all groups
    positions_3L: Tensor
    predicting_T: Tensor  # which place of the row predicts each completion token


def pack(prompts: Sequence[EncodedPrompt], batch: GroupBatch, ids_BT: Tensor) -> Packed:
    """Where every token of the batch goes."""
    device = ids_BT.device
    lengths = iter(batch.lengths)
    fed_lengths, fed_ids, positions, predicting = [], [], [], []
    start = row = 0
    for prompt, size in zip(prompts, batch.sizes, strict=True):
        positions.append(prompt.positions_3P)
        start += len(prompt)
        last_of_prompt = torch.tensor([start - 1], device=device)
        fed_lengths.append([next(lengths) - 1 for _ in range(size)])
        for fed in fed_lengths[-1]:
            fed_ids.append(ids_BT[row, :fed])
            positions.append((prompt.next_position + torch.arange(fed, device=device)).expand(3, -1))
            predicting += [last_of_prompt, torch.arange(start, start + fed, device=device)]
            start, row = start + fed, row + 1
    return Packed(
        prompt_lengths=[len(prompt) for prompt in prompts],
        fed_lengths=fed_lengths,
        fed_ids_F=torch.cat(fed_ids),
        positions_3L=torch.cat(positions, 1),
        predicting_T=torch.cat(predicting),
    )
