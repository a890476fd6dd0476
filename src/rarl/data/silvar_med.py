"""Silvar-Med (Pham et al. 2025, arXiv:2504.10642): abnormalities in images of SLAKE, with reasoning.

Its layout isn't documented, so a table is read in any common form, and the names of its columns are options.
"""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath

from rarl.data.loading import Problem, refuse
from rarl.data.published import (
    ImageFolder,
    Values,
    check_split,
    examples,
    folder_at,
    image_folder,
    label,
    needs,
    numbered,
    read_table,
    text,
)
from rarl.data.splits import SHARES, disjoint
from rarl.draws import Draws
from rarl.errors import DataError
from rarl.grading import derive_kind
from rarl.types import Example

LAYOUT = "a table (.json, .jsonl or .csv) and the images that it names"
FORMS = (".json", ".jsonl", ".csv")


def load(
    split: str,
    *,
    root: str = "",
    image: str = "image",
    question: str = "question",
    answer: str = "answer",
    rationale: str = "rationale",
    split_column: str = "",
    split_seed: int = 0,
    problem: Problem = refuse,
) -> list[Example]:
    """The rows of a table, given as `root` or the only one in that folder; the options name its columns.

    With a `split_column` the rows that have `split` there. Without, "train" has all, and "disjoint-train" and
    "disjoint-test" share no image; `split_seed` alone decides which has which. Images are looked for beside the table
    and up to two folders below. Bad rows go to `problem`. Errors: DataError.
    """
    if not root:
        raise DataError(f"silvar-med is not on the hub; pass data.root, a folder with {LAYOUT}")
    path = _table(folder_at(root, LAYOUT))
    rows = _read_csv(path) if path.suffix.lower() == ".csv" else read_table(path)
    columns = {"image": image, "question": question, "answer": answer, "rationale": rationale}
    needs([*columns.values(), *([split_column] if split_column else [])], rows, path)
    if split_column:
        check_split("silvar-med", split, sorted({text(row, split_column) for row in rows if label(row, split_column)}))
    else:
        check_split("silvar-med", split, ("train", *SHARES))
    asked = [
        (where, {name: row.get(column) for name, column in columns.items()} | {"row": number})
        for number, (where, row) in enumerate(numbered(path, rows))
        if not split_column or str(row.get(split_column)).strip() == split
    ]
    if not split_column and split in SHARES:
        assigned = disjoint(
            dict.fromkeys(_cluster(row) for _, row in asked), SHARES, Draws(split_seed).at("silvar-med", "disjoint")
        )
        asked = [(where, row) for where, row in asked if assigned[_cluster(row)] == split]
    names = {str(row["image"]) for _, row in asked}
    images = ImageFolder(image_folder(path.parent, names, "put them beside the table"))
    return examples(asked, lambda row: _example(row, images), problem)


def _cluster(row: Values) -> str:
    """Its image, by one name."""
    return PurePosixPath(str(row["image"]).strip()).as_posix()


def _table(place: Path) -> Path:
    if place.is_file():
        return place
    found = sorted(path for path in place.iterdir() if path.suffix.lower() in FORMS)
    if len(found) != 1:
        names = f" ({', '.join(path.name for path in found)})" if found else ""
        raise DataError(f"data.root: {place} holds {len(found)} tables{names}; give {LAYOUT}, or the table itself")
    return found[0]


def _read_csv(path: Path) -> list[Values]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file: {error}") from None


def _example(row: Values, images: ImageFolder) -> Example:
    name = text(row, "image")
    question, answer = text(row, "question"), text(row, "answer")
    return Example(
        id=f"silvar-med-{row['row']}",
        cluster=_cluster(row),
        images=(images.image(name),),
        question=question,
        answer=answer,
        kind=derive_kind(question, answer),
        rationale=text(row, "rationale"),
    )
