"""OmniMedVQA (Hu et al. 2024, arXiv:2402.09181): questions with two to four choices, made from 42 open image sets.

Read from the authors' folder (foreverbeliever/OmniMedVQA), its part with open access; the rest has no images.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rarl.data.loading import Problem, refuse
from rarl.data.published import (
    ImageFolder,
    Values,
    check_split,
    examples,
    folder_at,
    label,
    needs,
    numbered,
    read_table,
    text,
)
from rarl.errors import DataError
from rarl.registry import nearest
from rarl.types import Example, QuestionKind

HOME = "https://huggingface.co/datasets/foreverbeliever/OmniMedVQA"
TABLES = "QA_information/Open-access"
LAYOUT = f"the unpacked {TABLES}/*.json and Images/ (from {HOME})"
COLUMNS = ("question_id", "question", "gt_answer", "image_path", "option_A", "option_B")
LETTERS = "ABCD"


def load(split: str, *, root: str = "", source: str = "", problem: Problem = refuse) -> list[Example]:
    """All examples, as "test", in the order of the files' names; those of one `source` ("ACRIMA"), if it is named.

    Bad rows go to `problem`. Errors: DataError, also for an empty `root`: the authors publish an archive of all, which
    is to be unpacked.
    """
    check_split("omnimedvqa", split, ("test",))
    if not root:
        raise DataError(f"omnimedvqa is one archive on the hub; unpack it and pass data.root, a folder with {LAYOUT}")
    folder = folder_at(root, LAYOUT)
    tables = {path.stem: path for path in sorted((folder / TABLES).glob("*.json"))}
    if not tables:
        raise DataError(f"{folder} has no {TABLES}/*.json; data.root must be a folder with {LAYOUT}")
    if source and source not in tables:
        raise DataError(f"omnimedvqa has no source {source!r}{nearest(source, tables)} It has: {', '.join(tables)}")
    images = ImageFolder(folder)
    paths = [tables[source]] if source else tables.values()
    rows = (row for path in paths for row in _rows(path))
    return examples(rows, lambda row: _example(row, images), problem)


def _rows(path: Path) -> Iterator[tuple[str, Values]]:
    rows = read_table(path)
    needs(COLUMNS, rows, path)
    return numbered(path, rows)


def _example(row: Values, images: ImageFolder) -> Example:
    options = tuple(text(row, f"option_{letter}") for letter in LETTERS if row.get(f"option_{letter}") is not None)
    answer = text(row, "gt_answer")
    if answer not in options:
        raise DataError(f"its answer {answer!r} is none of its options ({', '.join(options)})")
    image = text(row, "image_path")
    return Example(
        id=f"omnimedvqa-{text(row, 'question_id')}",
        cluster=image,
        images=(images.image(image),),
        question=text(row, "question"),
        answer=answer,
        options=options,
        kind=QuestionKind.MCQ,
        modality=label(row, "modality_type") or label(row, "modality"),  # one row says it by the shorter name
        task=label(row, "question_type"),
    )
