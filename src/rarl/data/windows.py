"""From measured values to grey levels: which part of their range is shown."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rarl.errors import DataError
from rarl.registry import nearest

Floats = NDArray[np.float64]
Window = str | tuple[float, float]  # a name of WINDOWS, or centre and width in the units of the values

# Centre and width in Hounsfield units, as they are usual on CT workstations.
WINDOWS: Mapping[str, tuple[float, float]] = {
    "lung": (-600, 1500),
    "mediastinum": (40, 400),
    "abdomen": (40, 400),
    "liver": (60, 160),
    "soft-tissue": (50, 350),
    "bone": (400, 1800),
    "spine": (50, 250),
    "brain": (40, 80),
    "stroke": (40, 40),
    "subdural": (75, 215),
    "temporal-bone": (600, 2800),
    "angiography": (300, 600),
}


def parse_window(text: str) -> Window | None:
    """As it is typed: a name, or "CENTRE,WIDTH"; nothing for an empty one. Errors: DataError."""
    if "," not in text:
        return text or None
    try:
        centre, width = map(float, text.split(","))
    except ValueError:
        raise DataError(f"window {text!r} must be a name, or a centre and a width such as 40,400") from None
    return centre, width


def centre_and_width(window: Window, hounsfield: bool, name: str) -> tuple[float, float]:
    """Of a window by name or by numbers. Errors: DataError for an unknown name, a named one where values are not known
    to be Hounsfield units, or a width below 1."""
    if not isinstance(window, str):
        centre, width = map(float, window)
        if not np.isfinite(centre) or not 0 < width < np.inf:
            raise DataError(f"window ({centre:g}, {width:g}): the centre must be finite and the width above 0")
        return centre, width
    if window not in WINDOWS:
        raise DataError(f"unknown window {window!r}{nearest(window, WINDOWS)} Known: {', '.join(WINDOWS)}")
    found = WINDOWS[window]
    if not hounsfield:
        raise DataError(
            f"{name}: the window {window!r} is in Hounsfield units, and nothing says that this image is; "
            f"give centre and width in its own units, {found[0]}, {found[1]} for the same"
        )
    return found


def windowed(values: Floats, centre: float, width: float, function: str = "LINEAR") -> Floats:
    """Shares of full white, 0..1, of the same shape. The functions are those of DICOM PS3.3 C.11.2.1.2 and .3."""
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700))), dtype=np.float64)
    if function == "LINEAR_EXACT" or width <= 1:
        return np.clip((values - centre) / width + 0.5, 0.0, 1.0)
    return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0.0, 1.0)


def stretched(values: Floats, used: NDArray[np.bool_], share: float = 0.0) -> Floats:
    """Shares of full white between the smallest and the largest of the `used` values, or between their quantiles
    `share` and 1 - `share`. All black where there is no range."""
    found = values[used & np.isfinite(values)]
    low, high = np.quantile(found, [share, 1 - share]) if found.size else (0.0, 0.0)
    if high <= low:
        return np.zeros_like(values)
    return np.nan_to_num(np.clip((values - low) / (high - low), 0.0, 1.0), nan=0.0)


def grey(shares: Floats) -> NDArray[np.uint8]:
    """0..255 of 0..1."""
    return np.rint(255 * shares).astype(np.uint8)
