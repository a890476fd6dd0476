"""The examples that a report shows: which ones, and their images as data that the page carries itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rarl.errors import DataError
from rarl.types import EvalRecord, ImageSource

_PIXELS = 320  # the longer side of an image in the page
_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Pair:
    """One question with its answers before and after training; either may be missing."""

    before: EvalRecord | None
    after: EvalRecord | None

    @property
    def record(self) -> EvalRecord:
        """Either of the two, for what they share."""
        record = self.after or self.before
        assert record is not None
        return record

    @property
    def change(self) -> str:
        """improved, worse, wrong (still, or at all) or right."""
        after = self.record.grade.correct
        before = self.before.grade.correct if self.before else after
        if before == after:
            return "right" if after else "wrong"
        return "improved" if after else "worse"


def pair_up(before: Sequence[EvalRecord], after: Sequence[EvalRecord]) -> list[Pair]:
    """The questions in their order, each with what was answered before and after."""
    earlier, later = ({record.id: record for record in records} for records in (before, after))
    return [Pair(earlier.get(name), later.get(name)) for name in {**earlier, **later}]


def choose(pairs: Sequence[Pair], count: int) -> list[Pair]:
    """About `count` pairs that show each kind of change, spread evenly over the questions.

    Not a random sample: what changed is over-represented, and the page says so.
    """
    kinds = {
        change: [pair for pair in pairs if pair.change == change] for change in ("improved", "worse", "wrong", "right")
    }
    chosen: list[Pair] = []
    for left, (_, kind) in zip(range(4, 0, -1), sorted(kinds.items(), key=lambda item: len(item[1])), strict=True):
        chosen += _spread(kind, (count - len(chosen)) // left)  # rare kinds first: what they leave goes to the others
    order = list(kinds)
    return sorted(chosen, key=lambda pair: order.index(pair.change))


def _spread(pairs: Sequence[Pair], count: int) -> list[Pair]:
    if len(pairs) <= count:
        return list(pairs)
    return [pairs[place * len(pairs) // count] for place in range(count)]


def pictures(images: Mapping[str, Sequence[ImageSource]], ids: Sequence[str]) -> dict[str, list[str]]:
    """Small copies of the images of these examples as data URIs; an image that cannot be read is left out."""
    found: dict[ImageSource, str | None] = {}
    for source in (source for name in ids for source in images.get(name, ())):
        if source not in found:
            found[source] = _picture(source)
    return {name: [uri for source in images.get(name, ()) if (uri := found[source])] for name in ids}


def _picture(source: ImageSource) -> str | None:
    try:
        image = source.read()
    except DataError:
        return None  # the files may have moved since the run: the page shows that it has none
    image.thumbnail((_PIXELS, _PIXELS))
    file = io.BytesIO()
    if max(image.size) < 200:
        image.save(file, "PNG", optimize=True)
        kind = "png"
    else:
        image.save(file, "JPEG", quality=_QUALITY)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
