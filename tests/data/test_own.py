import csv
import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from published_sets import picture, write_json, write_lines, write_pictures, zip_pictures
from rarl import cli
from rarl.data import load_dataset
from rarl.data.images import BytesImage
from rarl.errors import DataError
from rarl.types import Example, QuestionKind

datasets = pytest.importorskip("datasets")

ROWS = [
    {"id": "1", "image": "a.png", "question": "Is there a mass?", "answer": "yes", "patient": "p1", "modality": "CT"},
    {"id": "2", "image": "b.png", "question": "What organ?", "answer": "liver", "patient": "p1", "modality": "CT"},
]


def write_csv(path: Path, rows: list[dict[str, Any]], comma: str = ",", encoding: str = "utf-8") -> None:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, rows[0], delimiter=comma)
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    datasets.Dataset.from_list(rows).to_parquet(path)


def write_saved(path: Path, rows: list[dict[str, Any]]) -> None:
    datasets.Dataset.from_list(rows).save_to_disk(str(path.parent))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_pictures(tmp_path, ["a.png", "b.png"])
    return tmp_path


def loaded(root: Path, split: str = "train", **options: Any) -> list[Example]:
    return list(load_dataset("table", split=split, root=str(root), **options))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("t.jsonl", write_lines),
        ("t.json", write_json),
        ("t.csv", write_csv),
        ("t.tsv", lambda path, rows: write_csv(path, rows, "\t")),
        ("excel.csv", lambda path, rows: write_csv(path, rows, ";", "utf-8-sig")),
        ("t.parquet", write_parquet),
        ("saved", write_saved),
    ],
)
def test_every_format_gives_the_same(root: Path, name: str, write: Callable[[Path, Any], None]) -> None:
    write(root / name, ROWS)
    one, two = loaded(root)
    assert (one.id, one.question, one.answer, one.kind) == ("1", "Is there a mass?", "yes", QuestionKind.YESNO)
    assert (one.cluster, one.modality, two.answer) == ("p1", "ct", "liver")
    assert two.images[0].read().getpixel((0, 0)) == (10, 10, 10)


def test_columns_of_other_names(root: Path) -> None:
    rows = [{"Bild": "a.png", "Frage": "Was?", "Antwort": "Leber", "Begründung": " Weil\nso. ", "Fall": 7}]
    write_csv(root / "t.csv", rows)
    columns = {"image": "Bild", "question": "Frage", "answer": "Antwort", "rationale": "Begründung", "patient": "Fall"}
    [item] = loaded(root / "t.csv", columns=columns)
    assert (item.id, item.question, item.answer, item.cluster) == ("t-0", "Was?", "Leber", "7")
    assert item.rationale == "Weil\nso."


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"imag": "x"}, r"unknown field 'imag'; did you mean 'image'\?"),
        ({"answer": "anser"}, r"has no column 'anser'; did you mean 'answr'\? It has: image, question, answr"),
        ({}, r"has no column 'answer'; it has image, question, answr; name it: data\.options\.columns"),
    ],
)
def test_columns_that_are_not_there(root: Path, columns: dict[str, str], why: str) -> None:
    write_lines(root / "t.jsonl", [{"image": "a.png", "question": "Is it?", "answr": "yes"}])
    with pytest.raises(DataError, match=why):
        loaded(root, columns=columns)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"columns": 3}, r"data\.options\.columns must name columns by field"),
        ({"columns": {"image": 3}}, r"data\.options\.columns must name columns by field"),
        ({"images": 3}, r"data\.options\.images must be a text \(got 3\)"),
        ({"separator": None}, r"data\.options\.separator must be a text \(got None\)"),
    ],
)
def test_options_of_other_types(root: Path, options: dict[str, Any], why: str) -> None:
    write_lines(root / "t.jsonl", ROWS)
    with pytest.raises(DataError, match=why):
        loaded(root, **options)


