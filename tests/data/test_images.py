import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rarl.data import images
from rarl.data.images import BytesImage, FileImage
from rarl.errors import DataError


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def pixel(image: Image.Image, x: int = 0, y: int = 0) -> tuple[int, ...]:
    assert image.mode == "RGB"
    found = image.getpixel((x, y))
    assert isinstance(found, tuple)
    return found


def noise(height: int = 40, width: int = 50, channels: int = 3) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(values.squeeze())


def read(data: bytes) -> Image.Image:
    image = BytesImage(data, "scan.png")
    image.check()
    return image.read()


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "BMP"])
def test_lossless_formats_come_back_as_they_are(tmp_path: Path, format_: str) -> None:
    image = noise()
    path = tmp_path / "scan"  # the format is found in the bytes, not in the name
    path.write_bytes(encoded(image, format_))
    FileImage(path).check()
    assert np.array_equal(np.asarray(FileImage(path).read()), np.asarray(image))


def test_a_disguised_format_is_read_for_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "scan.jpg"
    path.write_bytes(encoded(Image.new("RGB", (8, 8), (1, 2, 3)), "PNG"))
    assert pixel(FileImage(path).read()) == (1, 2, 3)


def test_grey_palette_and_one_bit() -> None:
    assert pixel(read(encoded(Image.new("L", (4, 4), 77), "PNG"))) == (77, 77, 77)
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 100, 50])
    assert pixel(read(encoded(palette, "PNG"))) == (200, 100, 50)
    assert pixel(read(encoded(Image.new("1", (4, 4), 1), "PNG"))) == (255, 255, 255)


def test_transparency_lies_on_black() -> None:
    half = Image.new("RGBA", (4, 4), (200, 100, 50, 128))
    assert pixel(read(encoded(half, "PNG"))) == pytest.approx((100, 50, 25), abs=1)
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 100, 50])
    assert pixel(read(encoded(palette, "PNG", transparency=1))) == (0, 0, 0)
    assert pixel(read(encoded(Image.new("LA", (4, 4), (90, 0)), "PNG"))) == (0, 0, 0)


def test_cmyk_is_converted() -> None:
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert pixel(read(encoded(red, "JPEG", quality=95))) == pytest.approx((255, 0, 0), abs=6)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 32768, 65535], [0, 128, 255]),  # 16 bits: by 65535
        ([0, 2048, 4095], [0, 128, 255]),  # 12 bits: by 4095; neither clipped to white nor nearly black
        ([0, 100, 255], [0, 100, 255]),  # 8 bits in a wide file: as they are
        ([0, 0, 0], [0, 0, 0]),
    ],
)
def test_more_than_eight_bits(values: list[int], expected: list[int]) -> None:
    wide = Image.fromarray(np.array([values], dtype=np.uint16))
    assert np.asarray(read(encoded(wide, "PNG")))[0, :, 0].tolist() == expected
    assert np.asarray(read(encoded(wide, "TIFF")))[0, :, 0].tolist() == expected


def test_signed_and_floating_values_use_their_own_range() -> None:
    signed = Image.fromarray(np.array([[-1000, 0, 1000]], dtype=np.int32))
    assert np.asarray(read(encoded(signed, "TIFF")))[0, :, 0].tolist() == [0, 128, 255]
    floating = Image.fromarray(np.array([[0.25, np.nan, 0.75]], dtype=np.float32))
    assert np.asarray(read(encoded(floating, "TIFF")))[0, :, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize(("orientation", "corner"), [(1, "tl"), (2, "tr"), (3, "br"), (4, "bl"), (6, "tr"), (8, "bl")])
@pytest.mark.parametrize("format_", ["PNG", "JPEG"])
def test_exif_orientation_is_applied(format_: str, orientation: int, corner: str) -> None:
    # A bright top-left corner ends where the EXIF standard says that row 0 and column 0 are shown.
    values = np.zeros((32, 48), dtype=np.uint8)
    values[:8, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = read(encoded(Image.fromarray(values), format_, exif=exif))
    assert image.size == ((32, 48) if orientation in (6, 8) else (48, 32))
    x, y = (2 if corner[1] == "l" else image.width - 3), (2 if corner[0] == "t" else image.height - 3)
    assert pixel(image, x, y)[0] > 200
    assert np.asarray(image).mean() < 40  # and nothing else is bright


def test_an_odd_exif_block_costs_no_image() -> None:
    exif = Image.Exif()
    exif[0x010E] = "description"
    data = bytearray(encoded(noise(), "JPEG", exif=exif))
    start = data.index(b"Exif\0\0") + 6
    for offset in range(start, start + 30):
        damaged = bytes(data[:offset]) + b"\xff" + bytes(data[offset + 1 :])
        assert read(damaged).size == (50, 40)


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("L", (4, 4), 10), Image.new("L", (4, 4), 200)]
    assert pixel(read(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))) == (10, 10, 10)


