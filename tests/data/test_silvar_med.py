import csv
from pathlib import Path
from typing import Any

import pytest

from published_sets import write_json, write_lines, write_pictures
from rarl.data import load_dataset
from rarl.data.overlap import fingerprints
from rarl.data.quality import check_sets
from rarl.errors import DataError

ROWS: list[dict[str, Any]] = [
    {
        "image": "xmlab1/source.jpg",
        "question": "What disease is seen?",
        "answer": "Pneumonia",
        "rationale": "The right lower lung is white, so pneumonia.",
        "part": "train",
    },
    {
        "image": "xmlab2/source.jpg",
        "question": "Is the heart large?",
        "answer": "Yes",
        "rationale": "It fills\nmore than half of the chest.",
        "part": "test",
    },
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "images", [row["image"] for row in ROWS])
    return tmp_path


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "JSON", "JSONL", "CSV"])
def test_a_table_of_any_form(root: Path, form: str) -> None:
    path = root / f"silvar.{form}"
    if form.lower() == "csv":
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, list(ROWS[0]))
            table.writeheader()
            table.writerows(ROWS)
    else:
        (write_json if form.lower() == "json" else write_lines)(path, ROWS)
    data = load_dataset("silvar-med", root=str(root))
    assert [item.id for item in data] == ["silvar-med-0", "silvar-med-1"]
    assert [item.cluster for item in data] == ["xmlab1/source.jpg", "xmlab2/source.jpg"]
    assert [item.answer for item in data] == ["Pneumonia", "Yes"]
    assert data[1].rationale == "It fills more than half of the chest."
    assert data[1].images[0].read().getpixel((0, 0)) == (10, 10, 10)
    [item] = load_dataset("silvar-med", split="test", root=str(path), split_column="part")
    assert item.id == "silvar-med-1"
    with pytest.raises(DataError, match=r"no split 'dev'\. Splits: test, train"):
        load_dataset("silvar-med", split="dev", root=str(root), split_column="part")


def test_several_right_answers(root: Path) -> None:
    rows = [{**ROWS[0], "answers": ["Pneumonia", "an infiltrate", " Pneumonia "]}, ROWS[1]]
    del rows[0]["answer"]
    write_lines(root / "silvar.jsonl", rows)
    data = load_dataset("silvar-med", root=str(root))
    assert [(item.answer, item.references) for item in data] == [("Pneumonia", ("an infiltrate",)), ("Yes", ())]
    write_lines(root / "silvar.jsonl", [row | {"answers": ["Yes", "No"]} for row in rows])
    with pytest.raises(
        DataError, match="row 'silvar-med-0': a choice, or a question of yes or no, has one right answer"
    ):
        load_dataset("silvar-med", root=str(root))
    write_lines(root / "silvar.jsonl", [rows[0] | {"answers": []}])
    with pytest.raises(DataError, match="line 1: it has no answer"):
        load_dataset("silvar-med", root=str(root))


def test_columns_of_other_names(root: Path) -> None:
    rows = [{"img": row["image"], "q": row["question"], "a": row["answer"], "why": row["rationale"]} for row in ROWS]
    write_json(root / "silvar.json", rows)
    with pytest.raises(
        DataError, match=r"lacks the field\(s\) answer, image, question, rationale; it has a, img, q, why"
    ):
        load_dataset("silvar-med", root=str(root))
    data = load_dataset("silvar-med", root=str(root), image="img", question="q", answer="a", rationale="why")
    assert [item.question for item in data] == [row["question"] for row in ROWS]


def test_what_is_missing_is_said(root: Path) -> None:
    with pytest.raises(DataError, match=r"not on the hub; pass data\.root, a folder with a table"):
        load_dataset("silvar-med")
    with pytest.raises(DataError, match="holds 0 tables; give the table"):
        load_dataset("silvar-med", root=str(root))
    write_json(root / "a.json", [*ROWS, ROWS[0] | {"rationale": ""}])
    with pytest.raises(DataError, match=r"a\.json, row 2: it has no rationale"):
        load_dataset("silvar-med", root=str(root))
    write_json(root / "b.json", [])
    with pytest.raises(DataError, match=r"holds 2 tables \(a\.json, b\.json\)"):
        load_dataset("silvar-med", root=str(root))
    with pytest.raises(DataError, match="no split 'test'"):
        load_dataset("silvar-med", split="test", root=str(root / "a.json"))