def test_two_columns_of_one_name(root: Path) -> None:
    (root / "t.csv").write_text("image,image,question,answer\na.png,b.png,Is it?,yes\n")
    with pytest.raises(DataError, match="has several columns 'image'"):
        loaded(root)


def test_several_images_answers_and_options(root: Path) -> None:
    rows = [
        {"image": "a.png; b.png", "question": "Which grew?", "answer": '["left lobe", "left"]', "options": ""},
        {"image": '["b.png", "a.png"]', "question": "Which?", "answer": "B", "options": "liver | spleen"},
        {"image": "a.png", "question": "Why?", "answer": "a mass; no fluid", "options": ""},
    ]
    write_csv(root / "t.csv", rows)
    one, two, three = loaded(root)
    assert [image.name for image in one.images] == ["a.png", "b.png"]
    assert (one.answer, one.references) == ("left lobe", ("left",))
    assert [image.name for image in two.images] == ["b.png", "a.png"]
    assert (two.options, two.answer, two.kind) == (("liver", "spleen"), "spleen", QuestionKind.MCQ)
    assert (three.answer, three.references) == ("a mass; no fluid", ()), "a text is one answer, whatever is in it"


def test_options_as_lists_and_by_letter(root: Path) -> None:
    asked = {"image": ["a.png"], "question": "Which?"}
    rows = [
        {**asked, "answer": "SPLEEN", "options": ["liver", "spleen"]},
        {**asked, "answer": "A", "options": {"A": "liver", "B": "spleen"}},
    ]
    write_json(root / "t.json", rows)
    assert [item.answer for item in loaded(root)] == ["spleen", "liver"]


CONVERSATION = [
    {"from": "human", "value": "<image>\nIs there a mass?"},
    {"from": "gpt", "value": "yes"},
    {"from": "human", "value": "Where?"},
    {"from": "gpt", "value": "left lung"},
]
MESSAGES = [
    {"role": "system", "content": "You are a radiologist."},
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Is there a mass?"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "yes"}]},
]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (
            {"id": "x", "image": "a.png", "conversations": CONVERSATION},
            [("x-0", "Is there a mass?", "yes"), ("x-1", "Where?", "left lung")],
        ),
        ({"images": ["a.png"], "messages": MESSAGES}, [("t-0", "Is there a mass?", "yes")]),
        (
            {"images": [{"path": "a.png"}], "prompt": MESSAGES[:2], "completion": MESSAGES[2:]},
            [("t-0", "Is there a mass?", "yes")],
        ),
    ],
)
def test_conversations(root: Path, row: dict[str, Any], found: list[tuple[str, str, str]]) -> None:
    write_lines(root / "t.jsonl", [row])
    items = loaded(root)
    assert [(item.id, item.question, item.answer) for item in items] == found
    assert all(item.images[0].read().size == (32, 32) for item in items)


@pytest.mark.parametrize("talk", [[], CONVERSATION[:1], CONVERSATION[1:2], ["yes"], "yes", [{"from": "human"}]])
def test_conversations_without_an_answer_are_bad_rows(root: Path, talk: Any) -> None:
    write_lines(root / "t.jsonl", [{"image": "a.png", "conversations": talk}])
    with pytest.raises(DataError, match=r"t\.jsonl, line 1: it has no question"):
        loaded(root)


def test_images_within_a_parquet_file(tmp_path: Path) -> None:
    features = datasets.Features({name: datasets.Value("string") for name in ("question", "answer")})
    features["image"] = datasets.Image()
    columns = {"question": ["Is it?"] * 2, "answer": ["yes"] * 2, "image": [{"bytes": picture(7), "path": None}] * 2}
    table = datasets.Dataset.from_dict(columns, features=features)
    table.to_parquet(tmp_path / "t.parquet")
    one, two = loaded(tmp_path / "t.parquet")
    assert isinstance(one.images[0], BytesImage)
    assert (one.cluster, one.images) == (two.cluster, two.images)
    datasets.DatasetDict({"test": table}).save_to_disk(str(tmp_path / "saved"))
    [saved, _] = loaded(tmp_path / "saved", "test")
    assert saved.images == one.images
    with pytest.raises(DataError, match="has no split 'train'; it has test"):
        loaded(tmp_path / "saved")


