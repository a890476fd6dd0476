"""PMC-VQA (Zhang et al. 2023, arXiv:2305.10415): questions with four choices about figures of PubMed Central.

Read from the files of the hub's repository (xmcmic/PMC-VQA), in both versions: the second (train-2, test-2) is of
figures with one panel, and names the right choice by its letter alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from rarl.data.loading import Problem, refuse
from rarl.data.published import (
    ImageFolder,
    Values,
    check_split,
    examples,
    fetch_files,
    folder_at,
    image_folder,
    images_in,
    needs,
    numbered,
    read_csv,
    text,
)
from rarl.errors import DataError
from rarl.types import Example, ImageSource, QuestionKind

HUB = "xmcmic/PMC-VQA"
TABLES = {"train": "train.csv", "test": "test.csv", "test-clean": "test_clean.csv"}
TABLES |= {"train-2": "train_2.csv", "test-2": "test_2.csv"}
FIRST, SECOND = "train.csv, test.csv, test_clean.csv and images.zip", "train_2.csv, test_2.csv and images_2.zip"
LAYOUT = f"{FIRST}, or {SECOND} (from the hub's {HUB})"
LETTERS = "ABCD"


def load(split: str, *, root: str = "", problem: Problem = refuse) -> list[Example]:
    """The examples of "train", "test" or "test-clean" of the first version, "train-2" or "test-2" of the second.

    `root` holds the published files; the archives of images may be unpacked or not. Empty: those on the hub, of
    the asked version. Bad rows go to `problem`. Errors: DataError.
    """
    check_split("pmc-vqa", split, tuple(TABLES))
    images = "images_2" if split.endswith("-2") else "images"
    wanted = (TABLES[split], f"{images}.zip")
    folder = folder_at(root, LAYOUT) if root else fetch_files(HUB, wanted, LAYOUT)
    path = folder / TABLES[split]
    if not path.is_file():
        raise DataError(f"{folder} has no {path.name}; data.root must be a folder with {LAYOUT}")
    rows = read_csv(path)
    needs(("Question", *(f"Choice {letter}" for letter in LETTERS)), rows, path)
    figure = _figures(folder, images, rows)
    return examples(
        ((where, {**row, "row": number}) for number, (where, row) in enumerate(numbered(path, rows))),
        lambda row: _example(row, split, figure),
        problem,
    )


def _figures(folder: Path, name: str, rows: Sequence[Values]) -> Callable[[str], ImageSource]:
    """What gives a figure by its name, wherever in the unpacked folder or the archive the figures are."""
    images = images_in(name, folder)
    if not images.members:
        names = {str(row.get("Figure_path")) for row in rows}
        return ImageFolder(image_folder(images.path, names, "unpack the archive of them there")).image
    [(inside, _)] = Counter(PurePosixPath(member).parent for member in images.members).most_common(1)
    return lambda figure: images.image(str(inside / figure))


def _example(row: Values, split: str, figure: Callable[[str], ImageSource]) -> Example:
    if None in row:
        raise DataError("it has more fields than the header; the table is cut or was edited")
    name = text(row, "Figure_path")
    options = {letter: _choice(row, letter) for letter in LETTERS}
    return Example(
        id=f"pmc-vqa-{split}-{row['row']}",
        cluster=name,
        images=(figure(name),),
        question=text(row, "Question"),
        answer=options[_letter(row, options)],
        options=tuple(options.values()),
        kind=QuestionKind.MCQ,
    )


def _choice(row: Values, letter: str) -> str:
    """Without the letter that it repeats: "B:Focal uptake pattern"."""
    said = text(row, f"Choice {letter}")
    return text({f"Choice {letter}": re.sub(rf"^{letter}\s*:\s*", "", said)}, f"Choice {letter}")


def _letter(row: Values, options: Mapping[str, str]) -> str:
    """That of the right choice: the first version has it beside the answer, the second as the answer."""
    said = text(row, "Answer_label" if "Answer_label" in row else "Answer")
    if said not in options:
        raise DataError(f"its answer {said!r} is none of the letters {', '.join(options)}")
    return said
