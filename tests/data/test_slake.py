import json
from pathlib import Path
from typing import Any
from zipfile import ZIP_LZMA, ZipFile

import pytest

from published_sets import picture, write_json, write_pictures, zip_pictures
from rarl.data import load_dataset
from rarl.errors import DataError
from rarl.types import QuestionKind


def row(qid: int, image: str, question: str, answer: Any, language: str = "en", **more: Any) -> dict[str, Any]:
    return {
        "img_id": 1,
        "img_name": image,
        "question": question,
        "answer": answer,
        "q_lang": language,
        "location": "Abdomen",
        "modality": "MRI",
        "answer_type": "OPEN",
        "base_type": "vqa",
        "content_type": "Modality",
        "triple": ["vhead", "_", "_"],
        "qid": qid,
    } | more


ROWS = [
    row(0, "xmlab1/source.jpg", "What modality is used to take this image?", "MRI"),
    row(1, "xmlab1/source.jpg", "Does the picture contain liver?", "Yes", answer_type="CLOSED", content_type="Organ"),
    row(2, "xmlab1/source.jpg", "图中有异常吗?", "是", "zh", content_type="Abnormality"),
    row(3, "xmlab2/source.jpg", "Which is bigger, liver or spleen?", " Liver ", modality="X-Ray"),
]
NAMES = ("xmlab1/source.jpg", "xmlab2/source.jpg")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_json(tmp_path / "train.json", ROWS)
    write_json(tmp_path / "validate.json", ROWS[:1])
    write_json(tmp_path / "test.json", ROWS[3:])
    write_pictures(tmp_path / "imgs", NAMES)
    return tmp_path


def test_what_a_row_becomes(root: Path) -> None:
    data = load_dataset("slake", root=str(root))
    assert [item.id for item in data] == ["slake-0", "slake-1", "slake-3"]
    assert [item.cluster for item in data] == ["xmlab1", "xmlab1", "xmlab2"]
    assert [item.answer for item in data] == ["MRI", "Yes", "Liver"]
    assert [item.kind for item in data] == [QuestionKind.OPEN, QuestionKind.YESNO, QuestionKind.MCQ]
    assert [item.modality for item in data] == ["mri", "mri", "x-ray"]
    assert [item.task for item in data] == ["modality", "organ", "modality"]
    assert data[2].images[0].read().getpixel((0, 0)) == (10, 10, 10)


def test_languages_and_splits(root: Path) -> None:
    assert [item.question for item in load_dataset("slake", root=str(root), language="zh")] == ["图中有异常吗?"]
    assert len(load_dataset("slake", root=str(root), language="all")) == 4
    assert [item.id for item in load_dataset("slake", split="validation", root=str(root))] == ["slake-0"]
    assert [item.id for item in load_dataset("slake", split="test", root=str(root))] == ["slake-3"]
    with pytest.raises(DataError, match="language must be one of en, zh, all, not 'english'"):
        load_dataset("slake", root=str(root), language="english")
    with pytest.raises(DataError, match="no split 'validate'; did you mean 'validation'"):
        load_dataset("slake", split="validate", root=str(root))


@pytest.mark.parametrize("top", ["imgs/", ""])
def test_the_archive_of_images_need_not_be_unpacked(tmp_path: Path, top: str) -> None:
    write_json(tmp_path / "train.json", ROWS)
    zip_pictures(tmp_path / "imgs.zip", [top + name for name in NAMES])
    data = load_dataset("slake", root=str(tmp_path))
    assert [item.images[0].read().getpixel((0, 0)) for item in data] == [(0, 0, 0), (0, 0, 0), (10, 10, 10)]
    assert data[0].images == data[1].images


def test_a_damaged_member_is_a_row_that_is_left_out(tmp_path: Path) -> None:
    write_json(tmp_path / "train.json", ROWS)
    with ZipFile(tmp_path / "imgs.zip", "w", ZIP_LZMA) as opened:
        for name in NAMES:
            opened.writestr(name, picture(10))
    data = bytearray((tmp_path / "imgs.zip").read_bytes())
    properties = data.rindex(NAMES[1].encode(), 0, data.index(b"PK\x01\x02")) + len(NAMES[1]) + 4
    data[properties] = 255  # no compressor writes that
    (tmp_path / "imgs.zip").write_bytes(bytes(data))
    found = load_dataset("slake", root=str(tmp_path), on_error="skip")
    assert [item.id for item in found] == ["slake-0", "slake-1"]
    [(where, why)] = found.skipped
    assert "slake-3" in where
    assert "imgs.zip/xmlab2/source.jpg cannot be unpacked" in why


def test_a_bad_row_is_named_or_skipped(root: Path) -> None:
    bad = [
        row(7, "../secret.jpg", "?", "x"),
        row(8, "xmlab1/source.jpg", "", "x"),
        row(9, "xmlab1/source.jpg", "?", ""),
        row(10, ".", "?", "x"),
        row(11, "xmlab1/source.jpg", "?", True),
        row(12, "xmlab1/source.jpg", "?", "x", modality="\ud800"),
    ]
    (root / "train.json").write_text(json.dumps([*ROWS, *bad]))
    with pytest.raises(DataError, match=r"train\.json, row 4: '\.\./secret\.jpg' leads out of the image folder"):
        load_dataset("slake", root=str(root))
    data = load_dataset("slake", root=str(root), on_error="skip")
    assert len(data) == 3
    assert [why for _, why in data.skipped][1:] == [
        "it has no question",
        "it has no answer",
        "'.' leads out of the image folder",
        "its answer must be a text or a number (got true)",
        "'\\ud800' is no valid Unicode",
    ]


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"has no train\.json; data\.root must be a folder with train\.json, validation\.json"
    ):
        load_dataset("slake", root=str(tmp_path))
    write_json(tmp_path / "train.json", [{"qid": 1, "question": "?"}])
    with pytest.raises(DataError, match=r"lacks the field\(s\) answer, img_name, q_lang; it has qid, question"):
        load_dataset("slake", root=str(tmp_path))
    write_json(tmp_path / "train.json", ROWS)
    with pytest.raises(DataError, match=r"no folder 'imgs' with the images, and no imgs\.zip"):
        load_dataset("slake", root=str(tmp_path))


def test_the_hub_gives_the_same_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("rarl.data.published.go_offline_if_unreachable", lambda: None)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **more: asked.append((name, more)) or root)
    assert len(load_dataset("slake")) == 3
    assert asked == [("BoKelvin/SLAKE", {"repo_type": "dataset", "allow_patterns": ["*.json", "imgs.zip"]})]


def test_without_network_the_error_says_what_to_put_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        DataError, match=r"cannot fetch BoKelvin/SLAKE .*pass data\.root, a folder with train\.json"
    ) as caught:
        load_dataset("slake")
    assert "\n" not in str(caught.value)
