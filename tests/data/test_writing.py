import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from published_sets import picture
from rarl.data import load_dataset
from rarl.data.images import BytesImage, FileImage, ZippedImage
from rarl.data.overlap import fingerprint
from rarl.data.writing import FORMS, write_sets
from rarl.errors import ConfigError, DataError, MissingExtraError, RunFolderError
from rarl.types import Example, QuestionKind

datasets = pytest.importorskip("datasets")

TABLES = ("jsonl", "csv", "tsv", "swift", "parquet", "llava", "datasets", "trl")


def examples(folder: Path) -> list[Example]:
    """One of everything: kinds of question and of image, text that breaks careless tables, two images of one name."""
    folder.mkdir(exist_ok=True)
    for place, shade in (("one", 10), ("two", 20)):
        (folder / place).mkdir()
        (folder / place / "scan.png").write_bytes(picture(shade))
    Image.new("RGB", (16, 12), (1, 2, 3)).save(folder / "weird name; é.jpg")
    Image.new("L", (16, 12), 77).save(folder / "tile.bmp")
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("in/Scan.PNG", picture(30))
    scan = FileImage(folder / "one" / "scan.png")
    return [
        Example("a", "p1", (scan,), "Is there a mass?", "yes", kind=QuestionKind.YESNO, modality="ct"),
        Example(
            "b", "p1", (FileImage(folder / "two" / "scan.png"), scan), 'What, "where"?', "[left; lower] lobe\tof it"
        ),
        Example(
            "c",
            "p 2",
            (FileImage(folder / "weird name; é.jpg"),),
            "Welches Organ?",
            "Leber | rechts",
            ("Milz", "Leber | rechts", "[x]"),
            QuestionKind.MCQ,
            "mr",
            "organ",
            "It is large, and on the right.\nSo it is the liver.",
        ),
        Example("d", "p3", (BytesImage(picture(40), "theirs"),), "What is it?", "cyst", references=("fluid", "a, b")),
        Example("e", "p3", (ZippedImage(folder / "a.zip", "in/Scan.PNG"),), "How many?", "2", kind=QuestionKind.NUMBER),
        Example("f", "p4", (FileImage(folder / "tile.bmp"),), "What organ?", "liver"),
    ]


def seen(example: Example) -> Any:
    """All that must survive: the pixels for the images."""
    said = replace(example, images=(), answer=" ".join(example.answer.split()))
    return said, tuple(fingerprint(image) for image in example.images)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_written_is_read_back(form: str, tmp_path: Path) -> None:
    made = examples(tmp_path / "from")
    [table] = write_sets({"train": made}, tmp_path / "to", form).tables
    read = load_dataset("table", split="train", root=str(table))
    assert [seen(each) for each in read] == [seen(each) for each in made]


@pytest.mark.parametrize("form", FORMS)
def test_equal_data_gives_equal_bytes(form: str, tmp_path: Path) -> None:
    made, found = examples(tmp_path / "from"), []
    for name in ("one", "two"):
        write_sets({"train": made}, tmp_path / name, form)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        found.append({path.relative_to(tmp_path / name): path.read_bytes() for path in files})
    assert found[0] == found[1]
    assert b"rows.parquet" not in b"".join(found[0].values())


def test_every_form_is_tested_and_told() -> None:
    page = (Path(__file__).parents[2] / "docs" / "own-data.md").read_text(encoding="utf-8")
    assert sorted(TABLES) == sorted(FORMS)
    for name, form in FORMS.items():
        assert f"| `{name}` | {form.about}" in page


