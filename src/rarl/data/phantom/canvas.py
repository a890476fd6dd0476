"""Drawing on a square grid: ellipses, smooth texture and noise, the same on every platform to a grey level."""

from __future__ import annotations

import math
import random
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.floating[Any]]  # [pixels, pixels] in float32, 0 is black and 1 is white


@lru_cache(maxsize=8)
def _grid(pixels: int) -> tuple[Plane, Plane]:
    centres = (np.arange(pixels, dtype=np.float32) + 0.5) / pixels * 2 - 1
    x, y = np.meshgrid(centres, centres)
    return x, y


class Canvas:
    """Coordinates of a body that lies a little shifted, turned and scaled in the picture, and draws for its parts.

    `x`, `y` run from -1 to 1 over the body, y downwards. Numbers come from the standard library's generator, noise
    from the raw bits of PCG64: neither changes with the platform or with numpy's version.
    """

    def __init__(self, pixels: int, stream: random.Random, noise_seed: int) -> None:
        self.pixels = pixels
        self._stream = stream
        self._bits = np.random.PCG64(noise_seed)
        self.picture_x, self.picture_y = _grid(pixels)
        angle, scale = self.jitter(0.1), 0.98 + self.jitter(0.06)
        cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
        x, y = self.picture_x - self.jitter(0.05), self.picture_y - self.jitter(0.05)
        self.x: Plane = cos * x + sin * y
        self.y: Plane = cos * y - sin * x

    def jitter(self, width: float) -> float:
        """A number between -width and width."""
        return self._stream.uniform(-width, width)

    def uniform(self, low: float, high: float) -> float:
        """A number between low and high."""
        return self._stream.uniform(low, high)

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return self._stream.randint(low, high)

    def ellipse(self, x: float, y: float, width: float, height: float, edge: float = 0.04) -> Plane:
        """1 inside, 0 outside, with a soft edge; `width` and `height` are half axes."""
        radius = np.sqrt(((self.x - x) / width) ** 2 + ((self.y - y) / height) ** 2)
        steepness = 2 * min(width, height) / edge
        return soft_step(steepness * (1 - radius))

    def line(self, distance: Plane, width: float) -> Plane:
        """1 where `distance` is 0, falling off within about `width`."""
        height: Plane = np.exp(-((distance / np.float32(width)) ** 2))
        return height

    def noise(self, *shape: int) -> Plane:
        """Independent values of mean 0 and variance 1, close to normal (sums of four bytes)."""
        count = math.prod(shape)
        raw = self._bits.random_raw((count + 1) // 2).astype("<u8").view(np.uint8)
        total = raw.reshape(-1, 4).sum(axis=1, dtype=np.int32)[:count]
        values: Plane = ((total - 510) / np.float32(147.8)).astype(np.float32).reshape(shape)
        return values

    def texture(self, knots: int) -> Plane:
        """Noise that is smooth between `knots` x `knots` points."""
        position = np.linspace(0, knots - 1.001, self.pixels, dtype=np.float32)
        low = position.astype(np.int64)
        part = position - low.astype(np.float32)
        values = self.noise(knots, knots)
        rows = values[low] * (1 - part)[:, None] + values[low + 1] * part[:, None]
        smooth: Plane = rows[:, low] * (1 - part) + rows[:, low + 1] * part
        return smooth


def soft_step(values: Plane) -> Plane:
    """The logistic function, safe from overflow."""
    step: Plane = 1 / (1 + np.exp(np.clip(-values, -30, 30)))
    return step


def blur(picture: Plane, passes: int) -> Plane:
    """`passes` times the binomial kernel [1, 2, 1] / 4 along both axes; edges are repeated."""
    for _ in range(passes):
        for axis in (0, 1):
            padded = np.pad(picture, [(1, 1) if axis == a else (0, 0) for a in (0, 1)], mode="edge")
            before, after = (padded[:-2], padded[2:]) if axis == 0 else (padded[:, :-2], padded[:, 2:])
            picture = (before + 2 * picture + after) / 4
    return picture
