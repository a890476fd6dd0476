"""Tables of any length: where each row is, is known, and a row is read when it is asked for."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import weakref
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from rarl.data.loading import Problem
from rarl.data.published import Values, label
from rarl.data.tables import BATCH, columns_of, saved_table, told, too_many
from rarl.errors import DataError
from rarl.extras import needed_for
from rarl.terminal import progress


class Indexed(NamedTuple):
    """The columns of a table, the numbers of its rows or of those of a split, in order, and what reads one of them."""

    columns: Sequence[str]
    numbers: Sequence[int]
    read: Callable[[int], Values]  # by its place among these; DataError for one that can't be read


def indexed(path: Path, split: str, column: str, problem: Problem) -> Indexed:
    """Where the rows of a table are; where it has the `column`, of those alone that it puts in the split.

    Of a text 24 bytes a row are held. Rows of a wrong number of fields go to `problem`. Errors: DataError.
    """
    form = path.suffix.lower()
    if form == ".json":
        raise DataError(f"{path} is one JSON list, which is read whole; write it as .jsonl, or leave data.stream false")
    with told(path):
        if path.is_dir():
            return _saved(path, split, column)
        if form == ".parquet":
            return _parquet(path, split, column)
        return _text(path, split, column, problem)


# --- text


class _Place(NamedTuple):
    start: int  # in bytes
    length: int
    number: int  # of the row in the table


def _text(path: Path, split: str, column: str, problem: Problem) -> Indexed:
    names: Sequence[str]
    if path.suffix.lower() == ".jsonl":
        first = next(_lines(path), None)
        names = list(_object(first[1])) if first else []
        places = _lines_of(path, split, column if column in names else "", problem)
        parse = _object
    else:
        names, comma = columns_of(path)
        places = _records_of(path, names, comma, split, column, problem)
        parse = partial(_record, columns=names, comma=comma)
    starts, lengths, numbers = array("Q"), array("Q"), array("Q")
    for place in progress(places, f"finding the rows of {path.name}"):
        for kept, value in zip((starts, lengths, numbers), place, strict=True):
            kept.append(value)
    return Indexed(names, numbers, _Reading(path, starts, lengths, parse).read)


class _Reading:
    """Rows by where their bytes are. The file stays open: rows are those of the file that was indexed."""

    def __init__(
        self, path: Path, starts: Sequence[int], lengths: Sequence[int], parse: Callable[[bytes], Values]
    ) -> None:
        self._path, self._starts, self._lengths, self._parse = path, starts, lengths, parse
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def read(self, place: int) -> Values:
        with told(self._path):  # by place, so that threads and forks don't move it for each other
            return self._parse(os.pread(self._file, self._lengths[place], self._starts[place]))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    start = 0
    with path.open("rb") as file:
        for line in file:
            if line.removeprefix(codecs.BOM_UTF8).strip():
                yield start, line
            start += len(line)


def _lines_of(path: Path, split: str, column: str, problem: Problem) -> Iterator[_Place]:
    for number, (start, line) in enumerate(_lines(path)):
        try:
            asked = not column or _says(_object(line).get(column), split)
        except DataError as error:
            problem(f"{path}, row {number}", str(error))
        else:
            if asked:
                yield _Place(start, len(line), number)


def _object(said: bytes) -> Values:
    try:
        found = json.loads(said)
    except (ValueError, RecursionError) as error:
        raise DataError(f"it is no JSON ({str(error).partition(':')[0]})") from None
    if not isinstance(found, dict):
        raise DataError("it is no object {..}")
    return found


def _records_of(
    path: Path, columns: Sequence[str], comma: str, split: str, column: str, problem: Problem
) -> Iterator[_Place]:
    taken = start = 0
    asked = columns.index(column) if column in columns else None

    def lines() -> Iterator[str]:
        nonlocal taken
        with path.open("rb") as file:
            for line in file:
                taken += len(line)
                yield line.decode()

    for number, cells in enumerate(csv.reader(lines(), delimiter=comma), start=-1):
        if number >= 0 and len(cells) == len(columns):
            if asked is None or _says(cells[asked], split):
                yield _Place(start, taken - start, number)
        elif number >= 0 and any(cells):
            problem(f"{path}, row {number}", too_many(len(cells), len(columns), comma))
        start = taken


def _record(said: bytes, columns: Sequence[str], comma: str) -> Values:
    [cells] = csv.reader(io.StringIO(said.decode(), newline=""), delimiter=comma)
    return dict(zip(columns, cells, strict=True))


def _says(value: Any, split: str) -> bool:
    return _is(value, split) if isinstance(value, str) else label({"split": value}, "split") == split.lower()


@lru_cache(maxsize=1024)  # a million rows say the same few
def _is(value: str, split: str) -> bool:
    return label({"split": value}, "split") == split.lower()


# --- tables of Arrow


def _saved(folder: Path, split: str, column: str) -> Indexed:
    table = saved_table(folder, split).with_format("arrow")
    said = table.select_columns([column]).iter(BATCH) if column in table.column_names else None

    def read(row: int) -> Values:
        with told(folder):
            found: list[Values] = table[row : row + 1].to_pylist()
            return found[0]

    return _chosen(table.column_names, len(table), read, said, split, column)


def _parquet(path: Path, split: str, column: str) -> Indexed:
    """Rows of a row group at a time, as no smaller part can be read; the groups used last are held."""
    with needed_for(f"reading {path}"):
        from pyarrow import parquet
    file = parquet.ParquetFile(path)
    names = file.schema_arrow.names
    ends = list(accumulate(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)))
    group_at = lru_cache(maxsize=2)(lambda group: parquet.ParquetFile(path).read_row_group(group))

    def read(row: int) -> Values:
        group = bisect_right(ends, row)
        with told(path):
            found: list[Values] = group_at(group).slice(row - (ends[group - 1] if group else 0), 1).to_pylist()
            return found[0]

    said = file.iter_batches(columns=[column]) if column in names else None
    return _chosen(names, file.metadata.num_rows, read, said, split, column)


def _chosen(
    names: Sequence[str],
    count: int,
    read: Callable[[int], Values],
    said: Iterable[Any] | None,
    split: str,
    column: str,
) -> Indexed:
    """All rows, or those whose column, of which there are batches, says the split."""
    if said is None:
        return Indexed(names, range(count), read)
    values = (row for batch in said for row in batch.to_pylist())
    numbers = array("Q", (number for number, row in enumerate(values) if _says(row[column], split)))
    return Indexed(names, numbers, lambda place: read(numbers[place]))
