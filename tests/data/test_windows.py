import numpy as np
import pytest

from rarl.data.images import FileImage, View, ZippedImage, viewed
from rarl.data.loading import load_dataset
from rarl.data.windows import WINDOWS, centre_and_width, parse_window, stretched, windowed
from rarl.errors import DataError

ALL = np.ones(4, dtype=bool)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        # DICOM PS3.3 C.11.2.1.2.1: ((x - (c - 0.5)) / (w - 1) + 0.5), C.11.2.1.3.2: (x - c) / w + 0.5, and the sigmoid
        ("LINEAR", [0.0, 0.4444, 0.5556, 1.0]),
        ("LINEAR_EXACT", [0.0, 0.4, 0.5, 1.0]),
        ("SIGMOID", [0.1192, 0.4013, 0.5, 0.8808]),
    ],
)
def test_the_functions_are_the_standards(function: str, expected: list[float]) -> None:
    values = np.array([-5.0, -1.0, 0.0, 5.0])
    assert windowed(values, 0, 10, function) == pytest.approx(expected, abs=1e-4)


def test_extreme_values_overflow_nothing() -> None:
    with np.errstate(all="raise"):
        assert windowed(np.array([-1e30, 1e30]), 0, 1e-3, "SIGMOID").tolist() == [pytest.approx(0), 1]


def test_what_is_not_used_does_not_stretch() -> None:
    values = np.array([-2000.0, 0.0, 50.0, 100.0])
    assert stretched(values, values > -2000).tolist() == [0, 0, 0.5, 1]
    assert stretched(np.full(4, 7.0), ALL).tolist() == [0, 0, 0, 0]
    assert stretched(np.array([np.nan, 0.0, 1.0, np.inf]), ALL).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("window", [(0.0, 0.0), (0.0, -1.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_a_window_without_width_is_refused(window: tuple[float, float]) -> None:
    with pytest.raises(DataError, match=r"the centre must be finite and the width above 0"):
        centre_and_width(window, True, "a")


def test_every_named_window_is_one() -> None:
    for name in WINDOWS:
        assert centre_and_width(name, True, "a")[1] > 0


def test_windows_as_they_are_typed() -> None:
    assert parse_window("") is None
    assert parse_window("lung") == "lung"
    assert parse_window(" -600, 1500") == (-600, 1500)
    with pytest.raises(DataError, match="must be a name, or a centre and a width"):
        parse_window("1,2,3")


def test_a_data_sets_images_are_seen_by_its_window_and_frame(tmp_path) -> None:
    values = np.stack([np.full((8, 8), number, dtype=np.int16) for number in (100, 200, 300)])
    np.save(tmp_path / "scan.npy", values)
    loader = tmp_path / "mine.py"
    loader.write_text(
        "from rarl.data.images import FileImage\nfrom rarl.types import Example\n"
        "def load(split, *, root):\n"
        "    yield Example('a', 'a', (FileImage(f'{root}/scan.npy'),), 'Is it?', 'yes')\n"
    )
    data = load_dataset(f"{loader}:load", root=str(tmp_path), window=(200, 201), frame=2)
    assert data[0].images[0].read().getpixel((0, 0)) == (255, 255, 255)
    with pytest.raises(DataError, match="has 3 frames, counted from 0: there is no frame 3"):
        load_dataset(f"{loader}:load", root=str(tmp_path), frame=3)


def test_drawn_images_have_no_window() -> None:
    assert viewed(ZippedImage("a.zip", "b"), View("lung", 1)) == (ZippedImage("a.zip", "b", "lung", 1),)
    assert viewed(FileImage("a"), View(None, 1)) == (FileImage("a", None, 1),)
    with pytest.raises(DataError, match="this data set draws its own"):
        load_dataset("phantom", limit=1, window="lung")
