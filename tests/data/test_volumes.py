"""Volumes: each slice as it is looked at, whatever order it is stored in; only what is needed of a file is read."""

import gzip
import io
from itertools import permutations, product
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from published_sets import picture, write_lines
from rarl.data import load_dataset
from rarl.data.images import BytesImage, FileImage, frames_of, load_image, load_images
from rarl.errors import DataError, RarlError

nibabel = pytest.importorskip("nibabel")

FILES = sorted((Path(nibabel.__file__).parent / "tests" / "data").glob("*"))
X, Y, Z = 3, 4, 5  # to the right, to the front, to the head


def body() -> np.ndarray:
    """A value for every place: [x, y, z]."""
    x, y, z = np.meshgrid(range(X), range(Y), range(Z), indexing="ij")
    return (x + 4 * y + 20 * z).astype(np.uint8)


def saved(path: Path, values: np.ndarray, affine: np.ndarray | None = None, kind: str = "Nifti1Image") -> Path:
    getattr(nibabel, kind)(values, np.eye(4) if affine is None else affine).to_filename(path)
    return path


def seen(path: Path, **view: object) -> list[list[int]]:
    return np.asarray(load_image(path, **view))[..., 0].tolist()


EXPECTED = [[[x + 4 * y + 20 * z for x in (2, 1, 0)] for y in (3, 2, 1, 0)] for z in range(Z)]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_every_orientation_gives_the_same_pictures(tmp_path: Path, order: tuple[int, ...]) -> None:
    """The patient's right is on the left, the front up, slices go from the feet to the head."""
    for flips in product((1, -1), repeat=3):
        stored, affine = body().transpose(order), np.zeros((4, 4))
        for place, (axis, flip) in enumerate(zip(order, flips, strict=True)):
            stored = np.flip(stored, place) if flip < 0 else stored
            affine[axis, place] = flip
            affine[axis, 3] = 0 if flip > 0 else (X, Y, Z)[axis] - 1
        affine[3, 3] = 1
        path = saved(tmp_path / "volume.nii", np.ascontiguousarray(stored), affine)
        assert frames_of(path) == Z
        assert [seen(path, frame=frame) for frame in range(Z)] == EXPECTED, flips


