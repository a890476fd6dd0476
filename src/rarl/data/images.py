"""Image files as 8-bit RGB, safely: whatever a file holds, the result is an image or one DataError that names it."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from rarl.data import dicom, volumes
from rarl.data.archives import member
from rarl.data.limits import MAX_PIXELS, require_size
from rarl.data.quiet import quiet
from rarl.data.windows import Window
from rarl.errors import DataError
from rarl.types import ImageSource

# Only formats that Pillow decodes by itself: no EPS, which would start Ghostscript on a stranger's file.
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF")
OTHERS = ("DICOM", "NIfTI", "NumPy")
HEAD = 400  # bytes that tell a format

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
    window: Window | None = None
    frame: int | None = None
    threads: ClassVar = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

    @property
    def name(self) -> str:
        return self.path.name

    def read(self) -> Image.Image:
        """8-bit RGB as `to_rgb` makes it; DataError if the file is missing, damaged, no image, or too large."""
        return _read(self.path, str(self.path), self.window, self.frame)

    def check(self) -> None:
        """DataError if `read` would fail, at a small part of its cost."""
        _check(self.path, str(self.path), self.window, self.frame)


@dataclass(frozen=True, slots=True)
class BytesImage:
    """An image held in memory as the bytes of its file. Equal bytes are the same image, whatever they are called."""

    data: bytes = field(repr=False)
    name: str = field(compare=False)
    window: Window | None = None
    frame: int | None = None
    threads: ClassVar = True

    def read(self) -> Image.Image:
        return _read(io.BytesIO(self.data), self.name, self.window, self.frame)

    def check(self) -> None:
        _check(io.BytesIO(self.data), self.name, self.window, self.frame)


@dataclass(frozen=True, slots=True)
class ZippedImage:
    """An image in a zip archive, which stays packed: a member is read when it is asked for."""

    archive: Path
    member: str
    window: Window | None = None
    frame: int | None = None
    threads: ClassVar = True

    @property
    def name(self) -> str:
        return Path(self.member).name

    def read(self) -> Image.Image:
        return _read(member(self.archive, self.member), f"{self.archive}/{self.member}", self.window, self.frame)

    def check(self) -> None:
        _check(member(self.archive, self.member), f"{self.archive}/{self.member}", self.window, self.frame)


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


class View(NamedTuple):
    """How image files are shown: a window, one frame, or so many `frames` that lie evenly spaced."""

    window: Window | None = None
    frame: int | None = None
    frames: int | None = None


def viewed(image: ImageSource, view: View) -> tuple[ImageSource, ...]:
    """The image as it is to be shown; several where frames are asked for and there are as many.

    Errors: DataError for one that a program draws, or that can't be read where frames are to be counted.
    """
    if view == View():
        return (image,)
    if not isinstance(image, FileImage | BytesImage | ZippedImage):
        raise DataError("data.window, data.frame and data.frames are for image files, and this data set draws its own")
    if view.frames is None:
        return (replace(image, window=view.window, frame=view.frame),)
    there = _count(image)
    if there == 1:
        return (replace(image, window=view.window),)
    return tuple(replace(image, window=view.window, frame=place) for place in spaced(there, view.frames))


def spaced(there: int, count: int) -> list[int]:
    """So many of the places below `there`, evenly spaced, each once."""
    return sorted({int((place + 0.5) * there / count) for place in range(count)})


@lru_cache(maxsize=1024)  # rows of one volume often stand together
def _count(image: FileImage | BytesImage | ZippedImage) -> int:
    if isinstance(image, FileImage):
        return frames_of(image.path)
    data = image.data if isinstance(image, BytesImage) else member(image.archive, image.member).getvalue()
    source = io.BytesIO(data)
    reader = _reader(source)
    return reader.count(source, image.name) if reader else 1


def load_image(path: str | Path, *, window: Window | None = None, frame: int | None = None) -> Image.Image:
    """An image file as 8-bit RGB, as a viewer would show it; what it is, its content says.

    `window`: for DICOM, NIfTI and NumPy a name of `rarl.data.windows.WINDOWS`, or centre and width in the units of the
    values. `frame`: of several frames or slices the one to take, from 0, or from the end if negative; by default the
    middle one. Errors: DataError; MissingExtraError.
    """
    return FileImage(Path(path), window, frame).read()


def load_images(
    path: str | Path, *, window: Window | None = None, frames: int | Sequence[int] = 1
) -> list[Image.Image]:
    """Several frames or slices of a file: these, or so many that lie evenly spaced. Errors: those of `load_image`."""
    path = Path(path)
    if isinstance(frames, int):
        if frames < 1:
            raise DataError(f"frames must be at least 1, not {frames}")
        frames = spaced(frames_of(path), frames)
    return [load_image(path, window=window, frame=frame) for frame in frames]


def frames_of(path: Path) -> int:
    """How many frames or slices a file has; an animation counts as one. Errors: those of `load_image`."""
    reader = _reader(path)
    return reader.count(path, str(path)) if reader else 1


def _read(source: Path | io.BytesIO, name: str, window: Window | None, frame: int | None) -> Image.Image:
    reader = _reader(source)
    if reader:
        there = reader.count(source, name)
        place = there // 2 if frame is None else frame + there * (frame < 0)
        if not 0 <= place < there:
            raise DataError(f"{name} has {there} frames, counted from 0: there is no frame {frame}")
        return to_rgb(reader.read(source, name, window, place))
    if window is not None or frame is not None:
        asked = "window" if window is not None else "frame"
        raise DataError(f"{name} is a picture of 8 bits or without known units: no {asked} can be chosen of it")
    with _opened(source, name) as image:
        return to_rgb(image)


def _check(source: Path | io.BytesIO, name: str, window: Window | None, frame: int | None) -> None:
    if window is not None or frame is not None or _reader(source):
        _read(source, name, window, frame)
        return
    with _opened(source, name) as image:
        if image.format == "PNG":
            image.verify()  # every chunk's checksum, which decoding passes over; the image is used up by it
    with _opened(source, name) as image:
        image.draft("RGB", (1, 1))  # JPEG: the whole stream is decoded, at an eighth of the size
        image.load()


class Reader(Protocol):
    """Of files with more than 8 bits, or more than one picture, in which places are counted from 0."""

    def count(self, source: Path | io.BytesIO, name: str) -> int: ...
    def read(self, source: Path | io.BytesIO, name: str, window: Window | None, frame: int) -> Image.Image: ...


def _reader(source: Path | io.BytesIO) -> Reader | None:
    """What reads a file that Pillow does not, by its first bytes."""
    head = head_of(source)
    if dicom.is_dicom(head):
        return dicom.Dicom()
    if head.startswith(volumes.NUMPY):
        return volumes.Numpy()
    return volumes.Nifti() if volumes.is_nifti(head) else None


def head_of(source: Path | io.BytesIO) -> bytes:
    """The first bytes of a file, by which formats are told; none where it can't be opened."""
    if isinstance(source, io.BytesIO):
        return source.getbuffer()[:HEAD].tobytes()
    try:
        with source.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""  # opening it again will tell why


@contextmanager
def _opened(source: Path | io.BytesIO, name: str) -> Iterator[Image.Image]:
    try:
        # Of Pillow's warnings odd tags are no news, and for large images the limit below is the stricter one.
        with quiet(), Image.open(source, formats=FORMATS) as image:
            require_size(*image.size, name)
            yield image
    except FileNotFoundError:
        raise DataError(f"{name} does not exist") from None
    except UnidentifiedImageError:
        raise DataError(f"{name} is not an image in a known format ({', '.join((*FORMATS, *OTHERS))})") from None
    except Image.DecompressionBombError:
        raise DataError(f"{name} claims far more pixels than the {MAX_PIXELS:,} that are read") from None
    except _DAMAGED as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise DataError(f"{name} cannot be read as an image: {reason or type(error).__name__}") from None
