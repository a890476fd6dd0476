"""DICOM files as they would be shown, after PS3.4 N.2: modality transform, window, presentation.

No value of a header is ever told: a name stands in the most unlikely places, and errors go into logs.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import logging
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rarl.data.limits import MAX_BYTES, require_size
from rarl.data.quiet import quiet
from rarl.data.windows import Floats, Window, centre_and_width, grey, stretched, windowed
from rarl.errors import DataError, RarlError
from rarl.extras import needed_for
from rarl.registry import nearest

logger = logging.getLogger("rarl")

DEFLATED = "1.2.840.10008.1.2.1.99"
_GPL = ("1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")  # JPEG of 12 bits, lossless JPEG
_NEEDED = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation", "PhotometricInterpretation")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420")


def is_dicom(head: bytes) -> bool:
    """By its mark at byte 128, or by a first element as files without a preamble have it."""
    bare = head[:4] in (b"\x08\x00\x00\x00", b"\x08\x00\x05\x00", b"\x08\x00\x08\x00", b"\x08\x00\x16\x00")
    return head[128:132] == b"DICM" or head[:2] == b"\x02\x00" or bare or head[:4] == b"\x00\x08\x00\x00"


class Dicom:
    """Frames in the order of the file."""

    @staticmethod
    def count(source: Path | io.BytesIO, name: str) -> int:
        with _told(name):
            return _frames(_header(source, name, pixels=False), name)

    @staticmethod
    def read(source: Path | io.BytesIO, name: str, window: Window | None, frame: int) -> Image.Image:
        """One frame, 8-bit, grey or RGB. Errors: DataError; MissingExtraError without pydicom."""
        with _told(name):
            header = _header(source, name, pixels=True)
            if str(header.get("BurnedInAnnotation", "")).upper() == "YES":
                _warn_of_text(name)
            pixels, photometric = _decoded(header, name, frame)
            if photometric in _COLOUR:
                return Image.fromarray(_eight_bits(pixels, header))
            if photometric == "PALETTE COLOR":
                return Image.fromarray(_palette(pixels, header))
            return Image.fromarray(grey(_shown(pixels, photometric, header, window, name)))


def patient_of(path: Path, salt: str) -> str | None:
    """The patient's id as a salted hash, for splits; None where the header has none. Errors: DataError."""
    patient = said(path, str(path), "PatientID")
    return hashed(patient, salt) if patient else None


def hashed(patient: str, salt: str) -> str:
    """A patient's id as a salted hash."""
    return hmac.new(salt.encode(), patient.encode(), hashlib.sha256).hexdigest()[:16]


def said(source: Path | io.BytesIO, name: str, keyword: str) -> str | None:
    """The text of one attribute, by its keyword in DICOM's dictionary; None where there is none. Errors: DataError."""
    with _told(name):
        found = _header(source, name, pixels=False).get(keyword)
        return " ".join(str(found).split()) or None if found is not None else None


def require_keyword(keyword: str) -> None:
    """DataError for what is no keyword of DICOM's dictionary. MissingExtraError without pydicom."""
    with needed_for("reading DICOM"):
        from pydicom.datadict import keyword_dict
    if keyword not in keyword_dict:
        raise DataError(f"DICOM has no attribute {keyword!r}{nearest(keyword, keyword_dict)}")


def _header(source: Path | io.BytesIO, name: str, *, pixels: bool) -> Any:
    with needed_for("reading DICOM"):
        import pydicom

    _require_unfolding_little(source, name)
    if isinstance(source, io.BytesIO):
        source.seek(0)
    return pydicom.dcmread(source, force=True, stop_before_pixels=not pixels)


def _require_unfolding_little(source: Path | io.BytesIO, name: str) -> None:
    """A deflated file is unpacked whole by pydicom, without a limit."""
    if DEFLATED.encode() not in _first(source, 4096):
        return
    whole = _first(source, MAX_BYTES)
    # The mark, then the length of the meta information as its first element of 12 bytes; the rest is deflated.
    start = 144 + int.from_bytes(whole[140:144], "little")
    unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(whole[start:], MAX_BYTES + 1)
    if len(unpacked) > MAX_BYTES:
        raise DataError(f"{name} unfolds to more than the {MAX_BYTES:,} bytes that are read")


def _first(source: Path | io.BytesIO, length: int) -> bytes:
    if isinstance(source, io.BytesIO):
        return source.getvalue()[:length]
    with source.open("rb") as file:
        return file.read(length)


def _frames(header: Any, name: str) -> int:
    found = int(header.get("NumberOfFrames") or 1)
    if found < 1:
        raise DataError(f"{name}: its header claims {found} frames")
    return found