def test_where_images_are(tmp_path: Path) -> None:
    write_pictures(tmp_path / "scans", ["in/a.png"])
    zip_pictures(tmp_path / "scans.zip", ["in/a.png"])
    absolute = str(tmp_path / "scans" / "in" / "a.png")
    row = {"question": "Is it?", "answer": "yes"}
    for images, name in (("scans", "in/a.png"), ("scans", "in\\a.png"), ("scans.zip", "in/a.png"), ("scans", absolute)):
        write_lines(tmp_path / "t.jsonl", [{**row, "image": name}])
        [item] = loaded(tmp_path / "t.jsonl", images=images)
        assert item.images[0].read().size == (32, 32)
    for name, why in (("../scans/in/a.png", "leads out"), ("/elsewhere/a.png", r"set data\.options\.images")):
        write_lines(tmp_path / "t.jsonl", [{**row, "image": name}])
        with pytest.raises(DataError, match=why):
            loaded(tmp_path / "t.jsonl", images="scans")
    with pytest.raises(DataError, match="does not exist"):
        loaded(tmp_path / "t.jsonl", images="nowhere")


def test_splits_of_a_column(root: Path) -> None:
    write_lines(root / "t.jsonl", [{**ROWS[0], "split": "Train"}, {**ROWS[1], "split": "val"}])
    assert [item.id for item in loaded(root, "train")] == ["1"]
    assert [item.id for item in loaded(root, "val")] == ["2"]
    with pytest.raises(DataError, match="no example to use"):
        loaded(root, "test")


def test_splits_that_share_no_patient(root: Path) -> None:
    rows = [
        {"image": "a.png", "question": f"Is it {n}?", "answer": "yes", "patient": f"p{n % 20}", "modality": "ct"}
        for n in range(60)
    ]
    write_lines(root / "t.jsonl", rows)
    train, test = loaded(root, "disjoint-train"), loaded(root, "disjoint-test")
    assert len(train) == 48
    assert len(test) == 12
    assert not {item.cluster for item in train} & {item.cluster for item in test}
    assert not {item.id for item in train} & {item.id for item in test}
    assert loaded(root, "disjoint-test") == test
    assert loaded(root, "disjoint-test", split_seed=1) != test
    with pytest.raises(DataError, match="has no split 'test'"):
        loaded(root, "test")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"answer": None}, "it has no answer"),
        ({"question": "   "}, "it has no question"),
        ({"image": ""}, "it has no image"),
        ({"image": 7}, r"must be the name of a file \(got a int\)"),
        ({"options": ["a", "b"], "answer": "c"}, r"'c' is none of its options \(a, b\)"),
        ({"kind": "yes/no"}, "its kind 'yes/no' must be one of yesno, mcq"),
        ({"answer": {"a": 1}}, "it has no answer"),
    ],
)
def test_bad_rows(root: Path, change: dict[str, Any], why: str) -> None:
    write_lines(root / "t.jsonl", [ROWS[0], {**ROWS[1], **change}])
    with pytest.raises(DataError, match=rf"t\.jsonl, line 2: .*{why}"):
        loaded(root)
    found = load_dataset("table", root=str(root), on_error="skip")
    assert [len(found), len(found.skipped)] == [1, 1]


def test_lines_that_are_no_rows_are_bad_rows(root: Path) -> None:
    (root / "t.jsonl").write_text(json.dumps(ROWS[0]) + "\n{cut\n[1]\n\n" + json.dumps(ROWS[1]) + "\n")
    found = load_dataset("table", root=str(root), on_error="skip")
    assert [item.id for item in found] == ["1", "2"]
    assert [where.rpartition(" ")[2] for where, _ in found.skipped] == ["2", "3"]


