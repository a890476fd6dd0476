"""SLAKE (Liu et al. 2021, doi:10.1109/ISBI48211.2021.9434010): CT, MRI and X-ray, asked about in English and Chinese.

The authors' form and the hub's (BoKelvin/SLAKE) are the same files, but for the name of the validation split.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from rarl.data.loading import Problem, refuse
from rarl.data.published import (
    ImageFolder,
    Values,
    check_split,
    examples,
    fetch_files,
    folder_at,
    images_in,
    label,
    needs,
    numbered,
    read_table,
    text,
)
from rarl.errors import DataError
from rarl.grading import derive_kind
from rarl.types import Example

HUB = "BoKelvin/SLAKE"
FILES = {"train": ("train.json",), "validation": ("validation.json", "validate.json"), "test": ("test.json",)}
LAYOUT = f"train.json, validation.json (or validate.json), test.json and imgs/ or imgs.zip (from the hub's {HUB})"
COLUMNS = ("qid", "img_name", "question", "answer", "q_lang")
LANGUAGES = ("en", "zh", "all")


def load(split: str, *, root: str = "", language: str = "en", problem: Problem = refuse) -> list[Example]:
    """The examples of "train", "validation" or "test" in one language ("en", "zh") or "all".

    `root` holds the published files; empty: those on the hub. Bad rows go to `problem`. Errors: DataError.
    """
    check_split("slake", split, tuple(FILES))
    if language not in LANGUAGES:
        raise DataError(f"slake: language must be one of {', '.join(LANGUAGES)}, not {language!r}")
    folder = folder_at(root, LAYOUT) if root else fetch_files(HUB, ("*.json", "imgs.zip"), LAYOUT)
    path = _table(folder, split)
    rows = read_table(path)
    needs(COLUMNS, rows, path)
    images = images_in("imgs", folder)
    asked = [(where, row) for where, row in numbered(path, rows) if language in ("all", row.get("q_lang"))]
    return examples(asked, lambda row: _example(row, images), problem)


def _table(folder: Path, split: str) -> Path:
    for name in FILES[split]:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{folder} has no {FILES[split][0]}; data.root must be a folder with {LAYOUT}")


def _example(row: Values, images: ImageFolder) -> Example:
    name = text(row, "img_name")
    image = images.image(name)
    question, answer = text(row, "question"), text(row, "answer")
    return Example(
        id=f"slake-{text(row, 'qid')}",
        cluster=PurePosixPath(name).parts[0],
        images=(image,),
        question=question,
        answer=answer,
        kind=derive_kind(question, answer),
        modality=label(row, "modality"),
        task=label(row, "content_type"),
    )
