"""OmniMedVQA (Hu et al. 2024, arXiv:2402.09181): questions with two to four choices, made from 42 open image sets.

Read from the authors' archive (foreverbeliever/OmniMedVQA), its part with open access; the rest has no images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from rarl.data.archives import member, members
from rarl.data.loading import Problem, refuse
from rarl.data.published import (
    ImageFolder,
    Values,
    check_split,
    decoded,
    examples,
    fetch_files,
    folder_at,
    label,
    needs,
    numbered,
    parsed_table,
    read_utf8,
    text,
)
from rarl.errors import DataError
from rarl.registry import nearest
from rarl.types import Example, QuestionKind

HUB, ARCHIVE = "foreverbeliever/OmniMedVQA", "OmniMedVQA.zip"
TABLES = "QA_information/Open-access"
LAYOUT = f"{ARCHIVE}, or the unpacked {TABLES}/*.json and Images/ (from https://huggingface.co/datasets/{HUB})"
COLUMNS = ("question_id", "question", "gt_answer", "image_path", "option_A", "option_B")
LETTERS = "ABCD"

Read = Callable[[Path], str]  # the text of a file of the folder or archive


def load(split: str, *, root: str = "", source: str = "", problem: Problem = refuse) -> list[Example]:
    """All examples, as "test", in the order of the files' names; those of one `source` ("ACRIMA"), if it is named.

    `root` is the authors' archive, a folder with it, or what was unpacked from it; without it the archive is fetched
    from the hub. Bad rows go to `problem`. Errors: DataError.
    """
    check_split("omnimedvqa", split, ("test",))
    place = folder_at(root, LAYOUT) if root else fetch_files(HUB, [ARCHIVE], LAYOUT)
    if place.is_dir() and not (place / TABLES).is_dir() and (place / ARCHIVE).is_file():
        place = place / ARCHIVE
    tables, read, images = _packed(place) if place.is_file() else _unpacked(place)
    if not tables:
        raise DataError(f"{place} has no {TABLES}/*.json; data.root must be a folder with {LAYOUT}")
    if source and source not in tables:
        raise DataError(f"omnimedvqa has no source {source!r}{nearest(source, tables)} It has: {', '.join(tables)}")
    paths = [tables[source]] if source else tables.values()
    rows = (row for path in paths for row in _rows(path, read))
    return examples(rows, lambda row: _example(row, images), problem)


def _unpacked(folder: Path) -> tuple[dict[str, Path], Read, ImageFolder]:
    return {path.stem: path for path in sorted((folder / TABLES).glob("*.json"))}, read_utf8, ImageFolder(folder)


def _packed(archive: Path) -> tuple[dict[str, Path], Read, ImageFolder]:
    names = members(archive)
    tables = {
        PurePosixPath(name).stem: archive / name
        for name in sorted(names)
        if PurePosixPath(name).match(f"{TABLES}/*.json")
    }

    def read(path: Path) -> str:
        return decoded(member(archive, path.relative_to(archive).as_posix()).getvalue(), path)

    return tables, read, ImageFolder(archive, names)


def _rows(path: Path, read: Read) -> Iterator[tuple[str, Values]]:
    rows = parsed_table(read(path), path)
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