def test_disjoint_splits_share_no_image_and_have_all(tmp_path: Path) -> None:
    names = [f"xmlab{number}/source.jpg" for number in range(20)]
    write_pictures(tmp_path / "images", names)
    write_json(tmp_path / "silvar.json", [{**ROWS[0], "image": name} for name in names for _ in range(3)])
    parts = [load_dataset("silvar-med", split=f"disjoint-{part}", root=str(tmp_path)) for part in ("train", "test")]
    train, test = ({item.cluster for item in part} for part in parts)
    assert (len(parts[0]), len(parts[1])) == (48, 12)
    assert not train & test
    assert train | test == set(names)
    other = load_dataset("silvar-med", split="disjoint-test", root=str(tmp_path), split_seed=1)
    assert {item.cluster for item in other} != test


def test_an_image_under_two_names_is_in_one_split(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(12)]
    write_pictures(tmp_path / "images", names)
    rows = [{**ROWS[0], "image": f"{before}{name}"} for name in names for before in ("", "./")]
    write_json(tmp_path / "silvar.json", rows)
    parts = [load_dataset("silvar-med", split=f"disjoint-{part}", root=str(tmp_path)) for part in ("train", "test")]
    train, test = ({item.images[0].name for item in part} for part in parts)
    assert not train & test


def test_a_csv_row_of_more_fields_than_the_header_is_bad_in_any_split(root: Path) -> None:
    (root / "silvar.csv").write_text(
        "image,question,answer,rationale,part\n"
        "xmlab1/source.jpg,What is it?,A mass,It is white,train\n"
        "xmlab1/source.jpg,What is it?,A mass,It is white, so a mass,train\n"
        "xmlab2/source.jpg,What is it?,A cyst,It is black,\n"
    )
    with pytest.raises(DataError, match=r"silvar\.csv, row 1: it has 6 fields, the header 5; quote"):
        load_dataset("silvar-med", root=str(root))
    data = load_dataset("silvar-med", root=str(root), on_error="skip")
    assert [item.id for item in data] == ["silvar-med-0", "silvar-med-2"]
    parts = load_dataset("silvar-med", root=str(root), on_error="skip", split_column="part")
    assert [item.id for item in parts] == ["silvar-med-0"]
    assert [why for _, why in parts.skipped][1:] == ["it has no part"]


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", ""), ("a.csv", "image,question,answer,rationale\n"), ("a.json", "[]")]
)
def test_an_empty_table_is_called_that(root: Path, name: str, content: str) -> None:
    (root / name).write_text(content)
    with pytest.raises(DataError, match=rf"{name} has no rows; it needs the columns image, question, answer"):
        load_dataset("silvar-med", root=str(root))


def test_a_csv_that_is_none(root: Path) -> None:
    (root / "a.csv").write_bytes(b"image,question\n\xff\xfe")
    with pytest.raises(DataError, match=r"a\.csv is not UTF-8 text; save it as that"):
        load_dataset("silvar-med", root=str(root))
    (root / "a.csv").write_text("image,question\n" + "x" * 200_000)
    with pytest.raises(DataError, match=r"a\.csv is not a table of separated values \(field larger"):
        load_dataset("silvar-med", root=str(root))


@pytest.mark.parametrize("option", ["image", "question", "answer", "rationale", "split_column"])
@pytest.mark.parametrize("value", [3, ["image"], None, True])
def test_an_option_that_names_no_column(root: Path, option: str, value: Any) -> None:
    write_json(root / "silvar.json", ROWS)
    with pytest.raises(DataError, match=rf"^silvar-med: the option {option} must be the name of a column \(got"):
        load_dataset("silvar-med", root=str(root), **{option: value})


def test_what_it_shares_with_slake_is_counted_and_left_out_on_demand(root: Path, tmp_path: Path) -> None:
    write_json(root / "silvar.json", ROWS)
    slake = tmp_path / "slake"
    write_pictures(slake / "imgs", ["a/source.jpg", "b/source.jpg", "c/source.jpg"])  # the first two are those above
    questions = {
        "img_name": "b/source.jpg",
        "question": "Is it large?",
        "answer": "Yes",
        "q_lang": "en",
        "qid": 1,
        "modality": "X-Ray",
        "content_type": "Size",
        "answer_type": "CLOSED",
    }
    write_json(slake / "test.json", [questions, {**questions, "img_name": "c/source.jpg", "qid": 2}])
    parts = [load_dataset("silvar-med", root=str(root)), load_dataset("slake", split="test", root=str(slake))]
    pytest.importorskip("imagehash")
    [pair] = check_sets(parts).pairs
    assert (pair.images, pair.of_images) == (1, 2)
    apart = load_dataset("silvar-med", root=str(root), without=set(fingerprints(parts[1]).values()))
    assert [each.images[0].name for each in apart] == ["source.jpg"]
    assert (len(apart), apart.overlapping) == (1, 1)
