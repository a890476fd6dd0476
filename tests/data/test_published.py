import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from published_sets import picture, zip_pictures
from rarl.data.images import Checkable, FileImage, ZippedImage
from rarl.data.loading import _refusal
from rarl.data.published import ImageFolder, folder_at, images_in, read_table, tables_in, text
from rarl.errors import DataError


@pytest.mark.parametrize("name", ["", "..", "../a.png", "a/../../b.png", "/etc/passwd", "..\\a.png", "C:/a.png"])
def test_a_name_that_leads_out_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="leads out of the image folder"):
        ImageFolder(Path("there")).image(name)


@given(st.text())
def test_no_name_leads_out(name: str) -> None:
    folder = Path("/there/images")
    try:
        image = ImageFolder(folder).image(name)
    except DataError:
        return
    assert isinstance(image, FileImage)
    assert image.path.parts[:3] == folder.parts
    assert ".." not in image.path.parts


def test_an_unpacked_folder_comes_before_its_archive(tmp_path: Path) -> None:
    zip_pictures(tmp_path / "images.zip", ["images/a.png", "images/b.png"])
    assert images_in("images", tmp_path).image("b.png") == ZippedImage(tmp_path / "images.zip", "images/b.png")
    with pytest.raises(DataError, match=r"images\.zip has no image 'c\.png'"):
        images_in("images", tmp_path).image("c.png")
    (tmp_path / "images").mkdir()
    assert images_in("images", tmp_path).image("c.png") == FileImage(tmp_path / "images/c.png")


def test_images_in_an_archive_are_read_and_checked(tmp_path: Path) -> None:
    archive = tmp_path / "images.zip"
    with ZipFile(archive, "w") as opened:
        opened.writestr("a/good.png", picture(70))
        opened.writestr("a/bad.png", b"no image")
    good, bad = ZippedImage(archive, "a/good.png"), ZippedImage(archive, "a/bad.png")
    assert isinstance(good, Checkable)
    good.check()
    assert (good.name, good.read().getpixel((3, 3))) == ("good.png", (70, 70, 70))
    with pytest.raises(DataError, match=r"images\.zip/a/bad\.png is not an image"):
        bad.check()
    with pytest.raises(DataError, match=r"images\.zip has no 'lost\.png'"):
        ZippedImage(archive, "lost.png").check()


def test_damaged_archives(tmp_path: Path) -> None:
    archive = tmp_path / "images.zip"
    archive.write_bytes(b"PK no archive")
    with pytest.raises(DataError, match=r"images\.zip cannot be read .*; fetch it again"):
        images_in("images", tmp_path)
    with pytest.raises(DataError, match=r"images\.zip/a\.png cannot be unpacked"):
        ZippedImage(archive, "a.png").read()
    other = tmp_path / "other.zip"
    zip_pictures(other, ["a.png"])
    data = bytearray(other.read_bytes())
    data[50] ^= 255  # within the member, whose checksum no longer holds
    other.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"other\.zip/a\.png cannot be unpacked: Bad CRC"):
        ZippedImage(other, "a.png").check()


