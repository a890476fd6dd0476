"""VQA-RAD: small files of the published layouts, and the real set where a copy is at hand."""

import io
import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rarl import cli
from rarl.data import Dataset, load_dataset, vqa_rad
from rarl.errors import DataError
from rarl.types import QuestionKind

REAL = Path(os.environ.get("RARL_VQA_RAD") or Path(__file__).parents[2].parent / "shared/data/vqa_rad")
real = pytest.mark.skipif(not (REAL / vqa_rad.JSON_NAME).is_file(), reason="no copy of VQA-RAD (set RARL_VQA_RAD)")


def row(
    qid: Any, image: Any, question: Any = "Is the heart enlarged?", answer: Any = "No", **more: Any
) -> dict[str, Any]:
    published = {
        "qid": qid,
        "phrase_type": "freeform",
        "qid_linked_id": "03f451ca-de62-4617-9679-e836026a7642",
        "image_case_url": f"https://medpix.nlm.nih.gov/case?id={image}",
        "image_name": image,
        "image_organ": "CHEST",
        "evaluation": "evaluated",
        "question": question,
        "question_rephrase": "NULL",
        "question_relation": "NULL",
        "question_frame": "NULL",
        "question_type": "PRES",
        "answer": answer,
        "answer_type": "CLOSED",
    }
    return published | more


def write(
    root: Path, rows: Any, *, name: str = vqa_rad.JSON_NAME, folder: str = vqa_rad.IMAGE_FOLDER, images: int = 20
) -> str:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for number in range(images):
        Image.new("L", (32, 32), 10 * number).save(root / folder / f"synpic{number}.jpg")
    (root / name).write_text(json.dumps(rows), encoding="utf-8")
    return str(root)


def load(root: str, split: str = "train", **more: Any) -> Dataset:
    return load_dataset("vqa-rad", split=split, root=root, **more)


def test_dirty_values(tmp_path: Path) -> None:
    rows = [
        row("0", "synpic0.jpg", "  Is there a \n mass? ", " Yes ", answer_type="CLOSED ", question_type="PRES, ABN"),
        row(1, "synpic0.jpg", "How many lesions are there?", 4, answer_type="OPEN", question_type="COUNT"),
        row(2, "synpic1.jpg", "Is it left or right?", "left", image_organ="HEAD", question_type="ABN, PRES"),
        row(3, "synpic1.jpg", "What is seen?", "Mixed \tair ", image_organ="ABD ", question_type="ATRIB"),
        row(4, "synpic1.jpg", "What is seen?", "Air", image_organ="NULL", question_type="NULL"),
    ]
    data = load(write(tmp_path, rows))
    assert [item.id for item in data] == [f"vqa-rad-{number}" for number in range(5)]
    assert [item.cluster for item in data] == ["synpic0.jpg"] * 2 + ["synpic1.jpg"] * 3
    assert data[0].question == "Is there a mass?"
    assert [item.answer for item in data] == ["Yes", "4", "left", "Mixed, air", "Air"]
    kinds = [QuestionKind.YESNO, QuestionKind.NUMBER, QuestionKind.MCQ, QuestionKind.MULTI, QuestionKind.OPEN]
    assert [item.kind for item in data] == kinds
    assert [item.modality for item in data] == ["chest", "chest", "head", "abdomen", None]
    assert [item.task for item in data] == ["abnormality+presence", "count", "abnormality+presence", "attribute", None]
    assert data[2].images[0].read().getpixel((5, 5)) == (10, 10, 10)


@pytest.mark.parametrize(
    ("name", "folder"), [("VQA_RAD Dataset Public.json", "images"), ("vqa.json", "deep/er"), ("vqa.json", ".")]
)
def test_json_and_images_are_found_under_other_names(tmp_path: Path, name: str, folder: str) -> None:
    root = write(tmp_path, [row(0, "synpic0.jpg")], name=name, folder=folder)
    (tmp_path / "notes.json").write_text('{"made": "by hand"}')
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "empty").mkdir()
    assert len(load(root)) == 1
    assert len(load(f"{root}/{name}")) == 1  # the file itself will do


