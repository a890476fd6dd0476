"""Volumes in NIfTI and NumPy files: slices as a radiologist looks at them, read one at a time."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rarl.data.limits import MAX_VOLUME, require_size
from rarl.data.windows import Window, centre_and_width, grey, stretched, windowed
from rarl.errors import DataError, RarlError
from rarl.extras import needed_for

TAIL = 0.005  # share of values that are shown as black, and as white, where neither window nor header says more
GZIP, NUMPY = b"\x1f\x8b", b"\x93NUMPY"


def is_nifti(head: bytes) -> bool:
    """Version 1 or 2 in one file, packed or not."""
    if head[:2] == GZIP:
        try:
            head = zlib.decompressobj(31).decompress(head, 400)
        except zlib.error:
            return False
    return head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0"


class Nifti:
    """Axial slices, from the feet up, with the patient's right on the left, and front up."""

    @staticmethod
    def count(source: Path | io.BytesIO, name: str) -> int:
        with _told(name, "NIfTI"):
            volume = _nifti(source, name)
            return int(volume.shape[_axes(volume)[0]])

    @staticmethod
    def read(source: Path | io.BytesIO, name: str, window: Window | None, frame: int) -> Image.Image:
        """One slice, 8-bit grey or RGB. Errors: DataError; MissingExtraError without nibabel."""
        with _told(name, "NIfTI"):
            volume = _nifti(source, name)
            axis, turn = _axes(volume)
            width, height = (volume.shape[each] for each in range(3) if each != axis)
            require_size(width, height, name)
            count = volume.shape[axis]
            place: list[Any] = [slice(None)] * 3 + [0] * (len(volume.shape) - 3)
            place[axis] = frame if turn[axis][1] > 0 else count - 1 - frame
            values = np.asarray(volume.dataobj[tuple(place)])
            return _picture(_as_seen(values, axis, turn), window, name, _calibration(volume.header))


class Numpy:
    """An array: [rows, columns], [rows, columns, 3 or 4] of bytes, or a volume [slices, rows, columns]."""

    @staticmethod
    def count(source: Path | io.BytesIO, name: str) -> int:
        with _told(name, "NumPy array"):
            values = _array(source, name)
            return len(values) if values.ndim == 3 and not _in_colour(values) else 1

    @staticmethod
    def read(source: Path | io.BytesIO, name: str, window: Window | None, frame: int) -> Image.Image:
        """One slice, 8-bit grey or RGB. Errors: DataError; nothing is unpickled."""
        with _told(name, "NumPy array"):
            values = _array(source, name)
            shown = values[frame] if values.ndim == 3 and not _in_colour(values) else values
            return _picture(np.asarray(shown), window, name, None)


def _nifti(source: Path | io.BytesIO, name: str) -> Any:
    with needed_for("reading NIfTI"):
        import nibabel

    file, packed = _open(source), _bytes(source, 2) == GZIP
    head = zlib.decompressobj(31).decompress(_bytes(source, 400), 400) if packed else _bytes(source, 400)
    kind: Any = nibabel.Nifti1Image if head[344:348] == b"n+1\0" else nibabel.Nifti2Image
    stream: Any = gzip.GzipFile(fileobj=file) if packed else file
    volume = kind.from_file_map({"image": nibabel.FileHolder(fileobj=stream)}, mmap=False)
    if len(volume.shape) < 3 or 0 in volume.shape:
        raise DataError(f"{name}: a volume of shape {volume.shape}; it needs three dimensions")
    if volume.get_data_dtype().kind == "c":
        raise DataError(f"{name} holds complex numbers, which have no one picture; save their magnitude")
    size = int(np.prod([int(length) for length in volume.shape], dtype=object)) * volume.get_data_dtype().itemsize
    if size > MAX_VOLUME:
        raise DataError(f"{name} claims {size:,} bytes of values; at most {MAX_VOLUME:,} are read")
    return volume


def _open(source: Path | io.BytesIO) -> IO[bytes]:
    return io.BytesIO(source.getvalue()) if isinstance(source, io.BytesIO) else source.open("rb")


