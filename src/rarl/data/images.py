"""Image files as 8-bit RGB, safely: whatever a file holds, the result is an image or one DataError that names it."""

from __future__ import annotations

import io
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol, runtime_checkable
from zipfile import ZipFile

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from rarl.errors import DataError

# Only formats that Pillow decodes by itself: no EPS, which would start Ghostscript on a stranger's file.
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF")
MAX_ASPECT = 200  # longer side : shorter; the models' image processor takes no more
MAX_BYTES = 500_000_000  # of one image, unpacked from an archive
PIECE = 4096  # bytes read of an archive at a time: not every decompressor can be told when to stop
MAX_PIXELS = 80_000_000  # 240 MB as RGB; what claims more is taken for a decompression bomb

# What Pillow's decoders raise on damaged files.
_DAMAGED = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, struct.error)

_UPRIGHT = {  # by EXIF's orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@runtime_checkable
class Checkable(Protocol):
    """An image source that can say cheaply whether it will be readable."""

    def check(self) -> None:
        """Nothing if it is; a DataError if not."""


@dataclass(frozen=True, slots=True)
class FileImage:
    """An image in a file."""

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

    @property
    def name(self) -> str:
        return self.path.name

    def read(self) -> Image.Image:
        """8-bit RGB as `to_rgb` makes it; DataError if the file is missing, damaged, no image, or too large."""
        return _read(self.path, str(self.path))

    def check(self) -> None:
        """DataError if `read` would fail, at a small part of its cost."""
        _check(self.path, str(self.path))


@dataclass(frozen=True, slots=True)
class BytesImage:
    """An image held in memory as the bytes of its file. Equal bytes are the same image, whatever they are called."""

    data: bytes = field(repr=False)
    name: str = field(compare=False)

    def read(self) -> Image.Image:
        return _read(io.BytesIO(self.data), self.name)

    def check(self) -> None:
        _check(io.BytesIO(self.data), self.name)


@dataclass(frozen=True, slots=True)
class ZippedImage:
    """An image in a zip archive, which stays packed: a member is read when it is asked for."""

    archive: Path
    member: str

    @property
    def name(self) -> str:
        return Path(self.member).name

    def read(self) -> Image.Image:
        return _read(self._bytes(), f"{self.archive}/{self.member}")

    def check(self) -> None:
        _check(self._bytes(), f"{self.archive}/{self.member}")

    def _bytes(self) -> io.BytesIO:
        try:
            return _unpacked(_archive(self.archive, os.getpid()), self.member)
        except KeyError:
            raise DataError(f"{self.archive} has no {self.member!r}") from None
        except DataError as error:
            raise DataError(f"{self.archive}/{self.member} {error}") from None
        except Exception as error:  # every decompressor has errors of its own
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"{self.archive}/{self.member} cannot be unpacked: {reason}") from error


def members(archive: Path) -> frozenset[str]:
    """The names of the files in a zip archive. DataError if it cannot be read, or holds none."""
    try:
        with ZipFile(archive) as opened:
            found = frozenset(name for name in opened.namelist() if not name.endswith("/"))
    except Exception as error:  # a damaged list of contents fails in many ways
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{archive} cannot be read ({reason}); fetch it again") from error
    if not found:
        raise DataError(f"{archive} is an archive without files; fetch it again")
    return found


@lru_cache(maxsize=4)
def _archive(path: Path, process: int) -> ZipFile:
    """An archive, opened once in each process: a forked one would share the place in the file."""
    return ZipFile(path)


def _unpacked(archive: ZipFile, member: str) -> io.BytesIO:
    """A member, read as far as the size that the archive claims for it: a bomb claims little and unfolds to much."""
    info = copy(archive.getinfo(member))
    claimed = info.file_size
    if claimed > MAX_BYTES:
        raise DataError(f"has more than the {MAX_BYTES:,} bytes that are read")
    info.file_size = MAX_BYTES + 1  # else zipfile would itself stop at the claim, and not say that there is more
    found = io.BytesIO()
    with archive.open(info) as file:
        while piece := file.read(PIECE):
            found.write(piece)
            if found.tell() > claimed:
                raise DataError(f"has more than the {claimed:,} bytes that the archive claims for it")
    found.seek(0)
    return found


def to_rgb(image: Image.Image) -> Image.Image:
    """Any image as a viewer would show it, in 8-bit RGB.

    The EXIF rotation is applied (a damaged EXIF block is ignored). Transparent pixels lie on black, the background of
    medical images. Grey values of more than 8 bits are scaled by their own range, see `_eight_bits`. An animation
    gives its first frame.
    """
    turn = _upright(image)
    if turn is not None:
        image = image.transpose(turn)
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return image.convert("RGB")


def _upright(image: Image.Image) -> Image.Transpose | None:
    # Not ImageOps.exif_transpose: it writes the block anew, and fails on one that is odd elsewhere.
    image.load()  # PNG may keep the block behind the pixels
    try:
        return _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except _DAMAGED:
        return None


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey values linearly to 0..255: from 0..2^b - 1, b the bits that the largest value needs (at least 8).

    So 12-bit data in a 16-bit file comes out neither white (Pillow clips at 255) nor black (division by 257), and an
    empty image isn't stretched to noise. Values that are negative or not whole have no such range: theirs is
    smallest..largest; what is not finite becomes the smallest.
    """
    values = np.asarray(image, dtype=np.float64)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    if low >= 0 and not np.any(finite % 1):
        low, high = 0.0, 2.0 ** max(8, int(high).bit_length()) - 1
    scaled = (np.where(np.isfinite(values), values, low) - low) * (255 / max(high - low, 1e-300))
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


def _read(source: Path | io.BytesIO, name: str) -> Image.Image:
    with _opened(source, name) as image:
        return to_rgb(image)


def _check(source: Path | io.BytesIO, name: str) -> None:
    with _opened(source, name) as image:
        if image.format == "PNG":
            image.verify()  # every chunk's checksum, which decoding passes over; the image is used up by it
    with _opened(source, name) as image:
        image.draft("RGB", (1, 1))  # JPEG: the whole stream is decoded, at an eighth of the size
        image.load()


@contextmanager
def _opened(source: Path | io.BytesIO, name: str) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            # Odd tags are no news, and for large images the limit below is the stricter one.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            with Image.open(source, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DataError(f"{name}: {image.width} x {image.height} pixels; at most {MAX_PIXELS:,} are read")
                if max(image.size) > MAX_ASPECT * min(image.size):
                    raise DataError(f"{name}: {image.width} x {image.height} pixels; at most {MAX_ASPECT} : 1 is read")
                yield image
    except FileNotFoundError:
        raise DataError(f"{name} does not exist") from None
    except UnidentifiedImageError:
        raise DataError(f"{name} is not an image in a known format ({', '.join(FORMATS)})") from None
    except Image.DecompressionBombError:
        raise DataError(f"{name} claims far more pixels than the {MAX_PIXELS:,} that are read") from None
    except _DAMAGED as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise DataError(f"{name} cannot be read as an image: {reason or type(error).__name__}") from None
