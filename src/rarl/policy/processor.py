"""The only place that knows chat templates, image-token expansion and special tokens. Needs no torchvision."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from rarl.errors import DataError, ModelError
from rarl.types import Prompt

IMAGE_TOKEN = "<|image_pad|>"
VISION_TOKENS = (IMAGE_TOKEN, "<|video_pad|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>")


@dataclass(frozen=True, slots=True)
class Pixels:
    """One image as the vision tower takes it: patches [n, channels x temporal x 14 x 14] and their grid (t, h, w)."""

    patches: Tensor
    grid_3: Tensor
    tokens: int  # how many tokens of the language model it becomes


class Processor:
    """Tokenizer and PIL image processor of a Qwen2-VL or Qwen2.5-VL checkpoint.

    `max_vision_tokens` bounds what one image may cost; larger images are scaled down, keeping their aspect.
    """

    def __init__(self, tokenizer: Any, image_processor: Any, max_vision_tokens: int) -> None:
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.image_token_id = int(tokenizer.convert_tokens_to_ids(IMAGE_TOKEN))
        size = dict(image_processor.size)
        bound = max_vision_tokens * (image_processor.patch_size * image_processor.merge_size) ** 2
        longest = min(int(size["longest_edge"]), bound)
        self._size = {"shortest_edge": min(int(size["shortest_edge"]), longest), "longest_edge": longest}

    @classmethod
    def load(cls, base: str, max_vision_tokens: int, trust_remote_code: bool = False) -> Processor:
        """From a checkpoint's folder or hub id; a ModelError where it has no tokenizer, template or processor."""
        from transformers import AutoTokenizer
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

        try:
            image_processor = Qwen2VLImageProcessorPil.from_pretrained(base)
            tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=trust_remote_code)
        except Exception as error:  # transformers raises nearly anything on files that are damaged
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise ModelError(
                f"base model {base!r} has no usable processor: {reason} "
                "It needs preprocessor_config.json and the tokenizer's files beside the weights."
            ) from error
        if tokenizer.chat_template is None:
            raise ModelError(f"the tokenizer of {base!r} has no chat template; use an instruction-tuned checkpoint")
        if tokenizer.convert_tokens_to_ids(IMAGE_TOKEN) in (None, tokenizer.unk_token_id):
            raise ModelError(
                f"the tokenizer of {base!r} has no {IMAGE_TOKEN}; only Qwen2-VL and Qwen2.5-VL are supported"
            )
        message: Any = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]}
        try:
            text = str(tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True))
        except Exception as error:  # jinja raises what the template's own code does
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ModelError(f"the chat template of {base!r} cannot be used: {reason}") from error
        if (count := text.count(IMAGE_TOKEN)) != 1:
            raise ModelError(
                f"the chat template of {base!r} writes {IMAGE_TOKEN} {count} times for one image; once is due"
            )
        return cls(tokenizer, image_processor, max_vision_tokens)

    @property
    def setting(self) -> str:
        """All that decides which patches an image becomes, as JSON."""
        return json.dumps(self.image_processor.to_dict() | {"size": self._size}, sort_keys=True, default=str)

    def pixels(self, image: Image, name: str) -> Pixels:
        """Resized, normalised patches of an RGB image. `name` is for the error on an impossible aspect."""
        try:
            features = self.image_processor(images=[image], size=self._size, return_tensors="pt")
        except ValueError as error:
            raise DataError(f"image {name} can't be processed: {error}") from None
        grid_3 = features["image_grid_thw"][0]
        return Pixels(features["pixel_values"], grid_3, int(grid_3.prod()) // self.image_processor.merge_size**2)

    def prompt_ids(self, prompt: Prompt, tokens_per_image: Sequence[int]) -> list[int]:
        """Token ids of the prompt up to where the completion starts, each image's placeholder repeated."""
        text = self.tokenizer.apply_chat_template(list(prompt.messages), tokenize=False, add_generation_prompt=True)
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        if ids.count(self.image_token_id) != len(tokens_per_image):
            raise DataError(
                f"example {prompt.example.id}: {ids.count(self.image_token_id)} image placeholders for "
                f"{len(tokens_per_image)} images; its text must not contain {IMAGE_TOKEN}"
            )
        counts = iter(tokens_per_image)
        return [token for id_ in ids for token in ([id_] * next(counts) if id_ == self.image_token_id else [id_])]

    def completion_ids(self, text: str) -> list[int]:
        """Token ids of a target completion, the end token included."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return [*ids, int(self.tokenizer.eos_token_id)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of a completion without special tokens."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def suppressed(self, vocabulary: int, device: torch.device) -> Tensor:
        """Bool [V]: what may never be sampled: vision tokens (they crash the next forward) and rows without a token."""
        suppressed_V = torch.zeros(vocabulary, dtype=torch.bool, device=device)
        suppressed_V[len(self.tokenizer) :] = True
        known = self.tokenizer.get_vocab()
        suppressed_V[[known[token] for token in VISION_TOKENS if token in known]] = True
        return suppressed_V

    def save(self, folder: Path) -> None:
        """Write what transformers needs to load the processor again."""
        self.tokenizer.save_pretrained(folder)
        self.image_processor.save_pretrained(folder)
