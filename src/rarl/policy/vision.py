"""The vision tower is frozen, so every image is encoded once, one at a time, and its features are kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import Any

import torch

from rarl.data.workers import Workers
from rarl.errors import ModelError
from rarl.policy.features import FeatureFiles, ImageFeatures, image_digest, setting_digest
from rarl.policy.processor import Pixels, Processor
from rarl.types import ImageSource

RAM_BYTES = 2 * 2**30  # some 750 images of 900 tokens of a 2B model


@dataclass(frozen=True, slots=True)
class _Read:
    """An image as far as it gets without the tower: its features from the disk, or what they are made of."""

    digest: str
    content: ImageFeatures | Pixels


class VisionFeatures:
    """Features by image: in RAM those used last, and with `files` all of them on disk, for later runs too.

    `encodes` counts the tower's calls, `disk_hits` the images that were found on disk instead, `waited` the seconds in
    which nothing was done but read images. What is kept is on the CPU, whatever the model is on: an image's features
    are on a device in a millisecond, and those of a data set would take gigabytes there from the batch. On the CPU
    nothing is copied.
    """

    def __init__(
        self, model: Any, processor: Processor, files: FeatureFiles | None = None, ram_bytes: int = RAM_BYTES
    ) -> None:
        self._model, self._processor, self._ram_bytes = model, processor, ram_bytes
        self._files = files
        self._digests: dict[ImageSource, str] = {}  # of what has been read, so that it need not be again
        self._kept: OrderedDict[str, ImageFeatures] = OrderedDict()  # by image digest, the one used last at the end
        self._kept_bytes = 0
        self._ahead: dict[ImageSource, Callable[[], _Read]] = {}
        self._workers = Workers()
        self.encodes = self.disk_hits = 0
        self.waited = 0.0

    def begin(self, sources: Iterable[ImageSource]) -> None:
        """Read these images meanwhile, since `of` will ask for them; what was begun and is not among them is let go."""
        unread = (source for source in sources if self._digests.get(source) not in self._kept)
        known, self._ahead = self._ahead, {}
        for source in unread:
            if source not in self._ahead:
                self._ahead[source] = known.get(source) or self._workers.begin(self._read, source)

    def of(self, source: ImageSource) -> ImageFeatures:
        """The image's features, computed at the first time of asking. ModelError if what computes them trains."""
        self._require_frozen()
        digest = self._digests.get(source)
        features = None if digest is None else self._kept.get(digest)
        if digest is None or features is None:
            read = self._wait(source)
            digest = self._digests[source] = read.digest
            features = self._kept.get(digest)  # of another source with the same pixels
            if features is None:
                features = self._kept[digest] = self._computed(read)
                self._kept_bytes += features.nbytes
        self._kept.move_to_end(digest)
        while self._kept_bytes > self._ram_bytes:
            self._kept_bytes -= self._kept.popitem(last=False)[1].nbytes
        return features

    def _wait(self, source: ImageSource) -> _Read:
        begun = self._ahead.pop(source, None)
        start = perf_counter()
        try:
            return begun() if begun else self._read(source)
        finally:
            self.waited += perf_counter() - start

    def _read(self, source: ImageSource) -> _Read:
        image, digest = None, self._digests.get(source)
        if digest is None:
            image = source.read()
            digest = image_digest(image)
        if self._files and (found := self._files.read(self._setting, digest)):
            return _Read(digest, found)
        return _Read(digest, self._processor.pixels(image or source.read(), source.name))

    @torch.no_grad()
    def _computed(self, read: _Read) -> ImageFeatures:
        if isinstance(read.content, ImageFeatures):
            self.disk_hits += 1
            return read.content
        device, pixels = self._model.device, read.content
        output = self._model.model.get_image_features(
            pixels.patches.to(device), pixels.grid_3[None].to(device), return_dict=True
        )
        self.encodes += 1
        features = ImageFeatures(torch.cat(list(output.pooler_output)).detach().cpu(), pixels.grid_3)
        if self._files:
            self._files.write(self._setting, read.digest, features)
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
