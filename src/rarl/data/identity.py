"""Whether a data set is still the one that a run was begun with: which example a step sees depends on all of them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

from PIL import Image

from rarl.data.loading import Dataset
from rarl.errors import DataError
from rarl.types import Example

logger = logging.getLogger("rarl")

_TEXTS = tuple(each.name for each in fields(Example) if each.name not in ("id", "images"))


@dataclass(frozen=True, slots=True)
class MissingImage:
    """Stands in for those of an example that was there as the run began."""

    name: str

    def read(self) -> Image.Image:
        raise DataError("it was left out as the run went on")


def digests(examples: Iterable[Example]) -> dict[str, str]:
    """By id, in order, a short hash of all that an example says; not of the pixels of its images."""
    return {example.id: _digest(example) for example in examples}


def as_begun(data: Dataset, begun: Mapping[str, str], *, skip: bool) -> Dataset:
    """The examples with these digests, in the same order.

    With `skip` those that were left out since are there without their images, so that every other one keeps its step.
    Errors: DataError where an example says something else than before, or, without `skip`, where one is missing.
    """
    now = {example.id: example for example in data}
    changed = [name for name, digest in begun.items() if name in now and _digest(now[name]) != digest]
    missing = [name for name in begun if name not in now]
    where = f"{data.name} {data.split}"
    if changed:
        raise DataError(f"{where}: {_named(changed)} of other content than when the run began; put it back as it was")
    if missing and not skip:
        raise DataError(f"{where}: {_named(missing)} missing that the run began with; put it back")
    if missing:
        logger.warning("%s: %s missing that the run began with; others stand in", where, _named(missing))
    added = len(now) + len(missing) - len(begun)
    if added and not skip:
        raise DataError(f"{where} has {len(now):,} examples, and had {len(begun):,} when the run began; put it back")
    kept = tuple(now.get(name) or Example(name, name, (MissingImage(name),), "", "") for name in begun)
    return replace(data, examples=kept)


def _digest(example: Example) -> str:
    said = repr([getattr(example, name) for name in _TEXTS] + [len(example.images)])
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _named(ids: list[str]) -> str:
    return f"example {ids[0]!r} is" if len(ids) == 1 else f"{len(ids):,} examples, {ids[0]!r} first, are"
