"""Examples that are looked at only when a step asks for them: of a data set that is too long to be checked first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from rarl.data.checking import trouble
from rarl.data.images import View, viewed
from rarl.errors import DataError
from rarl.types import Example, ImageSource


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands in for the images of an example that can't be used."""

    name: str
    why: str

    def read(self) -> Image.Image:
        raise DataError(self.why)


class OnDemand(Sequence[Example]):
    """The first `limit` of what a loader gave, each checked when it is asked for; ids are not compared.

    One that can't be used is a DataError; with `skip` it is there without an image that could be read, so that a run
    takes another in its place.
    """

    def __init__(
        self,
        found: Sequence[Any],
        where: str,
        view: View,
        limit: int | None,
        *,
        skip: bool,
    ) -> None:
        self._found, self._where, self._view, self._skip = found, where, view, skip
        self._length = len(found) if limit is None else min(limit, len(found))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        """One example; of a slice a tuple. Errors: DataError."""
        places = range(self._length)[index]
        if isinstance(places, range):
            return tuple(self[place] for place in places)
        try:
            return self._checked(self._found[places], places)
        except DataError as error:
            if not self._skip:
                raise DataError(
                    f'{self._where}: {error}; mend it, or set data.on_error = "skip" to take others instead'
                ) from None
            name = f"{self._where}, item {places}"
            return Example(name, name, (Unreadable(name, str(error)),), "", "")

    def images(self) -> Iterator[ImageSource]:
        """Those of all examples, as fast as they can be had; they are not looked at."""
        if self._length == len(self._found) and hasattr(self._found, "images"):
            for image in self._found.images():
                with suppress(DataError):
                    yield from viewed(image, self._view)
            return
        for example in self:
            yield from example.images

    def _checked(self, item: Any, place: int) -> Example:
        if not isinstance(item, Example):
            raise DataError(f"item {place}: the loader must give Examples, not {type(item).__name__}")
        if why := trouble(item):
            raise DataError(f"row {item.id!r}: {why}")
        return replace(item, images=tuple(shown for image in item.images for shown in viewed(image, self._view)))
