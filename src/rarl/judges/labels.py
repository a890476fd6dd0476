"""Answers that people have scored, from a table: what a judge is checked against."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rarl.errors import DataError
from rarl.judges.rubrics import BEST, rubrics
from rarl.types import Fact, JudgeQuery

NEEDED = ("id", "axis", "question", "gold", "answer", "reasoning", "human")
OPTIONAL = ("options", "facts", "rationale", "modality", "pair")
_SEPARATORS = ",;\t"
_BETWEEN = "|"  # of options, and of facts
_SCORES = tuple(str(score) for score in range(BEST + 1))


@dataclass(frozen=True, slots=True)
class Label:
    """One judged answer: the query as a judge gets it, and the score from 0 to 3 that a person gave.

    `pair` is what two rows have in common that were shown side by side; empty for rows that stand alone.
    """

    query: JudgeQuery
    human: int
    pair: str

    @property
    def judged(self) -> str:
        """The text that was scored."""
        return getattr(self.query, rubrics()[self.query.axis].judged) or ""


def read_labels(path: Path) -> list[Label]:
    """The rows of a CSV file in UTF-8, in order.

    Columns: id, axis, question, gold, answer, reasoning and human (0 to 3); optional: options ("a | b"), facts
    ("name: value | name: value"), rationale, modality, pair. Others are ignored. They are separated as their names are:
    by commas, semicolons or tabs. Errors: DataError with file and line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            heading = file.readline()
            file.seek(0)
            reader = csv.DictReader(file, delimiter=max(_SEPARATORS, key=heading.count))
            missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(f"{path} lacks the column {missing[0]!r}; needed are {', '.join(NEEDED)}")
            labels = list(_labels(reader, path))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} can't be read as CSV in UTF-8: {error}") from None
    if not labels:
        raise DataError(f"{path} has no rows")
    return labels


def _labels(reader: csv.DictReader[str], path: Path) -> Iterator[Label]:
    """The rows read; an answer that is scored twice on an axis would count twice in all that is said of a judge."""
    lines: dict[tuple[str, str], int] = {}
    for row in reader:
        label, line = _label(row, f"{path}, line {reader.line_num}"), reader.line_num
        item, axis = label.query.id, label.query.axis
        if (first := lines.setdefault((item, axis), line)) != line:
            remedy = "remove one, or give each answer an id of its own"
            raise DataError(f"{path}, lines {first} and {line}: both are the {axis} of id {item!r}; {remedy}")
        yield label


def _label(row: Mapping[str, str | None], where: str) -> Label:
    given = {name: (row.get(name) or "").strip() for name in (*NEEDED, *OPTIONAL)}
    axis, human = given["axis"], given["human"]
    if axis not in rubrics():
        raise DataError(f"{where}: axis is {axis!r}; it must be one of {', '.join(rubrics())}")
    if human not in _SCORES:
        raise DataError(f"{where}: human is {human!r}; it must be one of {', '.join(_SCORES)}")
    for name in ("question", *rubrics()[axis].needs):
        if not given[name]:
            raise DataError(f"{where}: {name} is empty; {axis} can't be judged without it")
    query = JudgeQuery(
        axis=axis,
        id=given["id"],
        question=given["question"],
        reasoning=given["reasoning"],
        answer=given["answer"] or None,
        gold=given["gold"] or None,
        options=_parts(given["options"]),
        modality=given["modality"] or None,
        rationale=given["rationale"] or None,
        facts=tuple(_fact(part, where) for part in _parts(given["facts"])),
    )
    return Label(query, int(human), given["pair"])


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(_BETWEEN) if part.strip())


def _fact(text: str, where: str) -> Fact:
    name, colon, value = text.partition(":")
    if not colon:
        raise DataError(f"{where}: the fact {text!r} must look like name: value")
    return Fact(name.strip(), value.strip() or None)
