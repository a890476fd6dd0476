import io
from pathlib import Path

import pytest
from PIL import Image

from rarl.config import RunConfig, Without
from rarl.data import BytesImage, FileImage
from rarl.data.overlap import fingerprint, fingerprints, sharing_none
from rarl.errors import DataError
from rarl.evaluating import load_split
from rarl.types import Example


def drawn(grey: int, size: tuple[int, int] = (30, 20)) -> Image.Image:
    return Image.new("L", size, grey)


def stored(image: Image.Image, name: str = "x.png", form: str = "PNG") -> BytesImage:
    file = io.BytesIO()
    image.save(file, form)
    return BytesImage(file.getvalue(), name)


def example(name: str, *images: BytesImage) -> Example:
    return Example(name, name, images, "Is it there?", "yes")


def test_a_fingerprint_is_that_of_the_pixels(tmp_path: Path) -> None:
    drawn(9).save(tmp_path / "other name.bmp")
    assert fingerprint(stored(drawn(9))) == fingerprint(FileImage(tmp_path / "other name.bmp"))
    assert fingerprint(stored(drawn(9))) == fingerprint(stored(drawn(9).convert("RGB"), "colour.png"))
    assert fingerprint(stored(drawn(9))) != fingerprint(stored(drawn(10)))
    assert fingerprint(stored(drawn(9))) != fingerprint(stored(drawn(9, (20, 30)))), "as many pixels, another shape"


def test_examples_that_share_any_image_are_told_apart() -> None:
    known = fingerprints([example("theirs", stored(drawn(1)), stored(drawn(2)))]).values()
    assert len(known) == 2
    mine = [
        example("first", stored(drawn(3))),
        example("both", stored(drawn(4)), stored(drawn(2))),
        example("none"),
        example("last", stored(drawn(1), "elsewhere.tif", "TIFF")),
    ]
    apart, others = sharing_none(mine, known)
    assert [item.id for item in apart] == ["first", "none"]
    assert others == ["both", "last"]
    apart, others = sharing_none(mine, ())
    assert len(list(apart)) == 4
    assert not others


LOADER = """
from pathlib import Path
from rarl.data import FileImage
from rarl.types import Example

def load(split, *, root=""):
    for path in sorted(Path(root, split).iterdir()):
        yield Example(path.stem, path.stem, (FileImage(path),), "Is it there?", "yes")
"""


def test_a_configuration_leaves_out_images_of_another_set(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(LOADER)
    for split, greys in {"test": range(6), "train": (1, 3, 9)}.items():
        (tmp_path / split).mkdir()
        for grey in greys:
            drawn(grey).save(tmp_path / split / f"{split}-{grey}.png")
    name, root = f"{tmp_path / 'own.py'}:load", str(tmp_path)
    config = RunConfig().override([f"data.name={name}", f"data.root={root}"])
    assert len(load_split(config, "test", None)) == 6
    without = Without(name=name, root=root)
    apart = config.model_copy(update={"data": config.data.model_copy(update={"without": without})})
    found = load_split(apart, "test", None)
    assert [item.id for item in found] == ["test-0", "test-2", "test-4", "test-5"]
    assert found.overlapping == 2
    assert [item.id for item in load_split(apart, "test", 3)] == ["test-0", "test-2", "test-4"], (
        "a limit counts the rest"
    )
    assert len(load_split(apart, "test", 3, sampled=True)) == 3
    assert RunConfig.load(written(tmp_path, apart)).data == apart.data
    with pytest.raises(DataError, match=r"3 share an image with the set that data\.without names"):
        load_split(apart, "train", None)


def written(folder: Path, config: RunConfig) -> Path:
    path = folder / "config.toml"
    path.write_text(config.to_toml())
    return path
