"""Which examples share an image, by its pixels: names and file formats differ between copies of the same set."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from rarl.data.workers import Workers
from rarl.terminal import progress
from rarl.types import Example, ImageSource

if TYPE_CHECKING:
    from PIL.Image import Image


def fingerprint(image: ImageSource) -> str:
    """Equal for images of equal size and pixels. Errors: DataError."""
    return fingerprint_of(image.read())


def fingerprint_of(pixels: Image) -> str:
    """That of an image in 8-bit RGB."""
    return hashlib.sha256(f"{pixels.size}".encode() + pixels.tobytes()).hexdigest()


def fingerprints(examples: Collection[Example]) -> dict[ImageSource, str]:
    """Those of all their images. Errors: DataError."""
    images = dict.fromkeys(image for example in examples for image in example.images)
    with Workers() as pool:
        begun = [(image, pool.begin(fingerprint, image)) for image in images]
        return {image: result() for image, result in progress(begun, "reading images", total=len(images))}


def sharing_none(examples: Iterable[Example], known: Collection[str]) -> tuple[Iterator[Example], list[str]]:
    """The examples none of whose images is among these fingerprints, and a list that the ids of the others go to."""
    others: list[str] = []
    once = cache(fingerprint)

    def apart() -> Iterator[Example]:
        for example in examples:
            if known and any(once(image) in known for image in example.images):
                others.append(example.id)
            else:
                yield example

    return apart(), others
