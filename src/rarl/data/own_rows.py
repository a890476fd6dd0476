"""What a row of one's own table says: the questions in it, and the example of each."""

from __future__ import annotations

import hashlib
import json
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from rarl.data.headers import pseudonym, said_by
from rarl.data.images import BytesImage
from rarl.data.published import ImageFolder, Values, label, right_answers, text
from rarl.errors import DataError
from rarl.grading import derive_kind
from rarl.types import Example, ImageSource, QuestionKind

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
# Where a row is a conversation: LLaVA's and ShareGPT's, ms-swift's, TRL's.
TALKS = (("conversations",), ("messages",), ("prompt", "completion"))
ASKS, ANSWERS = ("human", "user"), ("gpt", "assistant")
PLACE = "<image>"  # where a conversation has its image


class Asked(NamedTuple):
    """A question of a row, by our names for its columns, and where it stands."""

    number: int  # of the row
    turn: int  # of a conversation
    where: str
    values: Values


class Questions:
    """Those of all rows, which are given with their numbers and what errors call them."""

    def __init__(self, rows: Iterable[tuple[int, str, Values]], reader: Reader) -> None:
        self._rows, self._reader = rows, reader

    def __iter__(self) -> Iterator[Asked]:
        for row in self._rows:
            yield from self._reader.asked(*row)


@dataclass(frozen=True, slots=True)
class Reader:
    """How the rows of a table are read: the column of each field, the images, and what parts several in a cell.

    `tags` names DICOM attributes by the field that they fill where the row does not: nothing else of a header is read.
    """

    columns: Mapping[str, str]
    pictures: ImageFolder
    separator: str
    tags: Mapping[str, str]

    def asked(self, number: int, where: str, row: Values) -> Iterator[Asked]:
        """The row; of a conversation, each question with its answer."""
        values = {name: row.get(column) for name, column in self.columns.items()}
        told = self.columns["question"] in row
        talk = next((names for names in TALKS if not told and row.get(names[0]) is not None), None)
        if talk is None:
            yield Asked(number, 0, where, values)
            return
        turns = [turn for name in talk if isinstance(row.get(name), list) for turn in row[name]]
        said = [(_role(turn), _said(turn)) for turn in turns if isinstance(turn, Mapping)]
        pairs = [
            (question, answer)
            for (asks, question), (answers, answer) in pairwise(said)
            if asks in ASKS and answers in ANSWERS
        ]
        for turn, (question, answer) in enumerate(pairs or [("", "")]):
            more = {"id": f"{values['id']}-{turn}"} if values.get("id") is not None and len(pairs) > 1 else {}
            yield Asked(number, turn, where, {**values, "question": question, "answer": answer, **more})

    def example(self, asked: Asked, stem: str) -> Example:
        """The example of a question, called by the `stem` and its row if that doesn't say how. Errors: DataError."""
        row = asked.values
        name = f"{stem}-{asked.number}" + (f"-{asked.turn}" if asked.turn else "")
        question = text(row, "question")
        options = _several(row, "options", self.separator) if row.get("options") not in (None, "") else ()
        answers = right_answers({"answer": _listed(row.get("answer"), "")}, "answer")
        if row.get("references") not in (None, "", []):
            answers = tuple(dict.fromkeys((*answers, *_several(row, "references", self.separator))))
        if options:
            answers = tuple(_option(answer, options) for answer in answers)
        answer, *others = answers
        sources = tuple(self.images(row))
        if not sources:
            raise DataError("it has no image")
        return Example(
            id=text(row, "id") if row.get("id") not in (None, "") else name,
            cluster=self.cluster(row),
            images=sources,
            question=question,
            answer=answer,
            options=options,
            references=tuple(others),
            kind=_kind(row) or derive_kind(question, answer, options),
            modality=self.modality(row),
            task=label(row, "task") or self._tagged(row, "task"),
            rationale=str(row.get("rationale") or "").strip() or None,
        )

    def images(self, row: Values) -> Iterator[ImageSource]:
        """Those of a row; they are not looked at. Errors: DataError."""
        for cell in _cells(row.get("image"), self.separator):
            yield self._image(cell)

    def cluster(self, row: Values) -> str:
        """The patient if the row, or the header of its image, names one, else its images. Errors: DataError."""
        if row.get("patient") not in (None, ""):
            return text(row, "patient")
        if patient := self._tagged(row, "patient"):
            return patient
        return " ".join(_name(cell) for cell in _cells(row.get("image"), self.separator))

    def modality(self, row: Values) -> str | None:
        """As the row, or the header of its image, says. Errors: DataError."""
        return label(row, "modality") or self._tagged(row, "modality")

    def _tagged(self, row: Values, field: str) -> str | None:
        if field not in self.tags:
            return None
        found = (said_by(image, self.tags[field]) for image in self.images(row))
        said = next(filter(None, found), None)
        if said is None:
            return None
        return pseudonym(said) if field == "patient" else said.lower()

    def _image(self, cell: Any) -> ImageSource:
        if isinstance(cell, Mapping) and isinstance(cell.get("bytes"), bytes):
            return BytesImage(cell["bytes"], _digest(cell["bytes"]))
        name = cell.get("path") if isinstance(cell, Mapping) else cell
        if not isinstance(name, str):
            raise DataError(f"its image must be the name of a file (got a {type(name).__name__})")
        return _picture(name, self.pictures)


@lru_cache(maxsize=1024)  # rows of one image often stand together
def _picture(name: str, pictures: ImageFolder) -> ImageSource:
    path = PurePosixPath(name.strip().replace("\\", "/"))
    if path.is_absolute() and path.is_relative_to(pictures.path.absolute()):
        path = path.relative_to(pictures.path.absolute())
    if path.is_absolute():
        raise DataError(f"its image {name} is not in {pictures.path}; set data.options.images to their folder")
    return pictures.image(path.as_posix())


def _role(turn: Mapping[str, Any]) -> str:
    return str(turn.get("from") or turn.get("role") or "")


def _said(turn: Mapping[str, Any]) -> str:
    content = turn.get("value") or turn.get("content") or ""
    parts = content if isinstance(content, list) else [content]
    texts = (part.get("text") or "" if isinstance(part, Mapping) else str(part) for part in parts)
    return " ".join(texts).replace(PLACE, " ").strip()


def _name(cell: Any) -> str:
    """What tells an image from others before it is looked at."""
    if isinstance(cell, Mapping):
        return _digest(cell["bytes"]) if isinstance(cell.get("bytes"), bytes) else str(cell.get("path"))
    return PurePosixPath(str(cell).strip().replace("\\", "/")).as_posix()


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


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _kind(row: Values) -> QuestionKind | None:
    said = label(row, "kind")
    if said is not None and said not in list(QuestionKind):
        raise DataError(f"its kind {said!r} must be one of {', '.join(QuestionKind)}")
    return QuestionKind(said) if said else None
