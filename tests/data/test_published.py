from pathlib import Path
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from published_sets import picture, zip_pictures
from rarl.data.images import Checkable, FileImage, ZippedImage
from rarl.data.published import ImageFolder, images_in, read_table, text
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
