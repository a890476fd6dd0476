"""Silvar-Med (Pham et al. 2025, arXiv:2504.10642): abnormalities in images of SLAKE, with reasoning.

Its layout isn't documented, so a table is read in any common form, and the names of its columns are options.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

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
    right_answers,
    text,
)
from rarl.data.splits import SHARES, disjoint
from rarl.data.tables import FORMS, Numbered, find_table, rows_of
from rarl.draws import Draws
from rarl.errors import DataError
from rarl.grading import derive_kind
from rarl.types import Example

LAYOUT = f"a table ({', '.join(FORMS)}) and the images that it names"
SPLITS = ("train", *SHARES)


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
    columns = {"image": image, "question": question, "answer": answer, "rationale": rationale}
    columns |= {"split_column": split_column} if split_column != "" else {}
    _check_names(columns)
    if not root:
        raise DataError(f"silvar-med is not on the hub; pass data.root, a folder with {LAYOUT}")
    path = find_table(folder_at(root, LAYOUT))
    table = list(rows_of(path, split, problem)[1])
    if not table:
        raise DataError(f"{path} has no rows; it needs the columns {', '.join(columns.values())}, and a row a question")
    rows = [row for *_, row in table]
    lists = any("answers" in row for row in rows)
    needs([column for name, column in columns.items() if name != "answer" or not lists], rows, path)
    asked = list(_placed(table, columns, problem))
    check_split("silvar-med", split, sorted({row["split_column"] for _, row in asked}) if split_column else SPLITS)
    if split_column:
        asked = [(where, row) for where, row in asked if row["split_column"] == split]
    elif split in SHARES:
        assigned = disjoint(
            dict.fromkeys(_cluster(row) for _, row in asked), SHARES, Draws(split_seed).at("silvar-med", "disjoint")
        )
        asked = [(where, row) for where, row in asked if assigned[_cluster(row)] == split]
    names = {str(row["image"]) for _, row in asked}
    images = ImageFolder(image_folder(path.parent, names, "put them beside the table"))
    return examples(asked, lambda row: _example(row, images), problem)


def _check_names(columns: Mapping[str, Any]) -> None:
    for option, column in columns.items():
        if not isinstance(column, str) or not column:
            raise DataError(f"silvar-med: the option {option} must be the name of a column (got {column!r})")


def _placed(table: Sequence[Numbered], columns: Mapping[str, str], problem: Problem) -> Iterator[tuple[str, Values]]:
    """The rows by our names for their columns; those that belong to no known split go to `problem`."""
    for number, where, values in table:
        row = {name: values.get(column) for name, column in columns.items()}
        row["answer"] = values.get("answers", row["answer"])
        if "split_column" in row and label(row, "split_column") is None:
            problem(where, f"it has no {columns['split_column']}")
        else:
            split = {"split_column": text(row, "split_column")} if "split_column" in row else {}
            yield where, {**row, **split, "row": number}


def _cluster(row: Values) -> str:
    """Its image, by one name."""
    return PurePosixPath(str(row["image"]).strip()).as_posix()


def _example(row: Values, images: ImageFolder) -> Example:
    name = text(row, "image")
    question, (answer, *others) = text(row, "question"), right_answers(row, "answer")
    return Example(
        id=f"silvar-med-{row['row']}",
        cluster=_cluster(row),
        images=(images.image(name),),
        question=question,
        answer=answer,
        references=tuple(others),
        kind=derive_kind(question, answer),
        rationale=text(row, "rationale"),
    )
