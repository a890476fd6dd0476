"""A table as examples that are read when they are asked for: it may be longer than fits into memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rarl.data.indexed import Indexed
from rarl.data.loading import Problem
from rarl.data.own_rows import Asked, Reader
from rarl.data.published import Values
from rarl.errors import DataError
from rarl.terminal import progress
from rarl.types import Example, ImageSource


class Located:
    """The rows with their numbers and what errors call them; those that can't be read go to `problem`."""

    def __init__(self, path: Path, rows: Indexed, problem: Problem) -> None:
        self._path, self._rows, self._problem = path, rows, problem

    def __iter__(self) -> Iterator[tuple[int, str, Values]]:
        numbers = self._rows.numbers
        for place, number in enumerate(progress(numbers, f"reading {self._path.name}", total=len(numbers))):
            where = f"{self._path}, row {number}"
            try:
                row = self._rows.read(place)
            except DataError as error:
                self._problem(where, str(error))
            else:
                yield number, where, row


class Streamed(Sequence[Example]):
    """The only question of each row; or, where it has several or not all are taken, those of `selected`.

    Of these the places are kept: 16 bytes each.
    """

    def __init__(self, path: Path, rows: Indexed, reader: Reader, selected: Iterable[Asked] | None) -> None:
        self._path, self._rows, self._reader = path, rows, reader
        self._kept: tuple[array[int], array[int]] | None = None
        if selected is not None:
            self._kept = places, turns = array("Q"), array("Q")
            for each in selected:
                places.append(bisect_left(rows.numbers, each.number))
                turns.append(each.turn)

    def __len__(self) -> int:
        return len(self._rows.numbers if self._kept is None else self._kept[0])

    def __getitem__(self, index: Any) -> Any:
        """One example; of a slice a tuple. Errors: DataError, which names the row."""
        if isinstance(index, slice):
            return tuple(self[each] for each in range(*index.indices(len(self))))
        each = self._asked(range(len(self))[index])
        try:
            return self._reader.example(each, self._path.stem)
        except DataError as error:
            raise DataError(f"{each.where}: {error}") from None

    def images(self) -> Iterator[ImageSource]:
        """Those of all examples that can be read, without making any of them."""
        column = self._reader.columns["image"]
        places = range(len(self)) if self._kept is None else self._kept[0]
        before = -1
        for place in progress(places, "comparing images", total=len(places)):
            with suppress(DataError):
                if place != before:  # the same row, for another question
                    yield from self._reader.images({"image": self._rows.read(place).get(column)})
            before = place

    def _asked(self, index: int) -> Asked:
        place, turn = (index, 0) if self._kept is None else (each[index] for each in self._kept)
        number = self._rows.numbers[place]
        where = f"{self._path}, row {number}"
        try:
            return list(self._reader.asked(number, where, self._rows.read(place)))[turn]
        except DataError as error:
            raise DataError(f"{where}: {error}") from None
