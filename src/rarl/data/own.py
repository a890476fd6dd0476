"""One's own data: a table with a row a question, whatever its columns are called, or conversations with images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rarl.data.archives import members
from rarl.data.dicom import require_keyword
from rarl.data.indexed import indexed
from rarl.data.loading import Problem, refuse
from rarl.data.own_rows import FIELDS, TALKS, Asked, Questions, Reader
from rarl.data.published import ImageFolder, Values, check_split, folder_at, label
from rarl.data.splits import SHARES, disjoint
from rarl.data.streamed import Located, Streamed
from rarl.data.tables import FORMS, find_table, rows_of
from rarl.draws import Draws
from rarl.errors import DataError
from rarl.registry import nearest
from rarl.types import Example

LAYOUT = f"a table ({', '.join(FORMS)}, or what save_to_disk wrote) and the images that it names"
NEEDED = ("image", "question", "answer")
TAGGED = ("patient", "modality", "task")  # what a DICOM header may fill


def load(
    split: str,
    *,
    root: str = "",
    columns: Mapping[str, str] | None = None,
    images: str = "",
    separator: str = ";",
    split_seed: int = 0,
    tags: Mapping[str, str] | None = None,
    stream: bool = False,
    problem: Problem = refuse,
) -> Iterable[Example]:
    """The examples of a table, one after the other; nothing beyond those that are asked for is read.

    `root` is the table, or a folder with one. `columns` names the column of a field where it is not the field's own
    name; `images` is the folder or zip archive of the images, from the table on (by default the table's folder).
    Between several images or options in one cell stands the `separator`; several right answers are a list. `tags` lists
    what is taken of DICOM headers where the row doesn't say it: { modality = "Modality" }; a patient becomes a hash.

    With a column `split` its values are the splits; else "train" has all rows, and "disjoint-train" and "disjoint-test"
    share no patient (or, where no column names them, no image). Bad rows go to `problem`. With `stream` the examples
    are a sequence of which each is read when it is asked for. Errors: DataError.
    """
    if not root:
        raise DataError(f"table needs data.root, {LAYOUT}")
    columns, tags = _checked(columns, tags, images, separator)
    path = find_table(folder_at(root, LAYOUT))
    numbered: Iterable[tuple[int, str, Values]]
    if stream:
        rows = indexed(path, split, columns.get("split", "split"), problem)
        names, numbered = rows.columns, Located(path, rows, problem)
    else:
        names, numbered = rows_of(path, split, problem)
    reader = Reader(_columns(columns, names, path), _pictures(images, path), separator, tags)
    by_column = reader.columns["split"] in names
    if not by_column and not path.is_dir():
        check_split("table", split, ("train", *SHARES))
    shared = split in SHARES and not by_column and not path.is_dir()
    questions = Questions(numbered, reader)
    if stream:
        several = any(set(talk) <= set(names) for talk in TALKS)
        selected = _share(questions, split, reader, split_seed, problem) if shared else questions if several else None
        return Streamed(path, rows, reader, selected)
    if shared:
        return _examples(_share(list(questions), split, reader, split_seed, problem), path.stem, reader, problem)
    chosen = (each for each in questions if not by_column or label(each.values, "split") == split.lower())
    return _examples(chosen, path.stem, reader, problem)


def _share(questions: Iterable[Asked], split: str, reader: Reader, seed: int, problem: Problem) -> Iterator[Asked]:
    """The questions of a disjoint split; they are gone through twice."""
    strata: dict[str, str] = {}
    for each in questions:
        try:
            strata[reader.cluster(each.values)] = reader.modality(each.values) or ""
        except DataError as error:
            problem(each.where, str(error))
    assigned = disjoint(strata, SHARES, Draws(seed).at("table", "disjoint"))
    for each in questions:
        with suppress(DataError):  # it was told above
            if assigned[reader.cluster(each.values)] == split:
                yield each


def _examples(questions: Iterable[Asked], stem: str, reader: Reader, problem: Problem) -> Iterator[Example]:
    for each in questions:
        try:
            example = reader.example(each, stem)
        except DataError as error:
            problem(each.where, str(error))
        else:
            yield example


def _checked(columns: Any, tags: Any, images: Any, separator: Any) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The columns and tags as given. DataError for options of another type."""
    columns, tags = ({} if each is None else each for each in (columns, tags))
    if not isinstance(columns, Mapping) or not all(isinstance(column, str) for column in columns.values()):
        raise DataError(
            f'data.options.columns must name columns by field, as {{ question = "Frage" }} (got {columns!r})'
        )
    for name, given in (("images", images), ("separator", separator)):
        if not isinstance(given, str):
            raise DataError(f"data.options.{name} must be a text (got {given!r})")
    for field, keyword in tags.items() if isinstance(tags, Mapping) else [("", tags)]:
        if field not in TAGGED or not isinstance(keyword, str):
            raise DataError(
                f'data.options.tags must be as {{ modality = "Modality" }}, for {", ".join(TAGGED)} (got {tags!r})'
            )
        require_keyword(keyword)
    return columns, tags


def _columns(given: Mapping[str, str], there: Sequence[str], path: Path) -> dict[str, str]:
    """The column of each field. DataError for unknown fields, and for columns that are missing.

    `there` are those of the first row; in JSON a later one may have others, so there only what all need is asked for.
    """
    loose = path.suffix.lower() in (".json", ".jsonl")
    for name, column in given.items():
        if name not in FIELDS:
            raise DataError(f"data.options.columns: unknown field {name!r}{nearest(name, FIELDS)}")
        if there and column not in there and not (loose and name not in NEEDED):
            raise DataError(f"{path} has no column {column!r}{nearest(str(column), there)} It has: {', '.join(there)}")
    if twice := [column for column, count in Counter(there).items() if count > 1]:
        raise DataError(f"{path} has several columns {twice[0]!r}; give each a name of its own")
    known = {name: name for name in FIELDS} | dict(given)
    if "images" in there and known["image"] not in there:
        known["image"] = "images"
    talks = any(set(names) <= set(there) for names in TALKS)
    missing = [name for name in NEEDED if known[name] not in there and not (talks and name != "image")]
    if there and missing:
        hint = f'name it: data.options.columns = {{ {missing[0]} = ".." }}'
        raise DataError(f"{path} has no column {missing[0]!r}; it has {', '.join(there)}; {hint}")
    return known


def _pictures(images: str, path: Path) -> ImageFolder:
    base = path if path.is_dir() else path.parent
    place = base / images
    if not place.exists():
        raise DataError(f"data.options.images: {place} does not exist")
    return ImageFolder(place, members(place)) if place.is_file() else ImageFolder(place)