@pytest.mark.parametrize("operation", ["check", "read"])
def test_what_is_no_image_is_one_line_that_names_it(tmp_path: Path, operation: str) -> None:
    text = tmp_path / "report.jpg"
    text.write_text("Findings: no acute disease.\n" * 100)
    empty = tmp_path / "empty.png"
    empty.write_bytes(b"")
    script = tmp_path / "figure.png"
    script.write_bytes(encoded(Image.new("RGB", (8, 8)), "EPS"))  # would start Ghostscript
    for path, why in [
        (text, "not an image in a known format"),
        (empty, "not an image in a known format"),
        (script, "not an image in a known format"),
        (tmp_path / "missing.png", "does not exist"),
        (tmp_path, "cannot be read"),
    ]:
        with pytest.raises(DataError) as caught:
            getattr(FileImage(path), operation)()
        assert str(path) in str(caught.value)
        assert why in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF"])
def test_every_truncated_file_is_found_at_the_check(format_: str) -> None:
    data = encoded(noise(), format_)
    tail = {"GIF": 4, "JPEG": 2, "PNG": 12, "BMP": 2}.get(format_, 1)  # closing marks, padding: not pixels
    for kept in (*range(1, len(data) - tail, 97), len(data) - tail - 1):
        image = BytesImage(data[:kept], "scan")
        with pytest.raises(DataError, match="scan"):
            image.check()


def test_damaged_files_give_an_image_or_a_data_error_and_the_check_foretells_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    originals = [
        encoded(noise(), "JPEG", exif=exif),
        encoded(noise(channels=1), "JPEG", progressive=True),
        encoded(noise(), "PNG", exif=exif),
        encoded(noise(channels=4), "PNG"),
        encoded(noise(), "GIF"),
        encoded(noise(), "WEBP"),
        encoded(noise(), "BMP"),
    ]
    random_ = random.Random(0)
    for _ in range(1500):
        data = bytearray(random_.choice(originals))
        for _ in range(random_.choice((1, 1, 3, 20))):
            data[random_.randrange(len(data) if random_.random() < 0.6 else 100)] = random_.randrange(256)
        image = BytesImage(bytes(data), "scan")
        try:
            image.check()
        except DataError:
            continue
        assert image.read().mode == "RGB"


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [9_000, 12_000, 60_000])
@pytest.mark.parametrize("operation", ["check", "read"])
@pytest.mark.filterwarnings("error")
def test_decompression_bombs_are_refused_before_they_unfold(side: int, operation: str) -> None:
    with pytest.raises(DataError, match="80,000,000"):
        getattr(BytesImage(png_header(side, side), "bomb.png"), operation)()


def test_sources_are_equal_by_what_they_hold() -> None:
    data = encoded(noise(), "PNG")
    assert BytesImage(data, "a") == BytesImage(bytes(bytearray(data)), "b")
    assert len({BytesImage(data, "a"), BytesImage(data, "b"), BytesImage(data[:-1], "a")}) == 2
    assert FileImage(Path("x/scan.png")) == FileImage("x/scan.png")  # type: ignore[arg-type]
    assert hash(FileImage(Path("a.png"))) == hash(FileImage(Path("a.png")))
    assert FileImage(Path("x/scan.png")).name == "scan.png"
    assert isinstance(FileImage(Path("a")), images.Checkable)


def test_a_sound_wrapping_of_broken_pixels_is_found_at_the_check() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100, 100, 8, 2, 0, 0, 0)
    for pixels in (b"garbage", b"", zlib.compress(b"\0" * 1000)):
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
        with pytest.raises(DataError, match=r"scan\.png cannot be read"):
            BytesImage(data, "scan.png").check()


@pytest.mark.parametrize("operation", ["check", "read"])
def test_a_strip_that_no_model_takes_is_refused(operation: str) -> None:
    for size, refused in (((1, 201), True), ((402, 1), True), ((1, 200), False)):
        file = io.BytesIO()
        Image.new("RGB", size).save(file, "PNG")
        image = BytesImage(file.getvalue(), "strip.png")
        if refused:
            with pytest.raises(DataError, match=r"strip\.png: .* at most 200 : 1"):
                getattr(image, operation)()
        else:
            getattr(image, operation)()
