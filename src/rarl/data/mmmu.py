"""MMMU's five health subjects (Yue et al. 2024, arXiv:2311.16502): questions of college exams with one or more images.

Read in the form that the hub has (MMMU/MMMU): a folder of parquet files a subject.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from rarl.data.images import BytesImage
from rarl.data.loading import Problem, refuse
from rarl.data.published import (
    Values,
    check_split,
    examples,
    fetch_tables,
    folder_at,
    image_within,
    right_answers,
    tables_in,
    text,
)
from rarl.errors import DataError
from rarl.grading import derive_kind
from rarl.registry import nearest
from rarl.types import Example, QuestionKind

HUB = "MMMU/MMMU"
SPLITS = ("dev", "validation")  # the answers of test are kept by the authors
SUBJECTS = (
    "Basic_Medical_Science",
    "Clinical_Medicine",
    "Diagnostics_and_Laboratory_Medicine",
    "Pharmacy",
    "Public_Health",
)
IMAGES = tuple(f"image_{number}" for number in range(1, 8))
COLUMNS = ("id", "question", "options", "answer", "question_type", *IMAGES)
LAYOUT = f"a download of the hub's {HUB}: a folder of parquet files for each of {', '.join(SUBJECTS)}"
PLACE = re.compile(r"<image (\d)>")


def load(split: str, *, root: str = "", subject: str = "", problem: Problem = refuse) -> list[Example]:
    """The examples of "dev" or "validation" of all five subjects, or of one.

    `root` holds a copy of the hub's version; empty: the hub itself. Bad rows go to `problem`. Errors: DataError.
    """
    check_split("mmmu-health", split, SPLITS)
    if subject and subject not in SUBJECTS:
        raise DataError(
            f"mmmu-health: unknown subject {subject!r}{nearest(subject, SUBJECTS)} Subjects: {', '.join(SUBJECTS)}"
        )
    images: dict[bytes, BytesImage] = {}
    asked = (subject,) if subject else SUBJECTS
    rows = (row for each in asked for row in _rows(split, root, each))
    return examples(rows, lambda row: _example(row, images), problem)


def _rows(split: str, root: str, subject: str) -> Iterator[tuple[str, Values]]:
    if root:
        folder = folder_at(root, LAYOUT) / subject
        table, source = tables_in(folder, (split,), "MMMU", LAYOUT)[split], str(folder)
    else:
        table, source = fetch_tables(HUB, LAYOUT, name=subject, split=split), f"{HUB} {subject}"
    for number, row in enumerate(_with_image_bytes(table, f"{source} {split}")):
        yield f"{source} {split}, row {number}", {**row, "subject": subject}


def _with_image_bytes(table: Any, where: str) -> Any:
    """The same table, with its images left as the bytes of their files."""
    import datasets

    if missing := sorted(set(COLUMNS) - set(table.column_names)):
        raise DataError(f"{where} lacks the column(s) {', '.join(missing)}")
    for column in IMAGES:
        table = table.cast_column(column, datasets.Image(decode=False))
    return table


def _example(row: Values, images: dict[bytes, BytesImage]) -> Example:
    options = tuple(map(_placed, _list(row, "options")))
    question = _placed(text(row, "question"))
    if text(row, "question_type") == "open":
        answer, *others = right_answers({"answer": _list(row, "answer") or row["answer"]}, "answer")
        kind = derive_kind(question, answer)
    else:
        answer, others, kind = _chosen(row, options), [], QuestionKind.MCQ
    return Example(
        id=f"mmmu-{text(row, 'id')}",
        cluster=text(row, "id"),
        images=tuple(image_within({"image": row[column]}, images) for column in IMAGES if row[column]),
        question=question,
        answer=answer,
        options=options,
        references=tuple(others),
        kind=kind,
        modality=", ".join(_list(row, "img_type")).lower() or None,
        task=row["subject"].lower().replace("_", " "),
        rationale=str(row.get("explanation") or "").strip() or None,
    )


def _placed(said: str) -> str:
    """Where an image belongs, in words: all of them stand before the question."""
    return PLACE.sub(r"[image \1]", said)


def _chosen(row: Values, options: tuple[str, ...]) -> str:
    letter = text(row, "answer")
    place = ord(letter) - ord("A") if len(letter) == 1 else -1
    if not 0 <= place < len(options):
        raise DataError(f"its answer {letter!r} is none of its {len(options)} options")
    return options[place]


def _list(row: Values, key: str) -> list[str]:
    """A list of texts that is published as its Python literal; empty for a field that is none."""
    said = row.get(key)
    try:
        found = ast.literal_eval(said) if isinstance(said, str) and said.lstrip().startswith("[") else []
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise DataError(f"its {key} is no list of texts") from None
    return [text({key: each}, key) for each in found]
