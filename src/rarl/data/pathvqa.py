"""PathVQA (He et al. 2020, arXiv:2003.10286): questions about pathology pictures of textbooks and a library.

Read in the form that the hub has (flaviagiammarino/path-vqa): image, question and answer.
"""

from __future__ import annotations

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
    tables_in,
    text,
    with_image_bytes,
)
from rarl.grading import derive_kind
from rarl.types import Example

HUB = "flaviagiammarino/path-vqa"
SPLITS = ("train", "validation", "test")
LAYOUT = (
    f"a download of the hub's {HUB}: its parquet files (in it, in data/, or in a folder a split), or save_to_disk's"
)


def load(split: str, *, root: str = "", problem: Problem = refuse) -> list[Example]:
    """The examples of "train", "validation" or "test"; the other splits are not read.

    `root` holds a copy of the hub's version; empty: the hub itself. An image is kept once, as the bytes of its file.
    Bad rows go to `problem`. Errors: DataError.
    """
    check_split("pathvqa", split, SPLITS)
    source, published = _published(split, root)
    table = with_image_bytes(published, split, source)
    images: dict[bytes, BytesImage] = {}
    rows = ((f"{source} {split}, row {number}", {**row, "row": number}) for number, row in enumerate(table))
    return examples(rows, lambda row: _example(row, split, images), problem)


def _published(split: str, root: str) -> tuple[str, Any]:
    if not root:
        return HUB, {split: fetch_tables(HUB, LAYOUT, split=split)}
    folder = folder_at(root, LAYOUT)
    return str(folder), tables_in(folder, (split,), "PathVQA", LAYOUT)


def _example(row: Values, split: str, images: dict[bytes, BytesImage]) -> Example:
    question, answer = text(row, "question"), text(row, "answer")
    image = image_within(row, images)
    return Example(
        id=f"pathvqa-{split}-{row['row']}",
        cluster=image.name,
        images=(image,),
        question=question,
        answer=answer,
        kind=derive_kind(question, answer),
    )
