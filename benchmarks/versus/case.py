"""What both sides are asked to do, from the same few numbers in each process: prompts, images, lengths."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from rarl.config import Lora
from rarl.draws import Draws
from rarl.prompting import ask, load_pool
from rarl.types import Example, Prompt

BETA = 0.04
LEARNING_RATE = 1e-5
MAX_GRAD_NORM = 1.0
LORA = Lora(r=8, alpha=16)
PIXELS_PER_TOKEN = 28  # along each side of an image
MAX_VISION_TOKENS = 1280  # what the checkpoint's image processor takes before it scales an image down
SHORTEST = 8  # ragged completions are from an eighth of the longest to the longest
QUESTION = "Is there an opacity in the lower zone of the left lung, or a lesion in the right lung?"


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    vision_tokens: int
    group_size: int
    new_tokens: int
    groups: int = 1
    checkpointing: bool = False
    ragged: bool = False
    model: str = "mid"
    dtype: str = "float32"
    device: str = "cpu"
    steps: int = 1  # measured ones, after one to warm up
    micro_batch: int = 0  # completions of a forward and backward on TRL's side; 0: all of them

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Case:
        return cls(**json.loads(text))

    @property
    def completions(self) -> int:
        return self.groups * self.group_size

    @cached_property
    def prompts(self) -> list[Prompt]:
        """One question about as many images as there are groups."""
        return [prompt(number, *grid(self.vision_tokens)) for number in range(self.groups)]

    @cached_property
    def lengths(self) -> list[int]:
        """Tokens of each completion, group by group; the end token of a ragged one is included."""
        if not self.ragged:
            return [self.new_tokens] * self.completions
        stream = Draws(0).at("lengths", self.new_tokens).stream()
        return [stream.randint(max(1, self.new_tokens // SHORTEST), self.new_tokens) for _ in range(self.completions)]


@dataclass(frozen=True)
class Noise:
    """An image of rows x columns vision tokens, each number another one; its pixels don't matter."""

    number: int
    rows: int
    columns: int

    @property
    def name(self) -> str:
        return f"noise {self.number}"

    def read(self) -> Image.Image:
        shape = (self.rows * PIXELS_PER_TOKEN, self.columns * PIXELS_PER_TOKEN, 3)
        return Image.fromarray(np.random.default_rng(self.number).integers(0, 256, shape, dtype=np.uint8))


def grid(tokens: int) -> tuple[int, int]:
    """The rows and columns of so many tokens that are nearest to a square."""
    rows = max(n for n in range(1, int(tokens**0.5) + 1) if tokens % n == 0)
    return rows, tokens // rows


def prompt(number: int, rows: int, columns: int) -> Prompt:
    example = Example(f"{number}", f"{number}", (Noise(number, rows, columns),), QUESTION, "yes")
    return ask(example, load_pool("default").reasoning)