def claiming(archive: Path, size: int) -> None:
    """Writes another unpacked size of its only member into an archive: in the list of contents and in the member."""
    data = bytearray(archive.read_bytes())
    for mark, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = data.index(mark) + offset
        data[at : at + 4] = size.to_bytes(4, "little")
    archive.write_bytes(bytes(data))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_that_claims_to_be_small_is_not_unfolded(tmp_path: Path, method: int) -> None:
    archive = tmp_path / "images.zip"
    with ZipFile(archive, "w", method) as opened:
        opened.writestr("a.png", bytes(20_000_000))
    claiming(archive, 5000)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"images\.zip/a\.png has more than the 5,000 bytes that the archive claims"):
        ZippedImage(archive, "a.png").check()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert method != zipfile.ZIP_DEFLATED or peak < 1_000_000  # of the others, a piece is unfolded whole
    larger = tmp_path / "larger.zip"  # as an archive stays open
    larger.write_bytes(archive.read_bytes())
    claiming(larger, 600_000_000)
    with pytest.raises(DataError, match="has more than the 500,000,000 bytes that are read"):
        ZippedImage(larger, "a.png").check()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_members_of_any_method(tmp_path: Path, method: int) -> None:
    told = []
    for at in range(40, 110, 7):
        archive = tmp_path / f"{at}.zip"
        with ZipFile(archive, "w", method) as opened:
            opened.writestr("a.png", picture(70))
        assert ZippedImage(archive, "a.png").read().getpixel((3, 3)) == (70, 70, 70)
        damaged = tmp_path / f"damaged-{at}.zip"
        data = bytearray(archive.read_bytes())
        data[at] ^= 255
        damaged.write_bytes(bytes(data))
        told.append(why := _refusal(ZippedImage(damaged, "a.png")))
        if why is None:  # say a larger window of LZMA's
            assert ZippedImage(damaged, "a.png").read().getpixel((3, 3)) == (70, 70, 70)
        else:
            assert why.startswith(f"{damaged}/a.png ")
            assert "\n" not in why
    assert told.count(None) < 5


def test_an_archive_without_files(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "images.zip", "w") as opened:
        opened.mkdir("images")
    with pytest.raises(DataError, match=r"images\.zip is an archive without files; fetch it again"):
        images_in("images", tmp_path)


@given(st.text())
def test_a_field_is_clean_or_missing(value: str) -> None:
    try:
        found = text({"a": value}, "a")
    except DataError:
        assert value.split() in ([], ["NULL"])
    else:
        assert found == " ".join(value.split())


def test_lines_may_hold_any_separator_but_a_line_feed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes('{"a": "x\u2028y"}\r\n\n{"a": 2}'.encode())
    assert read_table(path) == [{"a": "x\u2028y"}, {"a": 2}]
    path.write_text('{"a": 1}\n{"a":')
    with pytest.raises(DataError, match=r"a\.jsonl is not a JSONL file"):
        read_table(path)
    with pytest.raises(DataError, match="line 2, column 6"):
        read_table(path)


def test_the_case_of_an_ending_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "A.JSONL"
    path.write_text('{"a": 1}\n{"a": 2}\n')
    assert [row["a"] for row in read_table(path)] == [1, 2]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[" * 200_000, "nested too deeply"),
        (b"[" + b"1" * 5000 + b"]", "a number of too many digits"),
        (b'[{"a": "\xe9"}]', "is not UTF-8 text"),
        (b"", "line 1, column 1"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line_of_ours(tmp_path: Path, content: bytes, why: str) -> None:
    for name in ("a.json", "a.jsonl"):
        path = tmp_path / name
        path.write_bytes(content)
        if content or name == "a.json":
            with pytest.raises(DataError, match=why) as caught:
                read_table(path)
            assert str(path) in str(caught.value)
            assert "\n" not in str(caught.value)
            assert "codec" not in str(caught.value)


def test_a_root_of_nobody() -> None:
    with pytest.raises(DataError, match=r"^data\.root: ~nosuchuser/x names a user whose home is not known"):
        folder_at("~nosuchuser/x", "a table")


@pytest.mark.parametrize(("value", "said"), [("true", "true"), ("false", "false"), ("1e999", "Infinity")])
def test_what_json_has_beside_texts_and_numbers_is_no_field(value: str, said: str) -> None:
    row: Any = json.loads(f'{{"answer": {value}}}')
    with pytest.raises(DataError, match=rf"its answer must be a text or a number \(got {said}\)"):
        text(row, "answer")
    with pytest.raises(DataError, match="it has no answer"):
        text(json.loads('{"answer": NaN}'), "answer")


def test_a_damaged_copy_of_the_hubs_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "test-0.parquet").write_bytes(b"PAR1 and no more")
    for _ in range(2):
        with pytest.raises(DataError, match=r"^data\.root: .* damaged copy of PathVQA \(\w+\); fetch it again$"):
            tables_in(tmp_path, ("test",), "PathVQA", "a download")
        (tmp_path / "dataset_dict.json").write_text('{"splits": ["te')
