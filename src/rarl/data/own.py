"""One's own data: a table with a row a question, whatever its columns are called, or conversations with images."""

from __future__ import annotations

import hashlib
import json
import string
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from rarl.data.archives import members
from rarl.data.images import BytesImage
from rarl.data.loading import Problem, refuse
from rarl.data.published import ImageFolder, Values, check_split, folder_at, label, right_answers, text
from rarl.data.splits import SHARES, disjoint
from rarl.data.tables import FORMS, find_table, rows_of
from rarl.draws import Draws
from rarl.errors import DataError
from rarl.grading import derive_kind
from rarl.registry import nearest
from rarl.types import Example, ImageSource, QuestionKind

LAYOUT = f"a table ({', '.join(FORMS)}, or what save_to_disk wrote) and the images that it names"
FIELDS = (
    "id",
    "image",
    "question",
    "answer",
    "options",
    "references",
    "patient",
    "modality",
    "task",
    "kind",
    "rationale",
    "split",
)
NEEDED = ("image", "question", "answer")
# Where a row is a conversation: LLaVA's and ShareGPT's, ms-swift's, TRL's.
TALKS = (("conversations",), ("messages",), ("prompt", "completion"))
ASKS, ANSWERS = ("human", "user"), ("gpt", "assistant")
PLACE = "<image>"  # where a conversation has its image


class _Asked(NamedTuple):
    """A row by our names for its columns, and where it stands."""

    where: str
    values: Values


def load(
    split: str,
    *,
    root: str = "",
    columns: Mapping[str, str] | None = None,
    images: str = "",
    separator: str = ";",
    split_seed: int = 0,
    problem: Problem = refuse,
) -> Iterator[Example]:
    """The examples of a table, one after the other; nothing beyond those that are asked for is read.

    `root` is the table, or a folder with one. `columns` names the column of a field where it is not the field's own
    name; `images` is the folder or zip archive of the images, from the table on (by default the table's folder).
    Between several images or options in one cell stands the `separator`; several right answers are a list. With a
    column `split` its values are the splits; else "train" has all rows, and "disjoint-train" and "disjoint-test" share
    no patient (or, where no column names them, no image). Bad rows go to `problem`. Errors: DataError.
    """
    if not root:
        raise DataError(f"table needs data.root, {LAYOUT}")
    columns = _checked({} if columns is None else columns, images, separator)
    path = find_table(folder_at(root, LAYOUT))
    names, rows = rows_of(path, split, problem)
    known = _columns(columns, names, path)
    pictures = _pictures(images, path)
    asked = (each for where, row in rows for each in _asked(where, row, known))
    numbered = ((number, each) for number, each in enumerate(asked))
    if known["split"] in names:
        numbered = ((number, each) for number, each in numbered if label(each.values, "split") == split.lower())
    elif not path.is_dir():
        check_split("table", split, ("train", *SHARES))
        if split in SHARES:
            whole = list(numbered)
            strata = {_cluster(each.values, separator): label(each.values, "modality") or "" for _, each in whole}
            assigned = disjoint(strata, SHARES, Draws(split_seed).at("table", "disjoint"))
            numbered = (item for item in whole if assigned[_cluster(item[1].values, separator)] == split)
    for number, each in numbered:
        try:
            example = _example(each.values, f"{path.stem}-{number}", pictures, separator)
        except DataError as error:
            problem(each.where, str(error))
        else:
            yield example


def _checked(columns: Any, images: Any, separator: Any) -> Mapping[str, str]:
    """The columns as given. DataError for options of another type."""
    if not isinstance(columns, Mapping) or not all(isinstance(column, str) for column in columns.values()):
        raise DataError(
            f'data.options.columns must name columns by field, as {{ question = "Frage" }} (got {columns!r})'
        )
    for name, given in (("images", images), ("separator", separator)):
        if not isinstance(given, str):
            raise DataError(f"data.options.{name} must be a text (got {given!r})")
    return columns


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


def _asked(where: str, row: Values, known: Mapping[str, str]) -> Iterator[_Asked]:
    """The row; of a conversation, each question with its answer."""
    values = {name: row.get(column) for name, column in known.items()}
    talk = next((names for names in TALKS if known["question"] not in row and row.get(names[0]) is not None), None)
    if talk is None:
        yield _Asked(where, values)
        return
    turns = [turn for name in talk if isinstance(row.get(name), list) for turn in row[name]]
    said = [(_role(turn), _said(turn)) for turn in turns if isinstance(turn, Mapping)]
    pairs = [
        (question, answer)
        for (asks, question), (answers, answer) in pairwise(said)
        if asks in ASKS and answers in ANSWERS
    ]
    for number, (question, answer) in enumerate(pairs or [("", "")]):
        more = {"id": f"{values['id']}-{number}"} if values.get("id") is not None and len(pairs) > 1 else {}
        yield _Asked(where, {**values, "question": question, "answer": answer, **more})