def _decoded(header: Any, name: str, frame: int) -> tuple[NDArray[Any], str]:
    """The stored values of a frame, [rows, columns] or [rows, columns, 3], and what they mean."""
    from pydicom.pixels.decoders.base import get_decoder

    if not any(key in header for key in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise DataError(f"{name} is a DICOM file without an image")
    floats = "PixelData" not in header
    for key in _NEEDED:
        if key not in header and not (floats and key in ("BitsStored", "PixelRepresentation")):
            raise DataError(f"{name}: its header lacks {key}")
    require_size(int(header.Columns), int(header.Rows), name)
    if "TransferSyntaxUID" not in header.file_meta:
        header.file_meta.TransferSyntaxUID = _guessed(header)
    syntax = header.file_meta.TransferSyntaxUID
    decoder = get_decoder(syntax)
    if not decoder.is_available:
        raise DataError(f"{name} is compressed as {syntax.name}, {_remedy(syntax)}")
    try:
        pixels, found = decoder.as_array(header, index=frame, raw=False)
    except (RuntimeError, NotImplementedError):
        if syntax in _GPL:
            raise DataError(f"{name} is compressed as {syntax.name}, {_remedy(syntax)}") from None
        raise
    return pixels, str(found["photometric_interpretation"])


def _guessed(header: Any) -> Any:
    """What a file without its meta information is encoded in: it is never compressed."""
    from pydicom import uid

    implicit, little = header.original_encoding
    if implicit:
        return uid.ImplicitVRLittleEndian
    return uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian


def _remedy(syntax: str) -> str:
    if syntax in _GPL:
        return (
            "for which there is no decoder under a free permissive licence; where the GPL suits you, "
            "get one with `pip install pylibjpeg-libjpeg`"
        )
    return "for which a decoder is missing; get them with `pip install pylibjpeg pylibjpeg-openjpeg pyjpegls`"


def _shown(stored: NDArray[Any], photometric: str, header: Any, window: Window | None, name: str) -> Floats:
    """Shares of full white."""
    from pydicom.pixels.processing import apply_modality_lut, apply_voi

    used = ~_padding(stored, header)
    values = np.asarray(apply_modality_lut(stored, header), dtype=np.float64)
    if window is not None:
        shares = windowed(values, *centre_and_width(window, _in_hounsfield(header), name))
    elif header.get("VOILUTSequence"):
        table = header.VOILUTSequence[0]
        bits = int(table.LUTDescriptor[2]) or 16
        whole = np.rint(values).astype(np.int64) if not np.issubdtype(stored.dtype, np.floating) else values
        shares = np.clip(np.asarray(apply_voi(whole, header), dtype=np.float64) / (2.0**bits - 1), 0.0, 1.0)
    elif header.get("WindowCenter") not in (None, "") and header.get("WindowWidth") not in (None, ""):
        function = str(header.get("VOILUTFunction") or "LINEAR").upper()
        centre, width = (_first_of(header[key].value) for key in ("WindowCenter", "WindowWidth"))
        shares = windowed(values, centre, width, function) if width > 0 else stretched(values, used)
    else:
        shares = stretched(values, used)
    if photometric == "MONOCHROME1":
        shares = 1 - shares
    return np.where(used, shares, 0.0)


def _first_of(value: Any) -> float:
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)


def _padding(stored: NDArray[Any], header: Any) -> NDArray[np.bool_]:
    """What was never measured, such as the corners around a round field of view."""
    if header.get("PixelPaddingValue") is None:
        return np.zeros(stored.shape, dtype=bool)
    value = int(header.PixelPaddingValue)
    limit = int(header.get("PixelPaddingRangeLimit") or value)
    return np.asarray((stored >= min(value, limit)) & (stored <= max(value, limit)))


def _in_hounsfield(header: Any) -> bool:
    rescaled = "RescaleSlope" in header and str(header.get("RescaleType") or "HU").upper() == "HU"
    return rescaled and str(header.get("Modality", "")).upper() == "CT"


def _palette(stored: NDArray[Any], header: Any) -> NDArray[np.uint8]:
    from pydicom.pixels.processing import apply_color_lut

    shown = np.asarray(apply_color_lut(stored, header))[..., :3]
    return shown if shown.dtype == np.uint8 else (shown >> 8).astype(np.uint8)


def _eight_bits(colours: NDArray[Any], header: Any) -> NDArray[np.uint8]:
    if colours.dtype == np.uint8:
        return colours
    return grey(colours.astype(np.float64) / (2.0 ** int(header.BitsStored) - 1))


@lru_cache(maxsize=10_000)
def _warn_of_text(name: str) -> None:
    logger.warning("%s: its header says that text is burnt into the picture; it may name the patient", name)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """pydicom's own words may repeat what a header holds, so they are kept to ourselves."""
    try:
        with quiet():
            yield
    except RarlError:
        raise
    except FileNotFoundError:
        raise DataError(f"{name} does not exist") from None
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror or type(error).__name__}") from None
    except Exception as error:  # noqa: BLE001, nobody foresees what damage leads to
        raise DataError(f"{name} cannot be read as a DICOM image ({type(error).__name__}): it is damaged") from None
