"""The warm start's material: questions with gold or faulty completions, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from rarl.data.phantom.loading import as_example
from rarl.data.phantom.questions import Item, rationale
from rarl.data.phantom.rendering import Pixels, render
from rarl.data.phantom.scenes import Scene, words
from rarl.prompting import ask
from rarl.prompting import render as render_completion
from rarl.types import Template

PATCH, MERGE = 14, 2
_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], dtype=np.float32)
_STD = np.array([0.26862954, 0.26130258, 0.27577711], dtype=np.float32)
ANSWER_WEIGHT = 3.0  # an answer is a tenth of a completion's tokens and as much worth as its reasoning


@dataclass(frozen=True, slots=True)
class Lesson:
    """A question under an instruction; `told` is the scene that the reasoning describes, `answer` what it ends in."""

    item: Item
    template: Template
    told: Scene
    answer: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Lessons padded on the right. Weights are 0 but on the tokens to be learnt.

    `cells_BV`: of each vision token 0, or 1 + the index of the tone and size of the lesion there; `modalities_B`.
    """

    input_ids_BT: Tensor
    mask_BT: Tensor
    positions_3BT: Tensor
    weights_BT: Tensor
    pixel_values: Tensor  # [B x patches, 3 x 2 x 14 x 14], as Qwen2-VL's image processor lays them out
    grid_B3: Tensor
    cells_BV: Tensor
    modalities_B: Tensor


def patchify(pictures: Sequence[Pixels]) -> tuple[Tensor, Tensor]:
    """Pictures of one size as `pixel_values` and `image_grid_thw`, equal to Qwen2-VL's image processor's."""
    values = (np.stack(pictures).astype(np.float32) / 255 - _MEAN) / _STD
    n, height, width, _ = values.shape
    rows, columns = height // PATCH, width // PATCH
    blocks = values.reshape(n, rows // MERGE, MERGE, PATCH, columns // MERGE, MERGE, PATCH, 3)
    patches = blocks.transpose(0, 1, 4, 2, 5, 7, 3, 6).reshape(n * rows * columns, 3, 1, PATCH * PATCH)
    twice = np.broadcast_to(patches, (len(patches), 3, 2, PATCH * PATCH)).reshape(len(patches), -1)
    return torch.from_numpy(twice.copy()), torch.tensor([[1, rows, columns]] * n)


def rope_positions(is_image_BT: Tensor, grid: tuple[int, int]) -> Tensor:
    """M-RoPE positions [3, B, T] of right-padded sequences with one image of `grid` merged tokens in each."""
    rows, columns = grid
    start_B1 = is_image_BT.int().argmax(1, keepdim=True)
    index = torch.arange(is_image_BT.shape[1])[None]
    place = index - start_B1
    after = torch.where(place >= rows * columns, index - rows * columns + max(rows, columns), index)
    offsets = (torch.zeros_like(place), place // columns, place % columns)
    return torch.stack([torch.where(is_image_BT, start_B1 + offset, after) for offset in offsets])


def cell_labels(scene: Scene) -> list[int]:
    """What each of 3 x 3 vision tokens of a picture of 84 pixels has to show."""
    vocabulary = words()
    cells = [0] * 9
    for zone in scene.zones:
        assert scene.tone is not None
        assert scene.size is not None
        kind = 1 + 2 * vocabulary.tones.index(scene.tone) + vocabulary.sizes.index(scene.size)
        cells[3 * vocabulary.zones.index(zone) + (0 if scene.side == "left" else 2)] = kind
    return cells


class Classroom:
    """Turns lessons into batches for one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        vocabulary = tokenizer.get_vocab()
        self._pad, self._image = vocabulary["<|endoftext|>"], vocabulary["<|image_pad|>"]
        self._modalities = list(words().modalities)

    def texts(self, lesson: Lesson, n_vision: int = 9) -> tuple[str, str]:
        """Prompt, with `n_vision` image tokens, and completion, as the model is used later."""
        prompt = ask(as_example(lesson.item, "lesson"), lesson.template)
        messages: list[Any] = list(prompt.messages)
        chat = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        reasoning = rationale(lesson.told) if lesson.template.shape.reasons else None
        completion = render_completion(lesson.template.shape, reasoning, lesson.answer)
        return str(chat).replace("<|image_pad|>", "<|image_pad|>" * n_vision), f"{completion}<|im_end|>"

    def batch(self, lessons: Sequence[Lesson]) -> Batch:
        """The lessons as tensors; pictures are drawn here, at 84 pixels."""
        rows = [[self._tokenizer(text).input_ids for text in self.texts(lesson)] for lesson in lessons]
        longest = max(len(prompt) + len(completion) for prompt, completion in rows)
        ids = torch.full((len(rows), longest), self._pad)
        weights = torch.zeros(len(rows), longest)
        mask = torch.zeros(len(rows), longest, dtype=torch.long)
        for row, (prompt, completion) in enumerate(rows):
            end = len(prompt) + len(completion)
            ids[row, :end] = torch.tensor(prompt + completion)
            mask[row, :end] = 1
            weights[row, len(prompt) : end] = torch.tensor(self._token_weights(completion))
        pixel_values, grid = patchify([render(lesson.item.scene) for lesson in lessons])
        return Batch(
            input_ids_BT=ids,
            mask_BT=mask,
            positions_3BT=rope_positions(ids == self._image, (3, 3)),
            weights_BT=weights,
            pixel_values=pixel_values,
            grid_B3=grid,
            cells_BV=torch.tensor([cell_labels(lesson.item.scene) for lesson in lessons]),
            modalities_B=torch.tensor([self._modalities.index(lesson.item.scene.modality) for lesson in lessons]),
        )

    def _token_weights(self, completion: Sequence[int]) -> list[float]:
        """ANSWER_WEIGHT between <answer> and </answer>, 1 elsewhere."""
        pieces = [piece.removeprefix("Ġ") for piece in self._tokenizer.convert_ids_to_tokens(list(completion))]
        start, end = pieces.index("<answer>"), pieces.index("</answer>")
        return [ANSWER_WEIGHT if start < place < end else 1.0 for place in range(len(pieces))]
