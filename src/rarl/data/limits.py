"""How much is read of a file that may lie about its size."""

from __future__ import annotations

from rarl.errors import DataError

MAX_ASPECT = 200  # longer side : shorter; the models' image processor takes no more
MAX_BYTES = 500_000_000  # of one image, unpacked
MAX_VOLUME = 4_000_000_000  # of which a slice is read at a time
MAX_PIXELS = 80_000_000  # 240 MB as RGB; what claims more is taken for a decompression bomb


def require_size(width: int, height: int, name: str) -> None:
    """Errors: DataError where it is too large, too narrow, or nothing."""
    if width * height > MAX_PIXELS:
        raise DataError(f"{name}: {width} x {height} pixels; at most {MAX_PIXELS:,} are read")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise DataError(f"{name}: {width} x {height} pixels; at most {MAX_ASPECT} : 1 is read")
