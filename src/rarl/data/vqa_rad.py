"""VQA-RAD (Lau et al. 2018, doi:10.1038/sdata.2018.251): radiology questions, in either form that is in use.

The authors' form is a JSON file and an image folder; the hub's (flaviagiammarino/vqa-rad) has image, question and
answer only. The official split shares nearly all of its test images with train; the splits disjoint-train and
disjoint-test share no image and no case.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from rarl.data.images import BytesImage, FileImage
from rarl.data.loading import Problem, refuse
from rarl.data.splits import disjoint
from rarl.draws import Draws
from rarl.errors import DataError
from rarl.extras import needed_for
from rarl.grading import derive_kind
from rarl.hub import go_offline_if_unreachable
from rarl.registry import nearest
from rarl.types import Example

HUB = "flaviagiammarino/vqa-rad"
JSON_NAME = "VQA_RAD Dataset Public.json"
IMAGE_FOLDER = "VQA_RAD Image Folder"
LAYOUT = f"{JSON_NAME!r} and {IMAGE_FOLDER!r} (from https://osf.io/89kps), or a download of the hub's {HUB}"
COLUMNS = {"qid", "phrase_type", "image_name", "question", "answer"}
SHARES = {"disjoint-train": 0.8, "disjoint-test": 0.2}
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
    if split not in SPLITS:
        raise DataError(f"vqa-rad has no split {split!r}{nearest(split, SPLITS)} Splits: {', '.join(SPLITS)}")
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
        return _hub_rows(_from_hub(), HUB)
    folder = Path(root).expanduser()
    if not folder.exists():
        raise DataError(f"data.root: {folder} does not exist; it must hold {LAYOUT}")
    table = folder if folder.is_file() else _find_table(folder)
    if table is not None:
        return _authors_rows(table, _read_table(table))
    return _hub_rows(_from_copy(folder), str(folder))


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


def _read_table(path: Path) -> list[Mapping[str, Any]]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a JSON file: {' '.join(str(error).split())}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path} must hold a list of objects, one a question, as VQA-RAD is published")
    missing = COLUMNS - set().union(*rows) if rows else set()
    if missing:
        raise DataError(f"{path} lacks the field(s) {', '.join(sorted(missing))} of VQA-RAD's published form")
    return rows


def _authors_rows(path: Path, table: list[Mapping[str, Any]]) -> list[_Row]:
    images = _image_folder(path.parent, {str(row.get("image_name")) for row in table}) if table else path.parent
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


def _authors_example(values: Mapping[str, Any], images: Path) -> Example | DataError:
    try:
        image = _text(values, "image_name")
        question, answer = _text(values, "question"), _answer(values)
        if Path(image).name != image:
            raise DataError(f"image_name {image!r} leads out of the image folder")
        return Example(
            id=f"vqa-rad-{_text(values, 'qid')}",
            cluster=image,
            images=(FileImage(images / image),),
            question=question,
            answer=answer,
            kind=derive_kind(question, answer, ()),
            modality=_region(values),
            task=_task(values),
        )
    except DataError as error:
        return error


def _image_folder(root: Path, names: set[str]) -> Path:
    """The folder at or under `root` that has most of the named images."""
    folders = [root, *sorted(path for pattern in ("*/", "*/*/") for path in root.glob(pattern))]
    found = {folder: len(names & {path.name for path in folder.iterdir()}) for folder in folders}
    best = max(found, key=lambda folder: found[folder])
    if not found[best]:
        raise DataError(f"{root} has the questions, but no folder with their images; put {IMAGE_FOLDER!r} beside them")
    return best


def _text(values: Mapping[str, Any], key: str) -> str:
    """A field as clean text; numbers are written out. DataError if there is none."""
    value = values.get(key)
    text = " ".join(str(value).split()) if isinstance(value, str | int | float) else ""
    if text in ("", "NULL") or value != value:  # NaN is what pandas writes where nothing was
        raise DataError(f"it has no {key}")
    return text


def _answer(values: Mapping[str, Any]) -> str:
    """The answer as clean text. A tab stands between the members of a list ("Heart \\tlungs"): it becomes a comma."""
    value = values.get("answer")
    if isinstance(value, str):
        values = {"answer": ", ".join(part.strip() for part in value.split("\t") if part.strip())}
    return _text(values, "answer")


@cache
def _codes() -> dict[str, dict[str, str]]:
    return tomllib.loads(files("rarl.data").joinpath("vqa_rad.toml").read_text(encoding="utf-8"))


def _region(values: Mapping[str, Any]) -> str | None:
    return next(_names(values, "image_organ"), None)


def _task(values: Mapping[str, Any]) -> str | None:
    """The question's type; several ("POS, PRES") in one order, joined by "+"."""
    return "+".join(sorted(set(_names(values, "question_type")))) or None


def _names(values: Mapping[str, Any], key: str) -> Iterator[str]:
    """What the codes in a field mean; a code that isn't known stands for itself."""
    for code in str(values.get(key) or "").split(","):
        if code.strip() not in ("", "NULL"):
            yield _codes()[key].get(code.strip().upper(), code.strip().lower())


# --- the hub's form


def _from_hub() -> Any:
    with needed_for(f"fetching {HUB}"):
        import datasets

    go_offline_if_unreachable()
    try:
        return datasets.load_dataset(HUB)
    except (OSError, ValueError) as error:  # no network, a proxy, an incomplete cache
        reason = str(error).splitlines()[0]
        raise DataError(f"cannot fetch {HUB} ({reason}); pass data.root, a folder with {LAYOUT}") from None


def _from_copy(folder: Path) -> Any:
    saved = (folder / "dataset_dict.json").is_file()
    tables = {split: _parquet(folder, split) for split in ("train", "test")}
    if not saved and not all(tables.values()):
        raise DataError(f"data.root: {folder} holds no copy of VQA-RAD; put there {LAYOUT}")
    with needed_for(f"data.root: reading {folder}, a copy of the hub's version,"):
        import datasets

    return datasets.load_from_disk(str(folder)) if saved else datasets.load_dataset("parquet", data_files=tables)


def _parquet(folder: Path, split: str) -> list[str]:
    """The split's files where a download of the hub's repository has them; nothing else of the folder is looked at."""
    return sorted(str(path) for place in (folder, folder / "data") for path in place.glob(f"{split}*.parquet"))


def _hub_rows(published: Any, source: str) -> list[_Row]:
    import datasets

    rows = []
    images: dict[bytes, BytesImage] = {}
    for official in ("train", "test"):
        if official not in published or not {"image", "question", "answer"} <= set(published[official].column_names):
            raise DataError(f"{source} must have a split {official!r} with the columns image, question, answer")
        table = published[official].cast_column("image", datasets.Image(decode=False))
        for number, values in enumerate(table):
            example = _hub_example(values, f"vqa-rad-{official}-{number}", images)
            case = example.cluster if isinstance(example, Example) else ""
            rows.append(_Row(f"{source} {official}, row {number}", official, case, None, example))
    return rows


def _hub_example(values: Mapping[str, Any], row_id: str, images: dict[bytes, BytesImage]) -> Example | DataError:
    try:
        question, answer = _text(values, "question"), _answer(values)
        data = (values["image"] or {}).get("bytes")
        if not data:
            raise DataError("it has no image")
    except DataError as error:
        return error
    # The rows don't say which of them share an image: the hash of its bytes does.
    image = images.setdefault(data, BytesImage(data, hashlib.sha256(data).hexdigest()[:16]))
    return Example(row_id, image.name, (image,), question, answer, kind=derive_kind(question, answer, ()))
