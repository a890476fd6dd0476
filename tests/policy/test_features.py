"""Files of features: whole or not at all, found damaged where they are, and private."""

import errno
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import small_model
from rarl.config import Model
from rarl.errors import ModelError
from rarl.policy.features import FeatureFiles, ImageFeatures, features_folder, setting_digest

FEATURES = ImageFeatures(torch.arange(24.0).reshape(4, 6).to(torch.bfloat16), torch.tensor([1, 4, 4]))


def written(folder: Path, features: ImageFeatures = FEATURES, image: str = "image") -> Path:
    files = FeatureFiles(folder / "vision")
    files.write("setting", image, features)
    return folder / "vision" / "setting" / f"{image}.features"


def is_whole(features: ImageFeatures | None) -> bool:
    return (
        features is not None
        and features.features_VH.dtype is torch.bfloat16
        and torch.equal(features.features_VH, FEATURES.features_VH)
        and torch.equal(features.grid_3, FEATURES.grid_3)
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = written(tmp_path)
    files = FeatureFiles(tmp_path / "vision")
    assert is_whole(files.read("setting", "image"))
    assert files.read("setting", "other") is files.read("other", "image") is None
    assert files.damaged == 0
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]  # nothing of the way there is left


DAMAGE = st.one_of(
    st.tuples(st.just("cut"), st.integers(0, 10_000)),
    st.tuples(st.just("flip"), st.integers(0, 10_000)),
    st.tuples(st.just("garbage"), st.integers(1, 10_000)),
    st.tuples(st.just("more"), st.integers(1, 100)),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DAMAGE, st.integers(0, 7))
def test_any_damage_is_noticed_and_mended(tmp_path: Path, damage: tuple[str, int], bit: int) -> None:
    path = written(tmp_path)
    content, (kind, where) = bytearray(path.read_bytes()), damage
    if kind == "cut":
        content = content[: where % len(content)]
    elif kind == "flip":
        content[where % len(content)] ^= 1 << bit
    elif kind == "garbage":
        content = bytearray((where * i + bit) % 251 for i in range(where))
    else:
        content += bytes(where)
    path.write_bytes(content)
    files = FeatureFiles(tmp_path / "vision")
    assert files.read("setting", "image") is None
    assert files.damaged == 1
    files.write("setting", "image", FEATURES)
    assert is_whole(files.read("setting", "image"))


def test_a_file_under_anothers_name_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whole in itself, but of another shape than the image that it is taken for."""
    other = written(tmp_path, ImageFeatures(torch.zeros(9, 6), torch.tensor([1, 6, 6])), "other")
    path = written(tmp_path)
    path.write_bytes(other.read_bytes())
    files = FeatureFiles(tmp_path / "vision")
    for _ in range(2):
        assert files.read("setting", "image") is None
    assert files.damaged == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"vision features in {path} are damaged, and computed anew"
    ]


def test_a_disk_that_cannot_be_written_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    files = FeatureFiles(tmp_path / "file" / "vision")
    for image in ("a", "b"):
        assert files.read("setting", image) is None
        files.write("setting", image, FEATURES)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert str(tmp_path / "file") in record.getMessage()
    assert 'set model.cache_dir to a folder, or "off"' in record.getMessage()


@pytest.mark.parametrize("call", ["tempfile.mkstemp", "os.replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_is_full_or_read_only_still_gives_what_it_has(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    path = written(tmp_path)

    def fails(*arguments: object, **named: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(call, fails)
    files = FeatureFiles(tmp_path / "vision")
    for image in ("a", "b"):
        files.write("setting", image, FEATURES)
    assert is_whole(files.read("setting", "image"))
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]
    assert len(caplog.records) == 1
    assert os.strerror(number) in caplog.text


def test_others_cannot_read_it(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        path = written(tmp_path / "cache")
    finally:
        os.umask(before)
    for folder in (tmp_path / "cache", *list(path.parents)[:2]):
        assert folder.stat().st_mode & 0o777 == 0o700, folder
    assert path.stat().st_mode & 0o777 == 0o600


WRITER = """
import sys
from pathlib import Path
import torch
from rarl.policy.features import FeatureFiles, ImageFeatures

torch.set_num_threads(1)
features = ImageFeatures(torch.arange(150_000.0).reshape(100, 1500), torch.tensor([1, 20, 20]))
files = FeatureFiles(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
hits = 0
for _ in range(100):
    files.write("setting", "image", features)
    found = files.read("setting", "image")
    hits += found is not None and torch.equal(found.features_VH, features.features_VH)
print(hits, files.damaged, flush=True)
"""


def test_two_processes_write_the_same_image_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "vision")]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[0] for process in processes] == ["100 0\n"] * 2
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["image.features"]


@pytest.mark.parametrize(
    ("cache_dir", "base", "caches", "expected"),
    [
        ("", "org/model", "", "/home/me/.cache/rarl/vision"),
        ("", "org/model", "/scratch", "/scratch/rarl/vision"),
        ("", "org/model", "not/absolute", "/home/me/.cache/rarl/vision"),
        ("/data/kept", "org/model", "/scratch", "/data/kept/vision"),
        ("~/kept", "org/model", "", "/home/me/kept/vision"),
        ("off", "org/model", "/scratch", None),
        ("", "tiny", "/scratch", None),
        ("/data/kept", "tiny", "", "/data/kept/vision"),
    ],
)
def test_where_features_are_kept(
    monkeypatch: pytest.MonkeyPatch, cache_dir: str, base: str, caches: str, expected: str | None
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", caches)
    folder = features_folder(Model(base=base, cache_dir=cache_dir))
    assert (folder and str(folder)) == expected


def test_a_setting_is_known_again_wherever_its_weights_lie() -> None:
    first, second = small_model.network(), small_model.network()
    second.model.visual.config._name_or_path = "/elsewhere"
    digests = {setting_digest(network.model.visual, small_model.processor()) for network in (first, second)}
    assert len(digests) == 1


def test_the_same_bits_read_as_other_numbers_are_another_setting() -> None:
    network = small_model.network().to(torch.bfloat16)
    before = setting_digest(network.model.visual, small_model.processor())
    for parameter in network.parameters():
        parameter.data = parameter.data.view(torch.float16)
    assert setting_digest(network.model.visual, small_model.processor()) != before


def test_a_folder_of_the_users_that_cannot_be_one_is_told_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(ModelError, match=r"model.cache_dir .*file' can't hold features .*name a folder"):
        features_folder(Model(cache_dir=str(file)))
    assert file.read_text() == "mine"


def test_of_too_many_the_ones_used_longest_ago_go(tmp_path: Path) -> None:
    size = FeatureFiles(tmp_path / "one")
    size.write("s", "a", FEATURES)
    [path] = (tmp_path / "one").rglob("*.features")
    files = FeatureFiles(tmp_path / "vision", most=3.5 * path.stat().st_size)
    for number, name in enumerate(("a", "b", "c")):
        files.write("s", name, FEATURES)
        os.utime(tmp_path / "vision" / "s" / f"{name}.features", (number, number))
    assert files.read("s", "a")
    files.write("s", "d", FEATURES)
    assert sorted(each.stem for each in (tmp_path / "vision").rglob("*.features")) == ["a", "c", "d"]
    again = FeatureFiles(tmp_path / "vision", most=2.5 * path.stat().st_size)
    again.write("t", "e", FEATURES)
    left = sorted(each.stem for each in (tmp_path / "vision").rglob("*.features"))
    assert len(left) == 2
    assert "e" in left