def _role(turn: Mapping[str, Any]) -> str:
    return str(turn.get("from") or turn.get("role") or "")


def _said(turn: Mapping[str, Any]) -> str:
    content = turn.get("value") or turn.get("content") or ""
    parts = content if isinstance(content, list) else [content]
    texts = (part.get("text") or "" if isinstance(part, Mapping) else str(part) for part in parts)
    return " ".join(texts).replace(PLACE, " ").strip()


def _example(row: Values, name: str, pictures: ImageFolder, separator: str) -> Example:
    question = text(row, "question")
    options = _several(row, "options", separator) if row.get("options") not in (None, "") else ()
    answers = right_answers({"answer": _listed(row.get("answer"), "")}, "answer")
    if row.get("references") not in (None, "", []):
        answers = tuple(dict.fromkeys((*answers, *_several(row, "references", separator))))
    if options:
        answers = tuple(_option(answer, options) for answer in answers)
    answer, *others = answers
    sources = tuple(_image(cell, pictures) for cell in _cells(row.get("image"), separator))
    if not sources:
        raise DataError("it has no image")
    return Example(
        id=text(row, "id") if row.get("id") not in (None, "") else name,
        cluster=_cluster(row, separator),
        images=sources,
        question=question,
        answer=answer,
        options=options,
        references=tuple(others),
        kind=_kind(row) or derive_kind(question, answer, options),
        modality=label(row, "modality"),
        task=label(row, "task"),
        rationale=str(row.get("rationale") or "").strip() or None,
    )


def _cluster(row: Values, separator: str) -> str:
    """The patient if the row names one, else its images."""
    if row.get("patient") not in (None, ""):
        return text(row, "patient")
    cells = _cells(row.get("image"), separator)
    return " ".join(_name(cell) for cell in cells)


def _name(cell: Any) -> str:
    """What tells an image from others before it is looked at."""
    if isinstance(cell, Mapping):
        return _digest(cell["bytes"]) if isinstance(cell.get("bytes"), bytes) else str(cell.get("path"))
    return str(cell)


def _cells(value: Any, separator: str) -> list[Any]:
    listed = _listed(value, separator)
    return [cell for cell in (listed if isinstance(listed, list) else [listed]) if cell not in (None, "")]


def _listed(value: Any, separator: str) -> Any:
    """A list, also where a cell of text holds one: as JSON, or with separators."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return found if isinstance(found, list) else value
    return [part.strip() for part in value.split(separator)] if separator and separator in value else value


def _several(row: Values, key: str, separator: str) -> tuple[str, ...]:
    """A list of texts, by letter or in order; also with "|" between them."""
    value = row[key]
    if isinstance(value, Mapping):
        value = list(value.values())
    found = _listed(value, "|" if "|" in str(value) else separator)
    return tuple(text({key: each}, key) for each in (found if isinstance(found, list) else [found]))


def _option(answer: str, options: Sequence[str]) -> str:
    """The option that an answer is, or is the letter of."""
    same = [option for option in options if option.casefold() == answer.casefold()]
    place = string.ascii_uppercase.find(answer.upper()) if len(answer) == 1 else -1
    if not same and not 0 <= place < len(options):
        raise DataError(f"its answer {answer!r} is none of its options ({', '.join(options)})")
    return same[0] if same else options[place]


def _image(cell: Any, pictures: ImageFolder) -> ImageSource:
    if isinstance(cell, Mapping) and isinstance(cell.get("bytes"), bytes):
        return BytesImage(cell["bytes"], _digest(cell["bytes"]))
    name = cell.get("path") if isinstance(cell, Mapping) else cell
    if not isinstance(name, str):
        raise DataError(f"its image must be the name of a file (got a {type(name).__name__})")
    path = PurePosixPath(name.strip().replace("\\", "/"))
    if path.is_absolute() and path.is_relative_to(pictures.path.absolute()):
        path = path.relative_to(pictures.path.absolute())
    if path.is_absolute():
        raise DataError(f"its image {name} is not in {pictures.path}; set data.options.images to their folder")
    return pictures.image(path.as_posix())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _kind(row: Values) -> QuestionKind | None:
    said = label(row, "kind")
    if said is not None and said not in list(QuestionKind):
        raise DataError(f"its kind {said!r} must be one of {', '.join(QuestionKind)}")
    return QuestionKind(said) if said else None