def test_two_tables_are_ambiguous(tmp_path: Path) -> None:
    write(tmp_path, [row(0, "synpic0.jpg")], name="a.json")
    with pytest.raises(DataError, match=r"2 tables of VQA-RAD \(a\.json, b\.json\)"):
        load(write(tmp_path, [row(0, "synpic0.jpg")], name="b.json"))


BAD_ROWS = [
    (row(7, "synpic0.jpg", "NULL"), "it has no question"),
    (row(7, "synpic0.jpg", answer=None), "it has no answer"),
    (row(7, "synpic0.jpg", answer=float("nan")), "it has no answer"),
    (row(7, "synpic0.jpg", answer=["Yes"]), "it has no answer"),
    (row(None, "synpic0.jpg"), "it has no qid"),
    (row(7, None), "it has no image_name"),
    (row(7, "../synpic0.jpg"), "leads out of the image folder"),
    (row(7, "/etc/passwd"), "leads out of the image folder"),
]


@pytest.mark.parametrize(("bad", "why"), BAD_ROWS)
def test_a_bad_row_is_named_or_skipped(tmp_path: Path, bad: dict[str, Any], why: str) -> None:
    root = write(tmp_path, [row(0, "synpic0.jpg"), bad, row(2, "synpic1.jpg")])
    with pytest.raises(DataError, match=rf"VQA_RAD Dataset Public\.json, row 1 \(qid .*{why}"):
        load(root)
    data = load(root, on_error="skip")
    assert [item.id for item in data] == ["vqa-rad-0", "vqa-rad-2"]
    assert len(data.skipped) == 1


def test_missing_and_unreadable_images(tmp_path: Path) -> None:
    root = write(tmp_path, [row(number, f"synpic{number}.jpg") for number in range(3)])
    (tmp_path / vqa_rad.IMAGE_FOLDER / "synpic1.jpg").write_text("not an image")
    (tmp_path / vqa_rad.IMAGE_FOLDER / "synpic2.jpg").unlink()
    with pytest.raises(DataError, match=r"vqa-rad-1'.*synpic1\.jpg is not an image"):
        load(root)
    data = load(root, on_error="skip")
    assert [item.id for item in data] == ["vqa-rad-0"]
    assert [why.split(vqa_rad.IMAGE_FOLDER)[1] for _, why in data.skipped][1] == "/synpic2.jpg does not exist"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "is not a JSON file"),
        ('{"a": 1}', "a list of objects"),
        ("[1]", "a list of objects"),
        ('[{"qid": 1}]', r"lacks the field\(s\) answer, image_name, phrase_type, question"),
        ("[]", "has no example"),
    ],
)
def test_a_table_of_another_form_is_refused(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / vqa_rad.JSON_NAME).write_text(content)
    with pytest.raises(DataError, match=why):
        load(str(tmp_path))


def test_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere does not exist; it must hold 'VQA_RAD Dataset Public\.json'"):
        load(str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="holds no copy of VQA-RAD; put there"):
        load(str(tmp_path))
    (tmp_path / vqa_rad.JSON_NAME).write_text(json.dumps([row(0, "synpic0.jpg")]))
    with pytest.raises(DataError, match="no folder with their images; put 'VQA_RAD Image Folder' beside them"):
        load(str(tmp_path))


def test_unknown_splits() -> None:
    with pytest.raises(DataError, match="no split 'disjoint-tst'; did you mean 'disjoint-test'"):
        load("", "disjoint-tst")


