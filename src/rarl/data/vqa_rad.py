"""VQA-RAD (Lau et al. 2018, doi:10.1038/sdata.2018.251): radiology questions, in either form that is in use.

The authors' form is a JSON file and an image folder; the hub's (flaviagiammarino/vqa-rad) has image, question and
answer only. The official split shares nearly all of its test images with train; the splits disjoint-train and
disjoint-test share no image and no case.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from rarl.data.images import BytesImage
from rarl.data.loading import Problem, refuse
from rarl.data.published import (
    ImageFolder,
    Values,
    check_split,
    fetch_tables,
    folder_at,
    image_folder,
    image_within,
    needs,
    read_table,
    tables_in,
    text,
    with_image_bytes,
)
from rarl.data.splits import SHARES, disjoint
from rarl.draws import Draws
from rarl.errors import DataError
from rarl.grading import derive_kind
from rarl.types import Example

HUB = "flaviagiammarino/vqa-rad"
JSON_NAME = "VQA_RAD Dataset Public.json"
IMAGE_FOLDER = "VQA_RAD Image Folder"
IMAGES_MISSING = f"put {IMAGE_FOLDER!r} beside them"
LAYOUT = f"{JSON_NAME!r} and {IMAGE_FOLDER!r} (from https://osf.io/89kps), or a download of the hub's {HUB}"
COLUMNS = {"qid", "phrase_type", "image_name", "question", "answer"}
SPLITS = ("train", "test", *SHARES)


@dataclass(frozen=True, slots=True)
class _Row:
    """A published row: its example, or why there is none, and what the splits go by."""

    where: str
    official: str
    case: str
    region: str | None
    example: Example | DataError


def load(split: str, *, root: str = "", split_seed: int = 0, problem: Problem = refuse) -> list[Example]:
    """The examples of "train", "test" (official), "disjoint-train" or "disjoint-test", in the order of the files.

    `root` holds the authors' JSON file and images, or a copy of the hub's version; empty: the hub itself. The disjoint
    splits depend on `split_seed` alone, not on a run's seed: a later evaluation must find the same test images. Bad
    rows go to `problem`. Errors: DataError.
    """
    check_split("vqa-rad", split, SPLITS)
    rows = _rows(root)
    if split in SHARES:
        regions = {row.case: row.region for row in rows}
        assigned = disjoint(regions, SHARES, Draws(split_seed).at("vqa-rad", "disjoint"))
        rows = [row for row in rows if assigned[row.case] == split]
    else:
        rows = [row for row in rows if row.official == split]
    for row in rows:
        if isinstance(row.example, DataError):
            problem(row.where, str(row.example))
    return [row.example for row in rows if isinstance(row.example, Example)]


def _rows(root: str) -> list[_Row]:
    if not root:
        return _hub_rows(fetch_tables(HUB, LAYOUT), HUB)
    folder = folder_at(root, LAYOUT)
    table = folder if folder.is_file() else _find_table(folder)
    if table is not None:
        return _authors_rows(table, _read_table(table))
    return _hub_rows(tables_in(folder, ("train", "test"), "VQA-RAD", LAYOUT), str(folder))


# --- the authors' form


def _find_table(folder: Path) -> Path | None:
    if (folder / JSON_NAME).is_file():
        return folder / JSON_NAME
    fitting = []
    for path in sorted(folder.glob("*.json")):
        try:
            _read_table(path)
        except DataError:
            continue  # some other JSON file
        fitting.append(path)
    if len(fitting) > 1:
        names = ", ".join(path.name for path in fitting)
        raise DataError(f"{folder} holds {len(fitting)} tables of VQA-RAD ({names}); give one of them as data.root")
    return fitting[0] if fitting else None


def _read_table(path: Path) -> list[Values]:
    rows = read_table(path)
    needs(COLUMNS, rows, path)
    return rows


def _authors_rows(path: Path, table: list[Values]) -> list[_Row]:
    names = {str(row.get("image_name")) for row in table}
    images = ImageFolder(image_folder(path.parent, names, IMAGES_MISSING) if table else path.parent)
    cases: dict[str, str] = {}  # an image has one case; where rows disagree (numbers filled down a column), the first
    rows = []
    for number, values in enumerate(table):
        image = str(values.get("image_name"))
        phrase = str(values.get("phrase_type", "")).strip()
        rows.append(
            _Row(
                where=f"{path}, row {number} (qid {values.get('qid')})",
                official="test" if phrase.startswith("test") else "train",
                case=cases.setdefault(image, str(values.get("image_case_url") or image)),
                region=_region(values),
                example=_authors_example(values, images),
            )
        )
    return rows


def _authors_example(values: Values, images: ImageFolder) -> Example | DataError:
    try:
        image = text(values, "image_name")
        question, answer = text(values, "question"), _answer(values)
        return Example(
            id=f"vqa-rad-{text(values, 'qid')}",
            cluster=image,
            images=(images.image(image),),
            question=question,
            answer=answer,
            kind=derive_kind(question, answer, ()),
            modality=_region(values),
            task=_task(values),
        )
    except DataError as error:
        return error


def _answer(values: Values) -> str:
    """The answer as clean text. A tab stands between the members of a list ("Heart \\tlungs"): it becomes a comma."""
    value = values.get("answer")
    if isinstance(value, str):
        values = {"answer": ", ".join(part.strip() for part in value.split("\t") if part.strip())}
    return text(values, "answer")


@cache
def _codes() -> dict[str, dict[str, str]]:
    return tomllib.loads(files("rarl.data").joinpath("vqa_rad.toml").read_text(encoding="utf-8"))


def _region(values: Values) -> str | None:
    return next(_names(values, "image_organ"), None)


def _task(values: Values) -> str | None:
    """The question's type; several ("POS, PRES") in one order, joined by "+"."""
    return "+".join(sorted(set(_names(values, "question_type")))) or None


def _names(values: Values, key: str) -> Iterator[str]:
    """What the codes in a field mean; a code that isn't known stands for itself."""
    for code in str(values.get(key) or "").split(","):
        if code.strip() not in ("", "NULL"):
            yield _codes()[key].get(code.strip().upper(), code.strip().lower())


# --- the hub's form


def _hub_rows(published: Mapping[str, Any], source: str) -> list[_Row]:
    rows = []
    images: dict[bytes, BytesImage] = {}
    for official in ("train", "test"):
        for number, values in enumerate(with_image_bytes(published, official, source)):
            example = _hub_example(values, f"vqa-rad-{official}-{number}", images)
            case = example.cluster if isinstance(example, Example) else ""
            rows.append(_Row(f"{source} {official}, row {number}", official, case, None, example))
    return rows


def _hub_example(values: Values, row_id: str, images: dict[bytes, BytesImage]) -> Example | DataError:
    try:
        question, answer = text(values, "question"), _answer(values)
        image = image_within(values, images)  # the rows don't say which of them share one
    except DataError as error:
        return error
    return Example(row_id, image.name, (image,), question, answer, kind=derive_kind(question, answer, ()))
