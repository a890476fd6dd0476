"""Whole files of answers: a row in, the same row with its grade out."""

from __future__ import annotations

import json
import os
import string
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rarl.errors import DataError
from rarl.grading.answers import grade
from rarl.grading.kinds import CLOSED, derive_kind
from rarl.terminal import plain_table, progress
from rarl.types import Grade, QuestionKind

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Graded:
    """What a file came to: rows, rows that are right, and the sums of the two scores of every row."""

    rows: int
    correct: int
    score: float
    relaxed: float
    kinds: Mapping[str, tuple[int, int]]  # kind -> (rows, right ones)


def grade_file(source: str | Path, out: str | Path) -> Graded:
    """Grades every row of `source` (JSONL) into `out`, which must be new.

    A row has question, gold and prediction (text or a number; gold may be a list of right ones, a prediction of null is
    an empty answer), options (a list, an object by letter, null or none) and, if it likes, kind. It is written with all
    its fields and those of `grade_row`. Errors: DataError for a row that can't be graded, with file and line; then
    nothing is written.
    """
    source, out = Path(source), Path(out)
    if out.exists():
        raise DataError(f"{out} exists already and is not overwritten; choose another --out, or remove it")
    aside = out.with_name(f".{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with (
            source.open(encoding="utf-8-sig") as rows,
            aside.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file,
        ):
            total = _write(source, rows, file)
        os.replace(aside, out)
    except OSError as error:
        raise DataError(
            f"{error.filename or source}: {error.strerror or error}; give a file to read, and a place for --out"
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"{source} is not UTF-8 text ({error.reason}); save it as JSON Lines in UTF-8") from None
    finally:
        with suppress(OSError):
            aside.unlink()
    return total


def graded_table(found: Graded) -> Table:
    """What `rarl grade` came to, by kind of question: right by the strict verdict, and both scores of all."""
    table = plain_table(f"{found.rows:,} answers", "kind", "right", "n")
    for kind, (rows, right) in sorted(found.kinds.items()):
        table.add_row(kind, f"{right / rows:.1%}", f"{rows:,}")
    if found.rows:
        table.add_row("all", f"{found.correct / found.rows:.1%}", f"{found.rows:,}", style="bold")
        table.add_row("mean score, strict", f"{found.score / found.rows:.1%}", f"{found.rows:,}")
        table.add_row("mean score, relaxed", f"{found.relaxed / found.rows:.1%}", f"{found.rows:,}")
    return table


def grade_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its grade: verdict, score, kind, rule, the normalised texts, and the strict and the relaxed score.

    Errors: DataError for a row that can't be graded.
    """
    return _graded(row, _grade(row))


def _write(source: Path, rows: TextIO, out: TextIO) -> Graded:
    total, right, score, relaxed = 0, 0, 0.0, 0.0
    kinds: Counter[str] = Counter()
    right_kinds: Counter[str] = Counter()
    for number, line in enumerate(progress(rows, "grading"), start=1):
        if not line.strip():
            continue
        try:
            row = _parsed(line)
            found = _grade(row)
        except DataError as error:
            raise DataError(f"{source}, line {number}: {error}") from None
        out.write(json.dumps(_graded(row, found), ensure_ascii=False) + "\n")
        total, right = total + 1, right + found.correct
        score, relaxed = score + found.score, relaxed + (found.relaxed or 0.0)
        kinds[found.kind.value] += 1
        right_kinds[found.kind.value] += found.correct
    if not total:
        raise DataError(f"{source} has no rows; give a file of JSON Lines with question, gold and prediction")
    return Graded(total, right, score, relaxed, {kind: (kinds[kind], right_kinds[kind]) for kind in sorted(kinds)})


def _parsed(line: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise DataError("not JSON; write one object a line") from None
    if not isinstance(row, dict):
        raise DataError("not an object; write one with question, gold and prediction")
    return row


def _grade(row: Mapping[str, Any]) -> Grade:
    question, (gold, *references), prediction = text_of(row, "question"), golds_of(row), text_of(row, "prediction")
    if not all(right.strip() for right in (gold, *references)):
        raise DataError("gold is empty; give the right answer, or leave the row out")
    return grade(question, gold, prediction, kind=_kind(row), options=options_of(row), references=references)


def _graded(row: Mapping[str, Any], found: Grade) -> dict[str, Any]:
    return {
        **row,
        "verdict": found.correct,
        "score": found.score,
        "kind": found.kind.value,
        "rule": found.rule,
        "normalised_gold": found.gold,
        "normalised_prediction": found.prediction,
        "strict": float(found.correct),
        "relaxed": found.relaxed,
        **({"matched": found.matched} if found.matched else {}),
    }


def text_of(row: Mapping[str, Any], name: str) -> str:
    """A text or a number of the row, as text; only a prediction may be null. Errors: DataError."""
    if name not in row:
        raise DataError(f"no {name}; a row needs question, gold and prediction")
    value = row[name]
    if value is None and name == "prediction":
        return ""  # a model that gave no answer
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DataError(f"{name} is {json.dumps(value, ensure_ascii=False)[:40]}; give text or a number")
    return str(value)


def golds_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The row's right answers: its gold, or several where that is a list. Errors: DataError."""
    several = row.get("gold")
    if not isinstance(several, list):
        return (text_of(row, "gold"),)
    if not several:
        raise DataError("gold is an empty list; give the right answer, or leave the row out")
    golds = tuple(dict.fromkeys(text_of({"gold": gold}, "gold") for gold in several))
    kind = _kind(row) or derive_kind(text_of(row, "question"), golds[0])
    if len(golds) > 1 and (options_of(row) or kind in CLOSED):
        raise DataError("gold is a list; a choice, or a question of yes or no, has one right answer")
    return golds


def options_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The row's options: a list, an object by letter, or none. Errors: DataError."""
    options = row.get("options")
    if options is None:
        return ()
    if isinstance(options, dict):  # {"A": "liver", "B": "spleen"}
        lettered = sorted(options) == sorted(string.ascii_uppercase[: len(options)])
        options = [options[letter] for letter in sorted(options)] if lettered else options
    if not isinstance(options, list) or not all(
        isinstance(o, str | int | float) and not isinstance(o, bool) for o in options
    ):
        raise DataError(
            f"options is {json.dumps(options, ensure_ascii=False)[:40]}; "
            "give a list of texts, an object by letter, or null"
        )
    return tuple(map(str, options))


def _kind(row: Mapping[str, Any]) -> QuestionKind | None:
    kind = row.get("kind")
    if kind is None:
        return None
    known = [found.value for found in QuestionKind]
    if kind not in known:
        raise DataError(
            f"kind is {json.dumps(kind, ensure_ascii=False)[:40]}; one of {', '.join(known)}, or none to derive it"
        )
    return QuestionKind(kind)
