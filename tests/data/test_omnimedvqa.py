from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from published_sets import write_json, write_pictures
from rarl.data import load_dataset, omnimedvqa
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


@pytest.mark.parametrize("above", ["OmniMedVQA/", ""])
def test_the_archive_as_it_is_published(root: Path, tmp_path: Path, above: str) -> None:
    archive = tmp_path / "packed" / "OmniMedVQA.zip"
    archive.parent.mkdir()
    with ZipFile(archive, "w") as packed:
        for path in root.rglob("*"):
            if path.is_file() and path != archive:
                packed.write(path, above + path.relative_to(root).as_posix())
    unpacked = load_dataset("omnimedvqa", split="test", root=str(root))
    for place in (archive, archive.parent):
        found = load_dataset("omnimedvqa", split="test", root=str(place))
        assert [replace(item, images=()) for item in found] == [replace(item, images=()) for item in unpacked]
        assert found[1].images[0].read().getpixel((0, 0)) == (10, 10, 10)
    assert len(load_dataset("omnimedvqa", split="test", root=str(archive), source="ACRIMA")) == 2


def test_the_archive_is_fetched(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(hub: str, patterns: list[str], layout: str) -> Path:
        asked.append((hub, patterns))
        return root

    monkeypatch.setattr(omnimedvqa, "fetch_files", fetch)
    assert len(load_dataset("omnimedvqa", split="test")) == 3
    assert asked == [("foreverbeliever/OmniMedVQA", ["OmniMedVQA.zip"])]


def test_missing_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match=r"cannot fetch foreverbeliever/OmniMedVQA .*pass data\.root.*OmniMedVQA\.zip"):
        load_dataset("omnimedvqa", split="test")
    with pytest.raises(DataError, match=r"has no QA_information/Open-access/\*\.json; data\.root must be"):
        load_dataset("omnimedvqa", split="test", root=str(tmp_path))
    with ZipFile(tmp_path / "OmniMedVQA.zip", "w") as packed:
        packed.writestr("OmniMedVQA/readme.txt", "nothing")
    with pytest.raises(DataError, match=r"OmniMedVQA\.zip has no QA_information/Open-access/\*\.json"):
        load_dataset("omnimedvqa", split="test", root=str(tmp_path))