@pytest.mark.parametrize("kind", ["Nifti1Image", "Nifti2Image"])
def test_packed_or_not_and_by_content_not_by_name(tmp_path: Path, kind: str) -> None:
    plain = saved(tmp_path / "volume.nii", body(), kind=kind).read_bytes()
    for name, data in (("a.png", plain), ("b.nii", gzip.compress(plain))):
        (tmp_path / name).write_bytes(data)
        assert seen(tmp_path / name) == EXPECTED[Z // 2]
        assert np.asarray(BytesImage(data, name).read())[..., 0].tolist() == EXPECTED[Z // 2]


def test_several_slices_lie_evenly(tmp_path: Path) -> None:
    path = saved(tmp_path / "volume.nii", body())
    shown = [np.asarray(image)[..., 0].tolist() for image in load_images(path, frames=3)]
    assert shown == [EXPECTED[place] for place in (0, 2, 4)]
    assert len(load_images(path, frames=99)) == Z


@pytest.mark.parametrize("stream", [False, True])
def test_a_table_gives_several_slices_of_each_volume(tmp_path: Path, stream: bool) -> None:
    saved(tmp_path / "volume.nii", body())
    (tmp_path / "picture.png").write_bytes(picture(70))
    with ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.write(tmp_path / "volume.nii", "volume.nii")
        packed.write(tmp_path / "picture.png", "picture.png")
    rows = [{"image": ["volume.nii", "picture.png"], "question": "What is it?", "answer": "a body"}]
    write_lines(tmp_path / "t.jsonl", rows)
    for images in ("", "packed.zip"):
        options = {"root": str(tmp_path / "t.jsonl"), "images": images, "stream": stream}
        [example] = load_dataset("table", frames=3, **options)
        shown = [np.asarray(image.read())[..., 0].tolist() for image in example.images]
        assert shown[:3] == [EXPECTED[place] for place in (0, 2, 4)]
        assert len(shown) == 4
        assert set(load_dataset("table", frames=3, **options).images()) == set(example.images)
        assert len(load_dataset("table", frames=1, **options)[0].images) == 2
    with pytest.raises(DataError, match=r"data\.frame is one slice and data\.frames several"):
        load_dataset("table", frames=3, frame=1, **options)
    with pytest.raises(DataError, match=r"data\.frames must be at least 1"):
        load_dataset("table", frames=0, **options)
    with pytest.raises(DataError, match="this data set draws its own"):
        load_dataset("phantom", frames=2, limit=1)


def test_slices_of_a_volume_that_is_damaged_are_a_bad_row(tmp_path: Path) -> None:
    path = saved(tmp_path / "volume.nii", body())
    path.write_bytes(path.read_bytes()[:200])
    write_lines(tmp_path / "t.jsonl", [{"image": "volume.nii", "question": "What is it?", "answer": "a body"}])
    with pytest.raises(DataError, match=r"row 't-0': .*volume\.nii"):
        load_dataset("table", root=str(tmp_path), frames=3)


def test_slope_and_intercept_and_a_window_in_the_units_of_the_values(tmp_path: Path) -> None:
    volume = nibabel.Nifti1Image(np.array([[[0], [100]]], dtype=np.int16), np.eye(4))
    volume.header.set_slope_inter(10, -1000)
    volume.to_filename(tmp_path / "ct.nii")
    assert seen(tmp_path / "ct.nii", window=(-500, 1001)) == [[255], [0]]
    assert seen(tmp_path / "ct.nii", window=(0, 4001)) == [[128], [64]]
    with pytest.raises(DataError, match="'lung' is in Hounsfield units, and nothing says that this image is"):
        load_image(tmp_path / "ct.nii", window="lung")


def test_the_headers_own_range_is_used(tmp_path: Path) -> None:
    volume = nibabel.Nifti1Image(np.array([[[0.0], [5.0]]]), np.eye(4))
    volume.header["cal_min"], volume.header["cal_max"] = 0, 10
    volume.to_filename(tmp_path / "a.nii")
    assert seen(tmp_path / "a.nii") == [[128], [0]]


def test_colour_is_kept(tmp_path: Path) -> None:
    values = np.zeros((2, 2, 1), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    values["G"] = 200
    assert load_image(saved(tmp_path / "a.nii", values)).getpixel((0, 0)) == (0, 200, 0)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.zeros((2, 2), dtype=np.float32), "it needs three dimensions"),
        (np.zeros((2, 2, 2), dtype=np.complex64), "complex numbers"),
        (np.zeros((2, 500, 2), dtype=np.uint8), "at most 200 : 1 is read"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, values: np.ndarray, told: str) -> None:
    with pytest.raises(DataError, match=told):
        load_image(saved(tmp_path / "a.nii", values))


def test_a_header_that_claims_more_than_is_read_is_refused_at_once(tmp_path: Path) -> None:
    data = bytearray(saved(tmp_path / "a.nii", body()).read_bytes())
    data[40:56] = np.array([3, 30000, 30000, 30000, 1, 1, 1, 1], dtype="<i2").tobytes()
    with pytest.raises(DataError, match=r"a.nii claims 27,000,000,000,000 bytes of values; at most 4,000,000,000"):
        BytesImage(bytes(data), "a.nii").read()
    with pytest.raises(DataError, match="claims"):
        BytesImage(gzip.compress(bytes(data)), "a.nii").read()


def array(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def test_arrays_are_pictures_colours_or_volumes(tmp_path: Path) -> None:
    def shown(values: np.ndarray) -> list[list[int]]:
        (tmp_path / "a.npy").write_bytes(array(values))
        found = seen(tmp_path / "a.npy")
        assert np.asarray(BytesImage(array(values), "a.npy").read())[..., 0].tolist() == found
        return found

    assert shown(np.array([[0, 7], [30, 255]], dtype=np.uint8)) == [[0, 7], [30, 255]]
    assert shown(np.array([[-1.0, 0.0], [0.0, 1.0]])) == [[0, 128], [128, 255]]
    assert shown(np.array([[[9, 1, 1], [8, 1, 1]]], dtype=np.uint8)) == [[9, 8]]
    assert shown(np.arange(50, dtype=np.uint8).reshape(2, 5, 5)) == np.arange(25, 50).reshape(5, 5).tolist()
    assert shown(np.asfortranarray([[0, 7], [30, 255]], dtype=np.uint8)) == [[0, 7], [30, 255]]


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    data = array(np.array([[{}, {}]], dtype=object))
    (tmp_path / "a.npy").write_bytes(data)
    for image in (FileImage(tmp_path / "a.npy"), BytesImage(data, "a.npy")):
        with pytest.raises(DataError, match=r"a\.npy") as told:
            image.read()
        assert "\n" not in str(told.value)


PLAIN = nibabel.Nifti1Image(body(), np.eye(4)).to_bytes()


@settings(max_examples=200, deadline=None)
@given(
    whole=st.sampled_from([PLAIN, gzip.compress(PLAIN, mtime=0), array(body())]),
    place=st.floats(0, 1),
    byte=st.integers(0, 255),
    cut=st.booleans(),
)
def test_damage_leads_to_a_picture_or_to_one_line(whole: bytes, place: float, byte: int, cut: bool) -> None:
    at = int(place**3 * (len(whole) - 1))  # headers more often
    told = refusal(BytesImage(whole[:at] if cut else whole[:at] + bytes([byte]) + whole[at + 1 :], "scan"))
    assert "\n" not in told


def refusal(image: BytesImage | FileImage) -> str:
    try:
        assert image.read().mode == "RGB"
    except RarlError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("path", [path for path in FILES if path.is_file()], ids=lambda path: path.name)
def test_every_file_that_comes_with_nibabel_is_an_image_or_a_clear_error(path: Path) -> None:
    told = refusal(FileImage(path))
    assert told.startswith(str(path) * bool(told))
    assert "\n" not in told
    assert not told or ".nii" not in path.name
