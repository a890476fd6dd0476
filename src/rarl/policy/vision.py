"""The vision tower is frozen, so every image is encoded once, one at a time, and its features are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rarl.policy.processor import Processor
from rarl.types import ImageSource


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """An image as the language model sees it: features [V, H] and its patch grid (t, h, w)."""

    features_VH: Tensor
    grid_3: Tensor


class VisionFeatures:
    """Features by image source. `encodes` counts the tower's calls."""

    def __init__(self, model: Any, processor: Processor) -> None:
        self._model, self._processor = model, processor
        self._kept: dict[ImageSource, ImageFeatures] = {}
        self.encodes = 0

    @torch.no_grad()
    def of(self, source: ImageSource) -> ImageFeatures:
        """The image's features, computed at the first time of asking."""
        if source not in self._kept:
            pixels = self._processor.pixels(source.read(), source.name)
            device = self._model.device
            output = self._model.model.get_image_features(
                pixels.patches.to(device), pixels.grid_3[None].to(device), return_dict=True
            )
            self.encodes += 1
            self._kept[source] = ImageFeatures(torch.cat(list(output.pooler_output)).detach(), pixels.grid_3)
        return self._kept[source]
