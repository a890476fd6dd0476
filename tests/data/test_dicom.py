"""DICOM: pixels are those of pydicom's own pipeline; whatever else a file holds is one line without its header."""

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rarl.data.dicom import patient_of
from rarl.data.images import BytesImage, FileImage, frames_of, load_image, load_images
from rarl.errors import DataError, RarlError

pydicom = pytest.importorskip("pydicom")
from pydicom.dataset import FileDataset, FileMetaDataset  # noqa: E402
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut  # noqa: E402
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, SecondaryCaptureImageStorage  # noqa: E402

BUNDLED = Path(pydicom.__file__).parent / "data"
FILES = sorted(
    path
    for path in BUNDLED.rglob("*")
    if path.is_file() and path.suffix not in (".py", ".pyc", ".json", ".csv", ".txt", ".dump")
)
NAME = "Doe^Jane"


def made(values: np.ndarray, **tags: object) -> bytes:
    """A file with these stored values: [rows, columns], or [frames, rows, columns]."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = tags.pop("syntax", ExplicitVRLittleEndian)
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    header = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    header.PatientName, header.PatientID = NAME, "4711"
    header.Modality, header.PhotometricInterpretation, header.SamplesPerPixel = "OT", "MONOCHROME2", 1
    header.Rows, header.Columns = values.shape[-2:]
    header.BitsAllocated = header.BitsStored = 8 * values.dtype.itemsize
    header.HighBit, header.PixelRepresentation = header.BitsStored - 1, int(values.dtype.kind == "i")
    if values.ndim == 3:
        header.NumberOfFrames = len(values)
    for key, value in tags.items():
        setattr(header, key, value)
    header.PixelData = values.tobytes()
    file = io.BytesIO()
    header.save_as(file, enforce_file_format=True)
    return file.getvalue()


def refusal(image: BytesImage | FileImage) -> str:
    """Why there is no picture; empty where there is one."""
    try:
        assert image.read().mode == "RGB"
    except RarlError as error:
        return str(error)
    return ""


def grey(data: bytes, **view: object) -> np.ndarray:
    shown = np.asarray(BytesImage(data, "scan.dcm", **view).read())
    assert (shown == shown[..., :1]).all()
    return shown[..., 0].astype(int)


def test_without_a_window_the_range_of_values_is_shown() -> None:
    values = np.array([[-1000, 0], [500, 1000]], dtype=np.int16)
    assert grey(made(values)).tolist() == [[0, 128], [191, 255]]


def test_monochrome_1_is_white_where_it_is_low_and_padding_is_black_all_the_same() -> None:
    values = np.array([[0, 100], [200, 4095]], dtype=np.uint16)
    padded = made(values, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=4095)
    assert grey(padded).tolist() == [[255, 128], [0, 0]]


def test_padding_may_be_a_range() -> None:
    values = np.array([[-2000, -1990], [0, 10]], dtype=np.int16)
    data = made(values, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1990, BitsStored=16)
    assert grey(data).tolist() == [[0, 0], [0, 255]]


CT = {"Modality": "CT", "RescaleSlope": 2, "RescaleIntercept": -1024, "RescaleType": "HU"}


def test_a_named_window_is_in_hounsfield_units() -> None:
    """Brain: 40 at 80 wide; the lower edge is 0.5 HU, the upper 79.5 (PS3.3 C.11.2.1.2.1)."""
    units = np.array([[-1000, 0], [40, 90]])
    values = ((units + 1024) / 2).astype(np.uint16)
    assert grey(made(values, **CT), window="brain").tolist() == [[0, 0], [129, 255]]
    assert grey(made(values, **CT), window=(40, 80)).tolist() == [[0, 0], [129, 255]]


@pytest.mark.parametrize("tags", [{}, {**CT, "Modality": "MR"}, {**CT, "RescaleType": "US"}])
def test_a_named_window_is_refused_elsewhere(tags: dict[str, object]) -> None:
    data = made(np.arange(4, dtype=np.uint16).reshape(2, 2), **tags)
    with pytest.raises(DataError, match=r"'lung' is in Hounsfield units, .*give centre and width .* -600, 1500"):
        grey(data, window="lung")


def test_an_unknown_window_names_the_nearest() -> None:
    with pytest.raises(DataError, match="unknown window 'lungs'; did you mean 'lung'"):
        grey(made(np.zeros((2, 2), dtype=np.uint16), **CT), window="lungs")


def test_of_several_windows_in_the_header_the_first_is_taken() -> None:
    values = np.array([[0, 50], [100, 200]], dtype=np.uint16)
    data = made(values, WindowCenter=[50, 1000], WindowWidth=[101, 2000])
    assert grey(data).tolist() == [[1, 129], [255, 255]]


def test_twelve_bits_and_a_sigmoid_are_as_pydicom_has_them() -> None:
    values = np.arange(0, 4096, 64, dtype=np.uint16).reshape(8, 8)
    data = made(values, BitsStored=12, HighBit=11, WindowCenter=2048, WindowWidth=1000, VOILUTFunction="SIGMOID")
    theirs = apply_voi_lut(values, pydicom.dcmread(io.BytesIO(data))) / 4095 * 255
    assert np.abs(grey(data) - theirs).max() <= 1


def test_a_frame_is_chosen_and_the_middle_one_is_the_default(tmp_path: Path) -> None:
    values = np.stack([np.full((4, 4), 10 * number, dtype=np.uint8) for number in range(9)])
    values[:, 0, 0], values[:, 0, 1] = 0, 255
    path = tmp_path / "cine"
    path.write_bytes(made(values))
    assert frames_of(path) == 9
    assert load_image(path).getpixel((2, 2)) == (40, 40, 40)
    assert load_image(path, frame=-1).getpixel((2, 2)) == (80, 80, 80)
    assert [image.getpixel((2, 2))[0] for image in load_images(path, frames=3)] == [10, 40, 70]
    assert [image.getpixel((2, 2))[0] for image in load_images(path, frames=[0, 8])] == [0, 80]
    with pytest.raises(DataError, match=r"has 9 frames, counted from 0: there is no frame 9"):
        load_image(path, frame=9)


def test_a_patient_is_a_salted_hash(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(made(np.zeros((2, 2), dtype=np.uint8)))
    (tmp_path / "b").write_bytes(made(np.ones((2, 2), dtype=np.uint8)))
    first = patient_of(tmp_path / "a", "salt")
    assert first == patient_of(tmp_path / "b", "salt")
    assert first != patient_of(tmp_path / "a", "pepper")
    assert first is not None
    assert "4711" not in first


def test_burnt_in_text_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    image = BytesImage(made(np.zeros((2, 2), dtype=np.uint8), BurnedInAnnotation="YES"), "burnt.dcm")
    with caplog.at_level(logging.WARNING):
        image.read(), image.read()
    assert [record.getMessage() for record in caplog.records] == [
        "burnt.dcm: its header says that text is burnt into the picture; it may name the patient"
    ]


def test_a_deflated_bomb_is_not_unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made(np.zeros((512, 512), dtype=np.uint8), syntax=DeflatedExplicitVRLittleEndian)
    assert grey(data).shape == (512, 512)
    monkeypatch.setattr("rarl.data.dicom.MAX_BYTES", 100_000)
    with pytest.raises(DataError, match="unfolds to more than the 100,000 bytes"):
        grey(data)


@pytest.mark.parametrize(("rows", "columns"), [(65535, 65535), (1, 65535), (60000, 100)])
def test_an_absurd_header_is_refused_before_anything_is_decoded(rows: int, columns: int) -> None:
    data = made(np.zeros((2, 2), dtype=np.uint8), Rows=rows, Columns=columns)
    with pytest.raises(DataError, match=f"scan.dcm: {columns} x {rows} pixels; at most"):
        grey(data)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), byte=st.integers(0, 255), cut=st.booleans())
def test_damage_leads_to_an_image_or_to_one_line_without_the_header(
    caplog: pytest.LogCaptureFixture, place: float, byte: int, cut: bool
) -> None:
    whole = made(np.arange(256, dtype=np.uint16).reshape(16, 16), WindowCenter=100, WindowWidth=50)
    at = int(place * (len(whole) - 1))
    data = whole[:at] if cut else whole[:at] + bytes([byte]) + whole[at + 1 :]
    told = refusal(BytesImage(data, "scan.dcm"))
    assert "\n" not in told
    assert "Doe" not in told + caplog.text
    assert "4711" not in told + caplog.text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_bundled_file_is_an_image_or_a_clear_error(path: Path) -> None:
    told = refusal(FileImage(path))
    assert told.startswith(str(path) * bool(told))
    assert "\n" not in told


def test_the_page_has_what_came_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nibabel")
    root = Path(__file__).parents[2]
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    import bundled_files

    assert bundled_files.table() in (root / "docs" / "images.md").read_text(encoding="utf-8")


def test_bundled_pictures_in_grey_are_those_of_pydicoms_own_pipeline() -> None:
    compared = 0
    for path in FILES:
        try:
            shown = np.asarray(load_image(path, frame=0))[..., 0].astype(float)
        except DataError:
            continue
        header = pydicom.dcmread(path, force=True)
        if header.PhotometricInterpretation != "MONOCHROME2" or "PixelPaddingValue" in header:
            continue
        if "TransferSyntaxUID" not in header.file_meta:
            continue
        stored = header.pixel_array
        values = apply_modality_lut(stored[0] if stored.ndim == 3 else stored, header)
        if header.get("WindowWidth") in (None, ""):
            theirs, low, high = values, values.min(), values.max()
        else:
            theirs = apply_voi_lut(values, header)
            slope, intercept = float(header.get("RescaleSlope", 1)), float(header.get("RescaleIntercept", 0))
            bits, signed = header.BitsStored, header.PixelRepresentation
            low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
            low, high = low * slope + intercept, high * slope + intercept
        theirs = (theirs - low) / max(high - low, 1e-9) * 255
        assert np.abs(shown - theirs).max() <= 1, path.name
        compared += 1
    assert compared >= 40
