"""The six bodies: each paints its picture without lesions, and knows where lesions lie and how it is coloured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rarl.data.phantom.canvas import Canvas, Plane


@dataclass(frozen=True, slots=True)
class Anatomy:
    """`paint` gives intensity and field of view (0 to 1, multiplied in last, lesions included).

    Lesions lie at x = -`lateral` or `lateral` and y = -`spread`, 0 or `spread`, all lowered by `drop`. `speckle` is
    multiplicative noise; `tint` is the colour of white (red, green, blue), `hue` how much it varies.
    """

    paint: Callable[[Canvas], tuple[Plane, Plane | float]]
    lateral: float
    spread: float
    drop: float = 0.0
    speckle: float = 0.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    hue: float = 0.0


def _chest(canvas: Canvas) -> tuple[Plane, float]:
    def lung(side: int) -> Plane:
        j = canvas.jitter
        return canvas.ellipse(side * 0.46 + j(0.03), j(0.04), 0.37 + j(0.03), 0.76 + j(0.05))

    lungs = np.maximum(lung(-1), lung(1))
    ribs = np.sin((canvas.y + 0.3 * np.abs(canvas.x)) * canvas.uniform(16, 20) + canvas.uniform(0, 6))
    heart = canvas.ellipse(0.1 + canvas.jitter(0.03), 0.38 + canvas.jitter(0.05), 0.22, 0.28)
    return 0.78 + 0.05 * canvas.texture(4) - 0.38 * lungs + 0.06 * ribs * lungs + 0.22 * heart, 1.0


def _head_ct(canvas: Canvas) -> tuple[Plane, float]:
    width, height = 0.84 + canvas.jitter(0.03), 0.93 + canvas.jitter(0.03)
    brain = canvas.ellipse(0, 0, width - 0.09, height - 0.09)
    picture = 0.02 + 0.93 * canvas.ellipse(0, 0, width, height) - 0.5 * brain + 0.02 * canvas.texture(10) * brain
    for side in (-1, 1):
        picture = picture - 0.25 * canvas.ellipse(side * 0.1, -0.1 + canvas.jitter(0.04), 0.06, 0.2)
    return picture, 1.0


def _brain_mri(canvas: Canvas) -> tuple[Plane, float]:
    width, height = 0.87 + canvas.jitter(0.03), 0.94 + canvas.jitter(0.03)
    brain = canvas.ellipse(0, 0, width - 0.12, height - 0.1)
    scalp = canvas.ellipse(0, 0, width, height) - canvas.ellipse(0, 0, width - 0.06, height - 0.05)
    picture = 0.05 + 0.5 * scalp + (0.4 + 0.05 * canvas.texture(14)) * brain
    for side in (-1, 1):
        picture = picture + 0.35 * canvas.ellipse(side * 0.1, -0.05 + canvas.jitter(0.04), 0.06, 0.2)
    return picture, 1.0


def _ultrasound(canvas: Canvas) -> tuple[Plane, Plane]:
    depth = np.hypot(canvas.x, canvas.y + 1.25)
    angle = np.abs(np.arctan2(canvas.x, canvas.y + 1.25))
    fan = ((angle < canvas.uniform(0.72, 0.82)) & (depth > 0.35) & (depth < canvas.uniform(2.1, 2.25))).astype(
        np.float32
    )
    return 0.5 - 0.06 * (depth - 1) + 0.06 * canvas.texture(5), fan


def _fundus(canvas: Canvas) -> tuple[Plane, Plane]:
    field = canvas.ellipse(0, 0, 0.95, 0.95, edge=0.02)
    picture = 0.6 + 0.04 * canvas.texture(4) + 0.3 * canvas.ellipse(canvas.jitter(0.05), canvas.jitter(0.3), 0.13, 0.14)
    arch = np.abs(canvas.x) ** 1.2
    for bend in (-0.75, -0.25, 0.25, 0.75):
        picture = picture - 0.12 * canvas.line(canvas.y - canvas.jitter(0.2) - bend * arch, 0.035)
    return picture, field


def _skin(canvas: Canvas) -> tuple[Plane, float]:
    picture = 0.68 + 0.05 * canvas.texture(6) + 0.03 * canvas.texture(25)
    for _ in range(canvas.integer(2, 5)):
        hair = canvas.y - canvas.jitter(1.0) - canvas.jitter(1.2) * canvas.x
        picture = picture - 0.2 * canvas.line(hair, 0.028)
    return picture, 1.0


ANATOMIES = {
    "xray": Anatomy(_chest, lateral=0.44, spread=0.5),
    "ct": Anatomy(_head_ct, lateral=0.38, spread=0.46),
    "mri": Anatomy(_brain_mri, lateral=0.38, spread=0.46),
    "ultrasound": Anatomy(_ultrasound, lateral=0.42, spread=0.46, drop=0.08, speckle=0.2),
    "fundus": Anatomy(_fundus, lateral=0.45, spread=0.48, tint=(1.0, 0.58, 0.3), hue=0.05),
    "dermoscopy": Anatomy(_skin, lateral=0.45, spread=0.5, tint=(1.0, 0.82, 0.72), hue=0.05),
}