def test_png_and_jpeg_are_copied_and_other_formats_become_png(tmp_path: Path) -> None:
    made = examples(tmp_path / "from")
    written = write_sets({"train": made, "test": made[:2]}, tmp_path / "to", "jsonl")
    names = {path.name: path.read_bytes() for path in (tmp_path / "to" / "images").iterdir()}
    assert names["weird-name-é.jpg"] == (tmp_path / "from" / "weird name; é.jpg").read_bytes()
    assert names["scan.png"] == picture(10)
    assert sorted(name[:5] for name in names) == ["Scan-", "scan-", "scan.", "their", "tile.", "weird"]
    assert Image.open(io.BytesIO(names["tile.png"])).getpixel((0, 0)) == (77, 77, 77)
    assert written.images == len(names) == 6
    assert [path.name for path in written.tables] == ["train.jsonl", "test.jsonl"]


def test_no_header_of_a_dicom_file_is_written(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    source = Path(pydicom.data.get_testdata_file("CT_small.dcm"))
    assert b"CompressedSamples" in source.read_bytes()
    example = Example("a", "p", (FileImage(source, "bone"),), "Is it CT?", "yes")
    for form in FORMS:
        [table] = write_sets({"train": [example]}, tmp_path / form, form).tables
        [read] = load_dataset("table", split="train", root=str(table))
        assert fingerprint(read.images[0]) == fingerprint(example.images[0]), form
        for path in (tmp_path / form).rglob("*"):
            assert path.is_dir() or b"CompressedSamples" not in path.read_bytes()


def test_the_layouts_are_those_that_others_read(tmp_path: Path) -> None:
    made = examples(tmp_path / "from")
    tables = {form: write_sets({"train": made}, tmp_path / form, form).tables[0] for form in ("llava", "swift", "trl")}
    llava = json.loads(tables["llava"].read_text(encoding="utf-8"))
    assert llava[0]["image"] == "images/scan.png"
    assert llava[0]["conversations"] == [
        {"from": "human", "value": "<image>\nIs there a mass?"},
        {"from": "gpt", "value": "yes"},
    ]
    assert llava[1]["conversations"][0]["value"].startswith("<image>\n<image>\nWhat")
    assert len(llava[1]["image"]) == 2
    swift = [json.loads(line) for line in tables["swift"].read_text(encoding="utf-8").splitlines()]
    assert swift[2]["messages"][0] == {
        "role": "user",
        "content": "<image>Welches Organ?\nOptions: A) Milz B) Leber | rechts C) [x]",
    }
    trl = datasets.load_from_disk(str(tables["trl"]))
    assert trl[1]["prompt"][0]["role"] == "user"
    assert [part["type"] for part in trl[1]["prompt"][0]["content"]] == ["image", "image", "text"]
    assert trl[0]["completion"][0]["content"][0]["text"] == "yes"
    assert trl[0]["images"][0].getpixel((0, 0)) == 10
    with (write_sets({"train": made}, tmp_path / "csv", "csv").tables[0]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1]["images"].count(";") == 1
    assert rows[3]["references"] == '["fluid", "a, b"]'


def test_only_the_owner_reads_it_and_nothing_is_written_over(tmp_path: Path) -> None:
    made = examples(tmp_path / "from")
    write_sets({"train": made}, tmp_path / "to", "csv")
    assert (tmp_path / "to").stat().st_mode & 0o077 == 0
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(RunFolderError, match="exists already"):
        write_sets({"train": made}, tmp_path / "to", "csv")
    with pytest.raises(ConfigError, match=r"unknown format 'jsonn'.*jsonl"):
        write_sets({"train": made}, tmp_path / "other", "jsonn")
    with pytest.raises(DataError, match="gives no file name"):
        write_sets({"../train": made}, tmp_path / "other", "jsonl")
    (tmp_path / "from" / "tile.bmp").write_bytes(b"BM")
    with pytest.raises(DataError, match=r"tile\.bmp"):
        write_sets({"train": made}, tmp_path / "other", "jsonl")
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("form", ["parquet", "datasets", "trl"])
def test_what_is_missing_is_told(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rarl\[data\]'|datasets"):
        write_sets({"train": examples(tmp_path / "from")}, tmp_path / "to", form)
    assert not (tmp_path / "to").exists()
