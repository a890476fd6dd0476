"""How long `rarl data check` takes for a folder of images, and where it spends the time.

python benchmarks/check_speed.py --out benchmarks/results/data-check.json
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from PIL import Image, ImageFilter

from rarl.data import FileImage, load_dataset
from rarl.data.quality import check_sets
from rarl.environment import describe_environment
from rarl.files import write_json
from rarl.registry import datasets
from rarl.terminal import progress
from rarl.types import Example

SIDE = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = [draw(Path(folder), number) for number in progress(range(asked.images), "drawing", total=asked.images)]
        size = sum(path.stat().st_size for path in paths)
        datasets.register("files")(lambda split: [example(path) for path in paths])
        began, worked = perf_counter(), process_time()
        part = load_dataset("files")
        loaded = perf_counter()
        found = check_sets([part])
        seconds, cpu = perf_counter() - began, process_time() - worked
    assert found.sets[0].images == asked.images
    assert not found.sets[0].broken
    measured = {
        "images": asked.images,
        "side": SIDE,
        "megabytes": round(size / 1e6),
        "cores": os.cpu_count(),
        "seconds": round(seconds, 1),
        "of which loading": round(loaded - began, 1),
        "cpu_seconds": round(cpu, 1),
        "environment": {key: value for key, value in describe_environment().items() if key != "platform"},
    }
    print(measured)
    if asked.out:
        write_json(asked.out, measured)


def draw(folder: Path, number: int) -> Path:
    """Soft shapes with the noise of a scanner, so that its file is as large as a real one."""
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 9), dtype=np.uint8))
    shapes = coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(3))
    noisy = np.asarray(shapes, dtype=np.float64) + rng.normal(0, 3, (SIDE, SIDE))
    path = folder / f"{number}.png"
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(path, compress_level=1)
    return path


def example(path: Path) -> Example:
    return Example(path.stem, path.stem, (FileImage(path),), "Is it there?", "yes")


if __name__ == "__main__":
    main()
