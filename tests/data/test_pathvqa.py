from pathlib import Path
from typing import Any

import pytest

from published_sets import picture
from rarl.data import load_dataset
from rarl.errors import DataError
from rarl.types import QuestionKind

datasets = pytest.importorskip("datasets")

ANSWERS = ("yes", "in the canals of hering", "no", "bile duct")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def table(rows: int) -> Any:
    columns = {
        "image": [{"bytes": picture(number // 2), "path": None} for number in range(rows)],
        "question": ["where are  liver stem cells located?"] * rows,
        "answer": [ANSWERS[number % 4] for number in range(rows)],
    }
    features = {"image": datasets.Image(), "question": datasets.Value("string"), "answer": datasets.Value("string")}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def assert_test_split(root: str) -> None:
    data = load_dataset("pathvqa", split="test", root=root)
    assert [item.id for item in data] == [f"pathvqa-test-{number}" for number in range(4)]
    assert [item.answer for item in data] == list(ANSWERS)
    assert (data[0].kind, data[1].kind) == (QuestionKind.YESNO, QuestionKind.OPEN)
    assert data[0].question == "where are liver stem cells located?"
    assert data[0].images[0] is data[1].images[0]
    assert [item.cluster == data[0].cluster for item in data] == [True, True, False, False]
    assert data[2].images[0].read().getpixel((0, 0)) == (1, 1, 1)


@pytest.mark.parametrize(
    "name", ["data/test-00000-of-00003-e9adadb4799f44d3.parquet", "test-0.parquet", "default/test/0000.parquet"]
)
def test_a_download_of_the_hub_version_needs_the_asked_split_only(tmp_path: Path, name: str) -> None:
    (tmp_path / "copy" / name).parent.mkdir(parents=True)
    table(4).to_parquet(tmp_path / "copy" / name)
    assert_test_split(str(tmp_path / "copy"))
    with pytest.raises(DataError, match="holds no copy of PathVQA; put there a download"):
        load_dataset("pathvqa", split="train", root=str(tmp_path / "copy"))


def test_the_hub_version_saved_to_disk(tmp_path: Path) -> None:
    datasets.DatasetDict({"train": table(2), "test": table(4)}).save_to_disk(str(tmp_path / "saved"))
    assert_test_split(str(tmp_path / "saved"))
    with pytest.raises(DataError, match="must have a split 'validation' with the columns"):
        load_dataset("pathvqa", split="validation", root=str(tmp_path / "saved"))


def test_the_hub_is_asked_for_one_split(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("rarl.data.published.go_offline_if_unreachable", lambda: None)
    monkeypatch.setattr("datasets.load_dataset", lambda name, **which: asked.append((name, which)) or table(4))
    assert_test_split("")
    assert asked == [("flaviagiammarino/path-vqa", {"split": "test"})]