def test_official_and_disjoint_splits(tmp_path: Path) -> None:
    # 20 images of 3 questions, the third in the official test set; images 0 and 1 are of one case.
    rows = [
        row(3 * image + part, f"synpic{image}.jpg", phrase_type=("freeform", "para", "test_para")[part])
        | ({"image_case_url": "https://medpix.nlm.nih.gov/case?id=one"} if image < 2 else {})
        for image in range(20)
        for part in range(3)
    ]
    root = write(tmp_path, rows)
    assert [item.id for item in load(root, "test")] == [f"vqa-rad-{3 * image + 2}" for image in range(20)]
    assert len(load(root, "train")) == 40
    parts = {seed: load(root, "disjoint-test", split_seed=seed) for seed in range(8)}
    assert len({tuple(item.id for item in part) for part in parts.values()}) > 1
    for seed, test in parts.items():
        train = load(root, "disjoint-train", split_seed=seed)
        assert {item.id for item in train} | {item.id for item in test} == {f"vqa-rad-{number}" for number in range(60)}
        assert not {item.cluster for item in train} & {item.cluster for item in test}
        assert len({item.cluster for item in test}) in (3, 4, 5)
        held = {item.cluster for item in test}
        assert ("synpic0.jpg" in held) == ("synpic1.jpg" in held)


def test_the_disjoint_split_is_the_same_for_every_run(tmp_path: Path) -> None:
    root = write(tmp_path, [row(number, f"synpic{number}.jpg") for number in range(20)])
    first = load(root, "disjoint-test", seed=0)
    assert load(root, "disjoint-test", seed=1) == first
    (tmp_path / vqa_rad.IMAGE_FOLDER / first[0].cluster).unlink()  # and a lost image moves no other one
    assert load(root, "disjoint-test", on_error="skip").examples == first.examples[1:]


# --- the hub's version


