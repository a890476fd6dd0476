"""The vision tower is frozen, so every image is encoded once, one at a time, and its features are kept."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image

from rarl.errors import ModelError
from rarl.policy.features import FeatureFiles, ImageFeatures, image_digest, setting_digest
from rarl.policy.processor import Processor
from rarl.types import ImageSource

RAM_BYTES = 2 * 2**30  # some 750 images of 900 tokens of a 2B model


class VisionFeatures:
    """Features by image: in RAM those used last, and with a `folder` all of them on disk, for later runs too.

    `encodes` counts the tower's calls, `disk_hits` the images that were found on disk instead. What is kept is on the
    CPU, whatever the model is on: an image's features are on a device in a millisecond, and those of a data set would
    take gigabytes there from the batch. On the CPU nothing is copied.
    """

    def __init__(
        self, model: Any, processor: Processor, folder: Path | None = None, ram_bytes: int = RAM_BYTES
    ) -> None:
        self._model, self._processor, self._ram_bytes = model, processor, ram_bytes
        self._files = FeatureFiles(folder) if folder else None
        self._digests: dict[ImageSource, str] = {}  # of what has been read, so that it need not be again
        self._kept: OrderedDict[str, ImageFeatures] = OrderedDict()  # by image digest, the one used last at the end
        self._kept_bytes = 0
        self.encodes = self.disk_hits = 0

    def of(self, source: ImageSource) -> ImageFeatures:
        """The image's features, computed at the first time of asking. ModelError if what computes them trains."""
        self._require_frozen()
        image, digest = None, self._digests.get(source)
        if digest is None:
            image = source.read()
            digest = self._digests[source] = image_digest(image)
        features = self._kept.pop(digest, None)
        if features is None:
            features = self._from_disk(digest) or self._computed(image or source.read(), source.name, digest)
            self._kept_bytes += features.nbytes
        self._kept[digest] = features
        while self._kept_bytes > self._ram_bytes:
            self._kept_bytes -= self._kept.popitem(last=False)[1].nbytes
        return features

    def _from_disk(self, digest: str) -> ImageFeatures | None:
        features = self._files.read(self._setting, digest) if self._files else None
        self.disk_hits += features is not None
        return features

    @torch.no_grad()
    def _computed(self, image: Image, name: str, digest: str) -> ImageFeatures:
        pixels = self._processor.pixels(image, name)
        device = self._model.device
        output = self._model.model.get_image_features(
            pixels.patches.to(device), pixels.grid_3[None].to(device), return_dict=True
        )
        self.encodes += 1
        features = ImageFeatures(torch.cat(list(output.pooler_output)).detach().cpu(), pixels.grid_3)
        if self._files:
            self._files.write(self._setting, digest, features)
        return features

    @cached_property
    def _setting(self) -> str:
        """Only a disk asks for it, and it takes a moment. The weights are frozen, so once is enough."""
        return setting_digest(self._model.model.visual, self._processor)

    def _require_frozen(self) -> None:
        if any(parameter.requires_grad for parameter in self._model.model.visual.parameters()):
            raise ModelError(
                "the vision tower or its merger trains, but image features are computed once and kept: "
                "freeze model.visual, and train the language model alone"
            )
