"""The rows of a table in any of the usual formats, one after the other: a large one is not held in memory."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from rarl.data.loading import Problem
from rarl.data.published import Values, parsed_json, read_table
from rarl.errors import DataError
from rarl.extras import needed_for

FORMS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
SAVED = ("dataset_dict.json", "state.json")  # in a folder that `datasets` wrote
BATCH = 256  # rows of a parquet file at a time


Numbered = tuple[int, str, Values]  # a row with its number, bad ones counted, and where it stands


def find_table(place: Path) -> Path:
    """The table itself, a folder that `datasets` saved, or the only table in a folder. Errors: DataError."""
    if any((place / name).is_file() for name in SAVED):
        return place
    if place.is_file():
        if place.suffix.lower() not in FORMS:
            raise DataError(f"data.root: {place} is no table; write it as {', '.join(FORMS)}")
        return place
    found = sorted(path for path in place.iterdir() if path.suffix.lower() in FORMS)
    if len(found) != 1:
        names = f" ({', '.join(path.name for path in found[:5])})" if found else ""
        raise DataError(f"data.root: {place} holds {len(found)} tables{names}; give the table itself")
    return found[0]


def rows_of(path: Path, split: str, problem: Problem) -> tuple[Sequence[str], Iterator[Numbered]]:
    """The names of the columns, and each row, numbered, with where it stands; what can't be read goes to `problem`.

    `split` chooses among those of a folder that `datasets` saved; the rows of a file are all there. Errors: DataError.
    """
    form = path.suffix.lower()
    if path.is_dir():
        return _saved(path, split)
    if form == ".parquet":
        return _parquet(path)
    if form in (".csv", ".tsv"):
        return _separated(path, problem)
    rows = _lines(path, problem) if form == ".jsonl" else _whole(path)
    first = list(_first(rows))
    return [str(name) for *_, row in first for name in row], chain(first, rows)


def _first(rows: Iterator[Numbered]) -> Iterable[Numbered]:
    return [row] if (row := next(rows, None)) else []


def _whole(path: Path) -> Iterator[Numbered]:
    return ((number, f"{path}, row {number}", row) for number, row in enumerate(read_table(path)))


def _lines(path: Path, problem: Problem) -> Iterator[Numbered]:
    with told(path), path.open(encoding="utf-8-sig", newline="\n") as file:
        known = ((place, line) for place, line in enumerate(file, start=1) if line.strip())
        for number, (place, line) in enumerate(known):
            where = f"{path}, line {place}"
            try:
                row = parsed_json(line, path, place)
            except DataError as error:
                problem(where, str(error))
                continue
            if isinstance(row, dict):
                yield number, where, row
            else:
                problem(where, "it is no object {..}")


def _separated(path: Path, problem: Problem) -> tuple[Sequence[str], Iterator[Numbered]]:
    columns, comma = columns_of(path)
    return columns, _records(path, columns, comma, problem)


def columns_of(path: Path) -> tuple[Sequence[str], str]:
    """The columns of a table of separated values, and what separates them. Errors: DataError."""
    with told(path), path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
    comma = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=header.count)  # ";" is Excel's in many countries
    return next(csv.reader([header.strip()], delimiter=comma), []), comma


def _records(path: Path, columns: Sequence[str], comma: str, problem: Problem) -> Iterator[Numbered]:
    with told(path), path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=comma)
        next(reader, None)
        for number, cells in enumerate(reader):
            where = f"{path}, row {number}"
            if len(cells) == len(columns):
                yield number, where, dict(zip(columns, cells, strict=True))
            elif any(cells):
                problem(where, too_many(len(cells), len(columns), comma))


def too_many(fields: int, columns: int, comma: str) -> str:
    """Why a row can't be used that has another number of fields than the header."""
    return f"it has {fields} fields, the header {columns}; quote fields with a {comma!r}"


def _parquet(path: Path) -> tuple[Sequence[str], Iterator[Numbered]]:
    with needed_for(f"reading {path}"):
        from pyarrow import parquet
    with told(path):
        table = parquet.ParquetFile(path)

    def rows() -> Iterator[Numbered]:
        number = 0
        with told(path):
            for batch in table.iter_batches(batch_size=BATCH):
                for row in batch.to_pylist():
                    yield number, f"{path}, row {number}", row
                    number += 1

    return table.schema_arrow.names, rows()


def _saved(folder: Path, split: str) -> tuple[Sequence[str], Iterator[Numbered]]:
    saved = saved_table(folder, split)
    batches = saved.with_format("arrow").iter(BATCH)  # as they lie there: images stay bytes, in lists too
    rows = (row for batch in batches for row in batch.to_pylist())
    return saved.column_names, ((number, f"{folder}, row {number}", row) for number, row in enumerate(rows))


def saved_table(folder: Path, split: str) -> Any:
    """A split of what `datasets` saved. Errors: DataError; MissingExtraError."""
    with needed_for(f"reading {folder}"):
        import datasets
    with told(folder):
        saved = datasets.load_from_disk(str(folder))
    if isinstance(saved, datasets.DatasetDict):
        if split not in saved:
            raise DataError(f"{folder} has no split {split!r}; it has {', '.join(saved)}")
        saved = saved[split]
    return saved


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What reading a damaged file raises, as a DataError."""
    try:
        yield
    except DataError:
        raise
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; save it as that") from None
    except csv.Error as error:
        raise DataError(f"{path} is not a table of separated values ({error}); write it again") from None
    except (OSError, ValueError) as error:  # pyarrow's are ValueErrors
        reason = next(iter(str(getattr(error, "strerror", None) or error).splitlines()), type(error).__name__)
        raise DataError(f"{path} cannot be read ({reason}); write it again") from None
