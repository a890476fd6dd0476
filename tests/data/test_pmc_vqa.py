import csv
from pathlib import Path
from typing import Any

import pytest

from published_sets import write_pictures, zip_pictures
from rarl.data import load_dataset
from rarl.errors import DataError
from rarl.types import QuestionKind

CHOICES = ("Diffuse uptake pattern", "Focal: uptake pattern", "No uptake pattern", "Cannot be determined")


def first(**more: Any) -> dict[str, Any]:
    """A row of the first version."""
    choices = {f"Choice {letter}": f" {letter}:{choice} " for letter, choice in zip("ABCD", CHOICES, strict=True)}
    return {
        "Figure_path": "PMC1064097_F1.jpg",
        "Question": "What is the uptake pattern in the breast? ",
        "Answer": CHOICES[1],
        **choices,
        "Answer_label": "B",
    } | more


def second(**more: Any) -> dict[str, Any]:
    """A row of the second version."""
    row = first()
    choices = {key: value for key, value in row.items() if key.startswith("Choice")}
    return {
        "index": 0,
        "Figure_path": row["Figure_path"],
        "Caption": "A breast.",
        "Question": row["Question"],
        **choices,
        "Answer": "B",
        "split": "train",
    } | more


def write(path: Path, *rows: dict[str, Any]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize(
    ("split", "table", "row", "images"),
    [
        ("train", "train.csv", first(), "images"),
        ("test-clean", "test_clean.csv", first(), "images"),
        ("test-2", "test_2.csv", second(), "images_2"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("inside", ["", "figures/", "images/"])
def test_what_a_row_becomes(
    tmp_path: Path, split: str, table: str, row: dict[str, Any], images: str, packed: bool, inside: str
) -> None:
    write(tmp_path / table, row)
    name = f"{inside}{row['Figure_path']}"
    if packed:
        zip_pictures(tmp_path / f"{images}.zip", [name])
    else:
        write_pictures(tmp_path / images, [name])
    [item] = load_dataset("pmc-vqa", split=split, root=str(tmp_path))
    assert (item.id, item.cluster) == (f"pmc-vqa-{split}-0", "PMC1064097_F1.jpg")
    assert item.question == "What is the uptake pattern in the breast?"
    assert item.options == CHOICES
    assert (item.answer, item.kind) == (CHOICES[1], QuestionKind.MCQ)
    assert item.images[0].read().size == (32, 32)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"Answer_label": "E"}, "its answer 'E' is none of the letters A, B, C, D"),
        ({"Answer_label": ""}, "it has no Answer_label"),
        ({"Choice C": "C:"}, "it has no Choice C"),
        ({"Figure_path": "../PMC1.jpg"}, "leads out of the image folder"),
        ({"Question": ""}, "it has no Question"),
    ],
)
def test_bad_rows(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    write(tmp_path / "test.csv", first(), first(**change))
    write_pictures(tmp_path / "images", [first()["Figure_path"]])
    with pytest.raises(DataError, match=rf"test\.csv, row 1: .*{why}"):
        load_dataset("pmc-vqa", split="test", root=str(tmp_path))


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no train_2\.csv; data\.root must be a folder with train\.csv"):
        load_dataset("pmc-vqa", split="train-2", root=str(tmp_path))
    write(tmp_path / "train_2.csv", second())
    with pytest.raises(DataError, match=r"no folder 'images_2' with the images, and no images_2\.zip"):
        load_dataset("pmc-vqa", split="train-2", root=str(tmp_path))


def test_a_table_without_choices(tmp_path: Path) -> None:
    write(tmp_path / "test.csv", {"Figure_path": "a.jpg", "Question": "Why?", "Answer": "x"})
    with pytest.raises(DataError, match="lacks the field"):
        load_dataset("pmc-vqa", split="test", root=str(tmp_path))


def test_a_row_with_too_many_fields(tmp_path: Path) -> None:
    write(tmp_path / "test.csv", first())
    write_pictures(tmp_path / "images", [first()["Figure_path"]])
    with (tmp_path / "test.csv").open("a") as file:
        file.write(",".join("abcdefghijk") + "\n")
    with pytest.raises(DataError, match=r"row 1: it has more fields than the header"):
        load_dataset("pmc-vqa", split="test", root=str(tmp_path))


def test_the_hub_is_asked_for_one_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def fetched(hub: str, patterns: tuple[str, ...], layout: str) -> Path:
        asked.append((hub, patterns))
        write(tmp_path / "test_2.csv", second())
        zip_pictures(tmp_path / "images_2.zip", [f"figures/{second()['Figure_path']}"])
        return tmp_path

    monkeypatch.setattr("rarl.data.pmc_vqa.fetch_files", fetched)
    assert len(load_dataset("pmc-vqa", split="test-2")) == 1
    assert asked == [("xmcmic/PMC-VQA", ("test_2.csv", "images_2.zip"))]
