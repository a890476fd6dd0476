"""From a scene to an 8-bit RGB picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from rarl.data.phantom.anatomy import ANATOMIES, Anatomy
from rarl.data.phantom.canvas import Canvas, Plane, blur
from rarl.data.phantom.scenes import Scene, words
from rarl.draws import Draws

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = npt.NDArray[np.uint8]  # [pixels, pixels, 3]


@dataclass(frozen=True, slots=True)
class View:
    """How the picture is taken: factors on the lesions' contrast and on the noise, and passes of blur at 84 pixels."""

    contrast: float = 1.0
    noise: float = 1.0
    blur: int = 0


PLAIN = View()


@dataclass(frozen=True, slots=True)
class PhantomImage:
    """An image source that draws its image when it is read; equal scenes and views give equal pixels."""

    name: str
    scene: Scene
    pixels: int = 84
    view: View = PLAIN
    threads: ClassVar = True

    def read(self) -> Image:
        """The picture, `pixels` on a side, 8-bit RGB."""
        from PIL import Image

        return Image.fromarray(render(self.scene, self.pixels, self.view))


def render(scene: Scene, pixels: int = 84, view: View = PLAIN) -> Pixels:
    """The picture of a scene, [pixels, pixels, 3].

    Anatomy, lesions and noise have their own streams: the same scene without its lesions differs only where they are.
    """
    draws = Draws(scene.seed)
    anatomy = ANATOMIES[scene.modality]
    canvas = Canvas(pixels, draws.at("anatomy").stream(), draws.at("noise").integer())
    picture, field = anatomy.paint(canvas)
    brightness, offset = 1 + canvas.jitter(0.08), canvas.jitter(0.03)
    hue = [canvas.jitter(anatomy.hue) for _ in range(3)]
    speckle, grain = canvas.noise(2, pixels, pixels) * np.float32(view.noise)
    picture = picture + _lesions(scene, canvas, anatomy, view.contrast)
    picture = picture * field * (1 + anatomy.speckle * speckle)
    picture = blur(picture, round(view.blur * (pixels / 84) ** 2))
    picture = picture * brightness + offset + 0.04 * grain
    tint = np.array([white + shift for white, shift in zip(anatomy.tint, hue, strict=True)], dtype=np.float32)
    levels: Pixels = np.rint(np.clip(picture[:, :, None] * tint, 0, 1) * 255).astype(np.uint8)
    return levels


def _lesions(scene: Scene, canvas: Canvas, anatomy: Anatomy, contrast: float) -> Plane | float:
    """What the lesions add to the picture: soft ellipses, above 0 where they are bright."""
    total: Plane | float = 0.0
    for zone in scene.zones:
        stream = Draws(scene.seed).at("lesion", zone).stream()
        row = words().zones.index(zone) - 1
        x = anatomy.lateral * (-1 if scene.side == "left" else 1) + stream.uniform(-0.06, 0.06)
        y = anatomy.spread * row + anatomy.drop + stream.uniform(-0.03, 0.03)
        radius = stream.uniform(0.08, 0.105) if scene.size == "small" else stream.uniform(0.15, 0.185)
        strength = stream.uniform(0.2, 0.36) * contrast * (1 if scene.tone == "bright" else -1)
        width, height = radius * stream.uniform(0.92, 1.08), radius * stream.uniform(0.92, 1.08)
        total = total + strength * canvas.ellipse(x, y, width, height, edge=0.03)
    return total