def _bytes(source: Path | io.BytesIO, count: int) -> bytes:
    with _open(source) as file:
        return file.read(count)


def _axes(volume: Any) -> tuple[int, Any]:
    """The stored axis that runs along the body, and nibabel's orientation, a row (axis of the body, direction) each."""
    from nibabel.orientations import io_orientation

    turn = io_orientation(volume.affine)[:3]
    if np.isnan(turn).any():
        turn = np.array([[0, 1], [1, 1], [2, 1]], dtype=float)  # an affine that says nothing
    return int(np.flatnonzero(turn[:, 0] == 2)[0]), turn


def _as_seen(values: NDArray[Any], axis: int, turn: Any) -> NDArray[Any]:
    """[rows from front to back, columns from the patient's right to left] of a slice as stored."""
    rest = [each for each in range(3) if each != axis]
    if turn[rest[0]][0] > turn[rest[1]][0]:
        values, rest = values.swapaxes(0, 1), rest[::-1]
    rightwards, forwards = (turn[each][1] > 0 for each in rest)  # canonical axes run to the right, and to the front
    values = values[::-1] if rightwards else values
    values = values[:, ::-1] if forwards else values
    return values.swapaxes(0, 1)


def _calibration(header: Any) -> tuple[float, float] | None:
    low, high = float(header["cal_min"]), float(header["cal_max"])
    return (low, high) if np.isfinite([low, high]).all() and high > low else None


def _picture(values: NDArray[Any], window: Window | None, name: str, shown: tuple[float, float] | None) -> Image.Image:
    if values.dtype.names:  # RGB or RGBA, as NIfTI has them
        values = np.stack([values[each] for each in ("R", "G", "B")], axis=-1)
    if _in_colour(values):
        require_size(values.shape[1], values.shape[0], name)
        return Image.fromarray(np.ascontiguousarray(values))
    if values.ndim != 2 or values.dtype.kind not in "buif":
        raise DataError(f"{name}: an array of shape {values.shape} and type {values.dtype} is no picture")
    require_size(values.shape[1], values.shape[0], name)
    numbers = values.astype(np.float64)
    if window is not None:
        shares = windowed(np.nan_to_num(numbers), *centre_and_width(window, hounsfield=False, name=name))
    elif shown:
        shares = np.nan_to_num(np.clip((numbers - shown[0]) / (shown[1] - shown[0]), 0.0, 1.0))
    elif values.dtype == np.uint8:
        shares = numbers / 255
    else:
        shares = stretched(numbers, np.ones(numbers.shape, dtype=bool), TAIL)
    return Image.fromarray(grey(shares))


def _in_colour(values: NDArray[Any]) -> bool:
    return values.ndim == 3 and values.dtype == np.uint8 and values.shape[2] in (3, 4)


def _array(source: Path | io.BytesIO, name: str) -> NDArray[Any]:
    """Mapped where it is a file, so that a slice is read and not the whole."""
    if isinstance(source, Path):
        values: NDArray[Any] = np.lib.format.open_memmap(source, mode="r")
    else:
        source.seek(0)
        version = np.lib.format.read_magic(source)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, kind = read(source)
        if kind.hasobject:
            raise DataError(f"{name} holds Python objects, which are never unpickled")
        values = np.frombuffer(source.getvalue(), kind, int(np.prod(shape, dtype=object)), source.tell())
        values = values.reshape(shape, order="F" if fortran else "C")
    if values.ndim not in (2, 3) or 0 in values.shape:
        raise DataError(f"{name}: an array of shape {values.shape} is no picture; two or three dimensions are read")
    return values


@contextmanager
def _told(name: str, kind: str) -> Iterator[None]:
    try:
        yield
    except RarlError:
        raise
    except FileNotFoundError:
        raise DataError(f"{name} does not exist") from None
    except Exception as error:  # noqa: BLE001, nobody foresees what damage leads to
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{name} cannot be read as a {kind}: {reason}") from None