def test_a_row_of_too_many_or_too_few_fields(root: Path) -> None:
    (root / "t.csv").write_text("image,question,answer\na.png,Is it?,yes, it is\na.png,Is it?\na.png,Is it?,no\n")
    found = load_dataset("table", root=str(root), on_error="skip")
    assert [item.answer for item in found] == ["no"]
    assert "it has 4 fields, the header 3; quote fields with a ','" in found.skipped[0][1]
    assert "it has 2 fields" in found.skipped[1][1]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("t.csv", b"image,question,answer\n\xff\xfe,\xe9,yes\n", "is not UTF-8 text"),
        ("t.jsonl", b'{"image": "\xe9"}\n', "is not UTF-8 text"),
        ("t.parquet", b"PAR1 not at all", "cannot be read"),
        ("t.json", b"{}", "must hold a list of objects"),
        ("t.json", b"[", "is not a JSON file"),
        ("t.xlsx", b"PK", "is no table; write it as"),
    ],
)
def test_damaged_tables(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=why):
        loaded(tmp_path / name)


def test_folders_without_one_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds 0 tables"):
        loaded(tmp_path)
    write_lines(tmp_path / "a.jsonl", [])
    with pytest.raises(DataError, match="no example to use"):
        loaded(tmp_path)
    write_lines(tmp_path / "b.jsonl", [])
    with pytest.raises(DataError, match=r"holds 2 tables \(a\.jsonl, b\.jsonl\); give the table itself"):
        loaded(tmp_path)
    with pytest.raises(DataError, match=r"table needs data\.root"):
        load_dataset("table")


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_of_a_long_table_only_the_beginning_is_read(root: Path, form: str) -> None:
    """By a count that can't flake: what is held in memory, of a table of 20 MB."""
    rows = [{**ROWS[0], "id": f"{n}", "question": f"{n} " + "x" * 900} for n in range(20_000)]
    {"csv": write_csv, "jsonl": write_lines, "parquet": write_parquet}[form](root / f"t.{form}", rows)
    del rows
    tracemalloc.start()
    [item] = load_dataset("table", root=str(root), limit=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert item.id == "0"
    assert peak < 4_000_000


cells = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["a.png", "A"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
names = ("image", "images", "question", "answer", "options", "conversations", "messages", "kind", "id")
fields = st.sampled_from(names)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.dictionaries(fields, cells), max_size=4))
def test_any_rows_are_examples_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    root = tmp_path_factory.mktemp("any")
    write_pictures(root, ["a.png"])
    content = io.StringIO()
    content.writelines(json.dumps(row) + "\n" for row in rows)
    (root / "t.jsonl").write_text(content.getvalue())
    found, told = [], ""
    try:
        found = list(load_dataset("table", root=str(root), on_error="skip"))
    except DataError as error:
        told = str(error)
    assert "\n" not in told
    assert "cannot be loaded" not in told, "that is what a traceback becomes"
    assert all(item.question and item.answer and item.images for item in found)


def test_from_the_command_line(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(root / "t.csv", [{"Datei": "a.png", "Frage": "Was?", "Antwort": "Leber", "Fall": n} for n in range(10)])
    named = {"image": "Datei", "question": "Frage", "answer": "Antwort", "patient": "Fall"}
    options = [word for field, column in named.items() for word in ("--option", f"columns.{field}={column}")]

    def printed(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["rarl", "data", *words, "table", "--root", str(root / "t.csv"), *options])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        assert not caught.value.code
        return capsys.readouterr().out

    assert "Leber" in printed("show", "--split", "train")
    found = printed("check", "--split", "disjoint-train", "--split", "disjoint-test")
    assert "table disjoint-train: 8 examples, 1 images, 8 clusters" in found
    assert "1 of 1" in found
