"""VQA-Med 2019 (Ben Abacha et al., ImageCLEF 2019): questions on modality, plane, organ system and abnormality.

Tables of text with "|" between the fields, as the organisers publish them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rarl.data.loading import Problem, refuse
from rarl.data.published import ImageFolder, Values, check_split, examples, folder_at, images_in, right_answers, text
from rarl.errors import DataError
from rarl.grading import derive_kind
from rarl.types import Example

TABLES = {
    "train": "All_QA_Pairs_train.txt",
    "validation": "All_QA_Pairs_val.txt",
    "test": "VQAMed2019_Test_Questions_w_Ref_Answers.txt",
}
IMAGES = {"train": "Train_images", "validation": "Val_images", "test": "VQAMed2019_Test_Images"}
CATEGORIES = {"modality": "C1_Modality", "plane": "C2_Plane", "organ": "C3_Organ", "abnormality": "C4_Abnormality"}
FOLDERS = "ImageClef-2019-VQA-Med-Training, ImageClef-2019-VQA-Med-Validation and VQAMed2019Test"
LAYOUT = f"the unpacked {FOLDERS} (from https://zenodo.org/records/10499039)"
PAIRS = ("image", "question", "answer")
REFERENCES = ("image", "category", "question", "answer")


def load(split: str, *, root: str = "", problem: Problem = refuse) -> list[Example]:
    """The examples of "train", "validation" or "test"; "#" stands between answers any of which is right.

    `root` holds the published files, its folders and archives of images as they are. Bad rows go to `problem`. Errors:
    DataError, also for an empty `root`: the organisers have no copy on the hub.
    """
    check_split("vqa-med-2019", split, tuple(TABLES))
    if not root:
        raise DataError(f"vqa-med-2019 is not on the hub; pass data.root, a folder with {LAYOUT}")
    folder = folder_at(root, LAYOUT)
    path = _find(folder, TABLES[split])
    images = images_in(IMAGES[split], path.parent, folder)
    categories = {} if split == "test" else _categories(path)
    rows = _rows(path, REFERENCES if split == "test" else PAIRS)
    return examples(rows, lambda row: _example(row, split, images, categories), problem)


def _find(root: Path, name: str) -> Path:
    for pattern in ("", "*/", "*/*/"):
        found = sorted(path for path in root.glob(pattern + name) if path.is_file())
        if found:
            return found[0]
    raise DataError(f"data.root: {root} has no {name}, nor has a folder in it; put there {LAYOUT}")


def _rows(path: Path, fields: tuple[str, ...]) -> Iterator[tuple[str, Values]]:
    """The lines of a table by field; what stands behind the last "|" that counts belongs to the answer."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            values = dict(zip(fields, line.split("|", len(fields) - 1), strict=False))
            yield f"{path}, line {number}", {**values, "line": number}


def _categories(table: Path) -> dict[tuple[object, object], str]:
    """The category of each (image, question) by the files beside the table that divide it, where they are there."""
    ending = table.stem.rpartition("_")[2]
    found = {}
    for category, name in CATEGORIES.items():
        path = table.parent / "QAPairsByCategory" / f"{name}_{ending}.txt"
        if path.is_file():
            found.update({(row.get("image"), row.get("question")): category for _, row in _rows(path, PAIRS)})
    return found


def _example(row: Values, split: str, images: ImageFolder, categories: dict[tuple[object, object], str]) -> Example:
    if any("\ufffd" in str(value) for value in row.values()):
        raise DataError("it is not in UTF-8")
    image, question = text(row, "image"), text(row, "question")
    answer, *others = right_answers({"answer": text(row, "answer").split("#")}, "answer")
    return Example(
        id=f"vqa-med-2019-{split}-{row['line']}",
        cluster=image,
        images=(images.image(f"{image}.jpg"),),
        question=question,
        answer=answer,
        references=tuple(others),
        kind=derive_kind(question, answer),
        task=text(row, "category").lower() if split == "test" else categories.get((row["image"], row["question"])),
    )
