from pathlib import Path
from typing import Any

import pytest

from published_sets import picture
from rarl.data import load_dataset
from rarl.data.mmmu import SUBJECTS
from rarl.errors import DataError
from rarl.types import QuestionKind

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def row(subject: str, number: int, images: int = 1, **more: Any) -> dict[str, Any]:
    shown = {
        f"image_{place}": {"bytes": picture(number * 10 + place), "path": None} if place <= images else None
        for place in range(1, 8)
    }
    return {
        "id": f"validation_{subject}_{number}",
        "question": "<image 1> What is\n shown?",
        "options": "['Fat necrosis', \"Crohn's disease\", '<image 2>']",
        "explanation": "",
        **shown,
        "img_type": "['Body Scans: MRI, CT scans, and X-rays', 'Diagrams']",
        "answer": "B",
        "topic_difficulty": "Medium",
        "question_type": "multiple-choice",
        "subfield": "Clinical Radiology",
    } | more


def write(root: Path, subject: str, *rows: dict[str, Any]) -> None:
    features = {name: datasets.Image() if name.startswith("image_") else datasets.Value("string") for name in rows[0]}
    columns = {name: [each[name] for each in rows] for name in rows[0]}
    table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    (root / subject).mkdir(parents=True, exist_ok=True)
    table.to_parquet(root / subject / "validation-00000-of-00001.parquet")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for subject in SUBJECTS:
        write(tmp_path / "copy", subject, row(subject, 1), row(subject, 2, images=2, explanation=" It is\nthis. "))
    return tmp_path / "copy"


def test_what_a_row_becomes(root: Path) -> None:
    items = load_dataset("mmmu-health", split="validation", root=str(root))
    assert len(items) == 2 * len(SUBJECTS)
    one, two = items[0], items[1]
    assert (one.id, one.cluster) == ("mmmu-validation_Basic_Medical_Science_1", "validation_Basic_Medical_Science_1")
    assert one.question == "[image 1] What is shown?"
    assert one.options == ("Fat necrosis", "Crohn's disease", "[image 2]")
    assert (one.answer, one.kind) == ("Crohn's disease", QuestionKind.MCQ)
    assert (one.task, one.modality) == (
        "basic medical science",
        "body scans: mri, ct scans, and x-rays, diagrams",
    )
    assert (one.rationale, two.rationale) == (None, "It is\nthis.")
    assert [image.read().getpixel((0, 0)) for image in two.images] == [(21, 21, 21), (22, 22, 22)]


def test_one_subject(root: Path) -> None:
    items = load_dataset("mmmu-health", split="validation", root=str(root), subject="Pharmacy")
    assert {item.task for item in items} == {"pharmacy"}
    with pytest.raises(DataError, match=r"unknown subject 'Pharmcy'; did you mean 'Pharmacy'\?"):
        load_dataset("mmmu-health", split="validation", root=str(root), subject="Pharmcy")


@pytest.mark.parametrize(("answer", "right", "others"), [("0.5", "0.5", ()), ("['24/7', '3.429']", "24/7", ("3.429",))])
def test_open_questions(root: Path, answer: str, right: str, others: tuple[str, ...]) -> None:
    write(root, "Pharmacy", row("Pharmacy", 1, question_type="open", options="[]", answer=answer))
    [item] = load_dataset("mmmu-health", split="validation", root=str(root), subject="Pharmacy")
    assert (item.answer, item.references, item.options) == (right, others, ())
    assert item.kind is not QuestionKind.MCQ


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"answer": "D"}, "its answer 'D' is none of its 3 options"),
        ({"answer": "?"}, r"its answer '\?' is none of its 3 options"),
        ({"options": "['a', __import__('os')]"}, "its options is no list of texts"),
        ({"options": "['a'"}, "its options is no list of texts"),
        ({"options": "['', 'b']"}, "it has no options"),
        ({"question": "  "}, "it has no question"),
    ],
)
def test_bad_rows(root: Path, change: dict[str, Any], why: str) -> None:
    write(root, "Pharmacy", row("Pharmacy", 1), row("Pharmacy", 2, **change))
    with pytest.raises(DataError, match=rf"validation, row 1: .*{why}"):
        load_dataset("mmmu-health", split="validation", root=str(root), subject="Pharmacy")


def test_missing_columns_and_files(root: Path) -> None:
    lacking = {name: value for name, value in row("Pharmacy", 1).items() if name not in ("options", "image_7")}
    write(root, "Pharmacy", lacking)
    with pytest.raises(DataError, match=r"lacks the column\(s\) image_7, options"):
        load_dataset("mmmu-health", split="validation", root=str(root), subject="Pharmacy")
    with pytest.raises(DataError, match="holds no copy of MMMU; put there a download of the hub's MMMU/MMMU"):
        load_dataset("mmmu-health", split="dev", root=str(root))
    with pytest.raises(DataError, match=r"no split 'test'.* Splits: dev, validation"):
        load_dataset("mmmu-health", split="test", root=str(root))


def test_the_hub_is_asked_for_each_subject(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    asked = []

    def fetched(hub: str, layout: str, **which: str) -> Any:
        asked.append((hub, which))
        return datasets.load_dataset("parquet", data_files=str(root / which["name"] / "validation*"), split="train")

    monkeypatch.setattr("rarl.data.mmmu.fetch_tables", fetched)
    assert len(load_dataset("mmmu-health", split="validation")) == 10
    assert asked == [("MMMU/MMMU", {"name": subject, "split": "validation"}) for subject in SUBJECTS]
