from pathlib import Path
from typing import Any

import pytest

from published_sets import write_json, write_pictures
from rarl.data import load_dataset
from rarl.errors import DataError
from rarl.types import QuestionKind

TABLES = "QA_information/Open-access"


def row(number: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "dataset": "ACRIMA",
        "question_id": f"ACRIMA_{number:04}",
        "question_type": "Modality Recognition",
        "question": "What imaging technique was employed  for this image?",
        "gt_answer": "Fundus imaging",
        "image_path": f"Images/ACRIMA/Im{number:03}_ACRIMA.png",
        "option_A": "PET scan",
        "option_B": "CT scan",
        "option_C": "Fundus imaging",
        "option_D": "MRI",
        "modality_type": "Fundus Photography",
    } | more


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_json(tmp_path / TABLES / "ACRIMA.json", [row(0), row(1)])
    two = row(2, question_id="Chest_0001", gt_answer="No", option_A="Yes", option_B="No", modality="CT")
    two = {key: value for key, value in two.items() if key not in ("option_C", "option_D", "modality_type")}
    write_json(tmp_path / TABLES / "Chest CT Scan.json", [two])
    write_pictures(tmp_path, [row(number)["image_path"] for number in range(3)])
    return tmp_path


def test_what_a_row_becomes(root: Path) -> None:
    items = load_dataset("omnimedvqa", split="test", root=str(root))
    assert [item.id for item in items] == ["omnimedvqa-ACRIMA_0000", "omnimedvqa-ACRIMA_0001", "omnimedvqa-Chest_0001"]
    item = items[1]
    assert item.question == "What imaging technique was employed for this image?"
    assert item.options == ("PET scan", "CT scan", "Fundus imaging", "MRI")
    assert (item.answer, item.kind) == ("Fundus imaging", QuestionKind.MCQ)
    assert (item.modality, item.task) == ("fundus photography", "modality recognition")
    assert item.cluster == "Images/ACRIMA/Im001_ACRIMA.png"
    assert item.images[0].read().getpixel((0, 0)) == (10, 10, 10)


def test_two_options_and_the_other_name_of_a_field(root: Path) -> None:
    item = load_dataset("omnimedvqa", split="test", root=str(root))[2]
    assert (item.options, item.answer, item.modality) == (("Yes", "No"), "No", "ct")


def test_one_source(root: Path) -> None:
    assert len(load_dataset("omnimedvqa", split="test", root=str(root), source="ACRIMA")) == 2
    with pytest.raises(DataError, match=r"no source 'ACRIM'; did you mean 'ACRIMA'\? It has: ACRIMA, Chest CT Scan"):
        load_dataset("omnimedvqa", split="test", root=str(root), source="ACRIM")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"gt_answer": "X-ray"},
            r"its answer 'X-ray' is none of its options \(PET scan, CT scan, .*, MRI\)",
        ),
        ({"option_C": ""}, "it has no option_C"),
        ({"image_path": "../Im.png"}, "leads out of the image folder"),
        ({"question_id": None}, "it has no question_id"),
    ],
)
def test_bad_rows(root: Path, change: dict[str, Any], why: str) -> None:
    write_json(root / TABLES / "ACRIMA.json", [row(0), row(1, **change)])
    with pytest.raises(DataError, match=rf"ACRIMA\.json, row 1: .*{why}"):
        load_dataset("omnimedvqa", split="test", root=str(root))


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"one archive on the hub; unpack it and pass data\.root"):
        load_dataset("omnimedvqa", split="test")
    with pytest.raises(DataError, match=r"has no QA_information/Open-access/\*\.json; data\.root must be"):
        load_dataset("omnimedvqa", split="test", root=str(tmp_path))