def published(train: int = 6, test: int = 4) -> Any:
    """A `DatasetDict` with the hub's columns; three images, of which each split sees all."""
    datasets = pytest.importorskip("datasets")

    def image(number: int) -> dict[str, Any]:
        buffer = io.BytesIO()
        Image.new("RGB", (32, 32), (80 * number, 0, 0)).save(buffer, "PNG")
        return {"bytes": buffer.getvalue(), "path": None}

    def table(rows: int) -> Any:
        columns = {
            "image": [image(number % 3) for number in range(rows)],
            "question": ["is there a mass?"] * rows,
            "answer": ["yes", "left lung"] * (rows // 2),
        }
        features = {"image": datasets.Image(), "question": datasets.Value("string"), "answer": datasets.Value("string")}
        return datasets.Dataset.from_dict(columns, features=datasets.Features(features))

    return datasets.DatasetDict({"train": table(train), "test": table(test)})


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def assert_hub_splits(root: str) -> None:
    train, test = load(root, "train"), load(root, "test")
    assert [item.id for item in train] == [f"vqa-rad-train-{number}" for number in range(6)]
    assert [item.id for item in test] == [f"vqa-rad-test-{number}" for number in range(4)]
    assert len({item.cluster for item in train}) == 3
    assert {item.cluster for item in test} == {item.cluster for item in train}
    assert (train[0].answer, train[0].kind, train[0].modality) == ("yes", QuestionKind.YESNO, None)
    assert train[1].images[0].read().getpixel((0, 0)) == (80, 0, 0)
    kept, held = load(root, "disjoint-train"), load(root, "disjoint-test")
    assert len(kept) + len(held) == 10
    assert not {item.cluster for item in kept} & {item.cluster for item in held}


@pytest.mark.usefixtures("own_cache")
def test_a_download_of_the_hub_version(tmp_path: Path) -> None:
    (tmp_path / "copy/data").mkdir(parents=True)
    for split, table in published().items():
        table.to_parquet(tmp_path / f"copy/data/{split}-00000-of-00001.parquet")
    assert_hub_splits(str(tmp_path / "copy"))


@pytest.mark.usefixtures("own_cache")
def test_the_hub_version_saved_to_disk(tmp_path: Path) -> None:
    published().save_to_disk(str(tmp_path / "saved"))
    assert_hub_splits(str(tmp_path / "saved"))


def test_without_a_root_the_hub_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    asked = []
    monkeypatch.setattr("datasets.load_dataset", lambda name: asked.append(name) or published())
    assert_hub_splits("")
    assert set(asked) == {"flaviagiammarino/vqa-rad"}


def test_without_network_the_error_says_what_to_put_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    monkeypatch.setattr("datasets.config.HF_CACHE_HOME", tmp_path)
    with pytest.raises(DataError) as caught:
        load("")
    message = str(caught.value)
    assert "cannot fetch flaviagiammarino/vqa-rad" in message
    assert "pass data.root" in message
    assert "https://osf.io/89kps" in message
    assert "\n" not in message


def test_hub_tables_of_another_form(tmp_path: Path) -> None:
    tables = published()
    tables["test"] = tables["test"].rename_column("answer", "reply")
    tables.save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(DataError, match="must have a split 'test' with the columns image, question, answer"):
        load(str(tmp_path / "saved"))


# --- the real set


@real
def test_the_real_set_has_its_known_facts() -> None:
    train, test = load(str(REAL), "train"), load(str(REAL), "test")
    assert (len(train), len(test)) == (1797, 451)
    assert not train.skipped
    assert not test.skipped
    both = [*train, *test]
    assert len({item.id for item in both}) == 2248
    train_images, test_images = ({item.cluster for item in part} for part in (train, test))
    assert (len(test_images), len(test_images & train_images)) == (203, 202)
    assert len(train_images | test_images) == 314  # of the 315 files; nothing is asked about the other one
    yes_or_no = [item for item in both if item.answer.lower() in ("yes", "no")]
    assert len(yes_or_no) == 1193  # 1,299 are labelled CLOSED: 106 of these are something else
    assert all(item.kind is QuestionKind.YESNO for item in yes_or_no)
    kinds = Counter(item.kind.value for item in both)
    assert kinds == {"yesno": 1193, "open": 846, "mcq": 107, "multi": 80, "number": 22}
    assert next(item.answer for item in both if item.id == "vqa-rad-369") == "Heart, lungs"  # written with a tab
    assert Counter(item.modality for item in both) == {"chest": 794, "abdomen": 739, "head": 715}
    assert Counter(item.task for item in both)["presence"] == 801
    assert {item.answer for item in both if item.id in ("vqa-rad-1511", "vqa-rad-2235")} == {"4", "12"}
    assert all(item.question and item.answer == item.answer.strip() for item in both)


@real
def test_the_real_disjoint_splits_share_no_image() -> None:
    train, test = load(str(REAL), "disjoint-train"), load(str(REAL), "disjoint-test")
    assert len(train) + len(test) == 2248
    train_images, test_images = ({item.cluster for item in part} for part in (train, test))
    assert not train_images & test_images
    assert (len(train_images), len(test_images)) == pytest.approx((251, 63), abs=2)
    assert len(test) / 2248 == pytest.approx(0.2, abs=0.03)
    assert set(Counter(item.modality for item in test)) == {"chest", "abdomen", "head"}


@real
def test_the_real_set_with_a_lost_image(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for path in (REAL / vqa_rad.IMAGE_FOLDER).iterdir():
        if path.name != "synpic54610.jpg":
            (tmp_path / "images" / path.name).symlink_to(path)
    shutil.copy(REAL / vqa_rad.JSON_NAME, tmp_path)
    with pytest.raises(DataError, match=r"vqa-rad-0'.*synpic54610\.jpg does not exist"):
        load(str(tmp_path))
    data = load(str(tmp_path), on_error="skip")
    assert len(data) + len(data.skipped) == 1797
    assert {item.split("/")[-1].split()[0] for _, item in data.skipped} == {"synpic54610.jpg"}


@real
def test_the_official_test_split_shares_all_but_one_of_its_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found.json"
    monkeypatch.setattr(sys, "argv", ["rarl", "data", "check", "vqa-rad", "--root", str(REAL), "--json", str(out)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert not caught.value.code
    assert "202 of 203" in capsys.readouterr().out
    [pair] = json.loads(out.read_text())["pairs"]
    assert (pair["of"], pair["within"]) == ("vqa-rad test", "vqa-rad train")
    assert (pair["images"], pair["of_images"], pair["near_images"]) == (202, 203, 0)
    assert (pair["examples"], pair["of_examples"]) == (446, 451)
