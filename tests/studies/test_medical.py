"""The medical studies' data sets, in small files of their published layouts."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from published_sets import picture, write_json, write_lines, write_pictures
from rarl.evaluating import load_split
from rarl.studies import Study, load_study
from rarl.studies.design import Cell
from rarl.studies.running import absent_sets, skipped_arms

CONFIGS = Path(__file__).parents[2] / "configs"
IMAGES = [f"xmlab{number}/source.jpg" for number in range(10)]
UNSEEN = ["slake", "slake-apart", "pathvqa", "vqa-med", "medxpertqa"]


def study(name: str) -> Study:
    return load_study(CONFIGS / name)


def test_sets_that_are_not_there_are_left_out_by_name(data: Path) -> None:
    for folder in data.iterdir():
        if folder.name != "vqa_rad":
            shutil.rmtree(folder)
    absent = absent_sets(study("study-medical.toml"))
    assert list(absent) == UNSEEN
    assert all("does not exist; it must hold" in why for why in absent.values())


def test_every_set_is_asked_where_its_files_are(data: Path) -> None:
    for name in ("study-medical.toml", "study-medical-silvar.toml"):
        assert absent_sets(study(name)) == {}
    silvar = study("study-medical-silvar.toml")
    assert skipped_arms(silvar) == {}, "Silvar-Med has rationales"
    assert list(skipped_arms(study("study-medical.toml"))) == ["sft-rationales"]
    for name in ("slake", "slake-apart"):
        asked = load_split(silvar.evaluation("rarl", 0, Cell(name, "think"), ""), "test", None)
        # Silvar-Med was made from the first four images.
        assert {item.cluster for item in asked} == {f"xmlab{n}" for n in range(4 if name == "slake-apart" else 0, 10)}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that has them all, as the folder of work."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    root = tmp_path / "data"
    write_pictures(root / "slake" / "imgs", IMAGES)
    write_json(root / "slake" / "test.json", [_slake(number, name) for number, name in enumerate(IMAGES)])
    write_pictures(root / "silvar-med" / "images", IMAGES[:4])
    write_json(root / "silvar-med" / "silvar.json", [_silvar(name) for name in IMAGES[:4]])
    (root / "pathvqa").mkdir()
    columns = {"image": [{"bytes": picture(9), "path": None}], "question": ["Is it benign?"], "answer": ["yes"]}
    features = {"image": datasets.Image(), "question": datasets.Value("string"), "answer": datasets.Value("string")}
    table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    table.to_parquet(str(root / "pathvqa" / "test-0.parquet"))
    write_pictures(root / "vqa-med-2019" / "VQAMed2019_Test_Images", ["synpic1.jpg"])
    lines = root / "vqa-med-2019" / "VQAMed2019_Test_Questions_w_Ref_Answers.txt"
    lines.write_text("synpic1|plane|what plane is this film|axial\n")
    write_pictures(root / "medxpertqa-mm" / "images", ["a.jpeg"])
    write_lines(root / "medxpertqa-mm" / "MM" / "test.jsonl", [_expert()])
    write_pictures(root / "vqa_rad" / "VQA_RAD Image Folder", [f"synpic{number}.jpg" for number in range(10)])
    write_json(root / "vqa_rad" / "VQA_RAD Dataset Public.json", [_rad(number) for number in range(10)])
    return root


def _slake(qid: int, image: str) -> dict[str, Any]:
    asked = {"question": "Which organ is this?", "answer": "Liver", "answer_type": "OPEN", "content_type": "Organ"}
    where = {"img_id": qid, "img_name": image, "q_lang": "en", "location": "Abdomen", "modality": "CT"}
    return asked | where | {"base_type": "vqa", "triple": ["vhead", "_", "_"], "qid": qid}


def _silvar(image: str) -> dict[str, Any]:
    return {"image": image, "question": "Is it normal?", "answer": "No", "rationale": "A mass is seen in the liver."}


def _expert() -> dict[str, Any]:
    options = dict(zip("ABCDE", ("mumps", "measles", "rubella", "scarlet fever", "roseola"), strict=True))
    listed = " ".join(f"({letter}) {option}" for letter, option in options.items())
    about = {"medical_task": "Diagnosis", "body_system": "Skin", "question_type": "Reasoning"}
    question = f"What is it?\nAnswer Choices: {listed}"
    return {"id": "MM-1", "question": question, "options": options, "label": "C", "images": ["a.jpeg"], **about}


def _rad(qid: int) -> dict[str, Any]:
    image = f"synpic{qid}.jpg"
    kinds = {"phrase_type": "freeform", "question_type": "PRES", "answer_type": "CLOSED", "image_organ": "CHEST"}
    case = {"image_case_url": f"https://medpix.nlm.nih.gov/case?id={image}"}
    return {"qid": qid, "image_name": image, "question": "Is there a mass?", "answer": "No", **kinds, **case}
