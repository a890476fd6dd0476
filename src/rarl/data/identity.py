"""Whether a data set is still the one that a run was begun with: which example a step sees depends on all of them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import fields, replace

from rarl.data.loading import Dataset
from rarl.data.ondemand import Unreadable
from rarl.errors import DataError
from rarl.types import Example

logger = logging.getLogger("rarl")

GONE = "it was left out as the run went on"
_TEXTS = tuple(each.name for each in fields(Example) if each.name not in ("id", "images"))


def digests(data: Dataset) -> dict[str, str]:
    """By id, in order, a short hash of all that an example says; not of the pixels of its images.

    Of a streamed set those of a sample, which is another one where there are more examples or fewer.
    """
    return {example.id: _digest(example) for example in data.sample()}


def as_begun(data: Dataset, begun: Mapping[str, str], *, skip: bool) -> Dataset:
    """The examples with these digests, in the same order.

    With `skip` those that were left out since are there without their images, so that every other one keeps its step.
    A streamed set is as begun, or is not. Errors: DataError where an example says something else than before, or,
    without `skip`, where one is missing.
    """
    if data.streamed:
        if digests(data) != begun:
            raise DataError(f"{data.name} {data.split} has other examples than when the run began; put it back")
        return data
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
    kept = tuple(now.get(name) or Example(name, name, (Unreadable(name, GONE),), "", "") for name in begun)
    return replace(data, examples=kept)


def _digest(example: Example) -> str:
    said = repr([getattr(example, name) for name in _TEXTS] + [len(example.images)])
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _named(ids: list[str]) -> str:
    return f"example {ids[0]!r} is" if len(ids) == 1 else f"{len(ids):,} examples, {ids[0]!r} first, are"
