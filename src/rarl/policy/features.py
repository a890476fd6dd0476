"""An image's features, files of them that outlive a run, and what such a file stands for."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import PIL
import torch
import transformers
from PIL.Image import Image
from safetensors.torch import load, save
from torch import Tensor

from rarl.caches import FEATURES, PART, cache_home, features_size, trim
from rarl.config import Model
from rarl.errors import ModelError
from rarl.policy.loading import TINY
from rarl.policy.processor import Processor

logger = logging.getLogger("rarl")

OFF = "off"  # as model.cache_dir
FORMAT = 1  # of the files; part of their names
CHECKSUM_BYTES = 32


@dataclass(frozen=True, slots=True)
class ImageFeatures:
    """An image as the language model sees it: features [V, H] and its patch grid (t, h, w). On the CPU."""

    features_VH: Tensor
    grid_3: Tensor

    @property
    def nbytes(self) -> int:
        return self.features_VH.nbytes + self.grid_3.nbytes


class FeatureFiles:
    """One file an image, for as many processes as like: a file is written aside and renamed, whole or not at all.

    What doesn't hold what was written under its name is as good as absent. `damaged` counts such files. Of more than
    `most` bytes what was used longest ago goes.
    """

    def __init__(self, folder: Path, most: float = math.inf) -> None:
        self.folder, self.most = folder, most
        self.damaged = 0
        self._writes = True
        self._size: int | None = None  # looked up before the first is written

    def read(self, setting: str, image: str) -> ImageFeatures | None:
        """The features of an image under a setting, both given by their digests; None if there are none."""
        path = self._path(setting, image)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        content = data[CHECKSUM_BYTES:]
        if data[:CHECKSUM_BYTES] != _checksum(setting, image, content):
            self.damaged += 1
            if self.damaged == 1:
                logger.warning("vision features in %s are damaged, and computed anew", path)
            return None
        with suppress(OSError):
            os.utime(path)  # used just now
        tensors = load(content)
        return ImageFeatures(tensors["features_VH"], tensors["grid_3"])

    def write(self, setting: str, image: str, features: ImageFeatures) -> None:
        """Keep them; where that is impossible, say so once, and try no more."""
        if not self._writes:
            return
        content = save({"features_VH": features.features_VH, "grid_3": features.grid_3})
        path = self._path(setting, image)
        try:
            for folder in (self.folder.parent, self.folder, path.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # features tell about a patient's image
            if self._size is None:
                self._size = features_size(self.folder)
            with _aside(path) as file:
                file.write(_checksum(setting, image, content))
                file.write(content)
            self._size += CHECKSUM_BYTES + len(content)
            if self._size > self.most:  # not at every file from now on
                self._size = trim(self.folder, int(0.9 * self.most))
        except OSError as error:
            self._writes = False
            logger.warning(
                'vision features are not kept on disk from here on: %s: %s; set model.cache_dir to a folder, or "off"',
                path,
                error.strerror or error,
            )

    def _path(self, setting: str, image: str) -> Path:
        return self.folder / setting / f"{image}{FEATURES}"


def feature_files(model: Model) -> FeatureFiles | None:
    """What a configuration keeps of features; None: nothing. Errors: ModelError."""
    folder = features_folder(model)
    return FeatureFiles(folder, model.cache_gb * 1e9) if folder else None


def features_folder(model: Model) -> Path | None:
    """Where a configuration keeps features; None: nowhere.

    By default nothing is kept for the embedded checkpoint: it takes 10 ms an image, and its pictures are drawn from a
    seed, new ones for each.
    """
    if model.cache_dir == OFF or (not model.cache_dir and model.base == TINY):
        return None
    if model.cache_dir:
        folder = Path(os.path.expanduser(model.cache_dir)) / "vision"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:  # the user's own choice, so it is told before anything is computed
            raise ModelError(
                f"model.cache_dir {model.cache_dir!r} can't hold features ({error.strerror}); "
                'name a folder that can be written, or "off"'
            ) from None
        return folder
    home = cache_home()
    return home / "vision" if home else None


def image_digest(image: Image) -> str:
    """Of an image's pixels: the same picture in another file is the same image."""
    digest = hashlib.sha256(f"{image.mode} {image.size} ".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()[:32]


def setting_digest(tower: Any, processor: Processor) -> str:
    """Of all that decides an image's features but its pixels: what makes patches of it, the tower, the arithmetic.

    Reads every weight: a second for the 1.3 GB of a 2B model's tower, less on several cores.
    """
    weights = tower.state_dict()
    with ThreadPoolExecutor() as pool:  # hashing holds no lock of Python's
        digests = list(pool.map(_tensor_digest, weights.values()))
    device = next(tower.parameters()).device
    decides = {
        "format": FORMAT,
        "processor": processor.setting,
        "tower": {key: value for key, value in tower.config.to_dict().items() if key != "_name_or_path"},
        "attention": tower.config._attn_implementation,
        "weights": dict(zip(weights, digests, strict=True)),
        # The last digits of a sum depend on who computes it: features of another machine would not be this one's.
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "versions": [torch.__version__, transformers.__version__, PIL.__version__],
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _tensor_digest(tensor: Tensor) -> str:
    content: Any = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return f"{tensor.dtype} {list(tensor.shape)} {hashlib.sha256(content).hexdigest()}"


def _checksum(setting: str, image: str, content: bytes) -> bytes:
    """Of what a file holds and of what it stands for, so that one under another's name is found out too."""
    digest = hashlib.sha256(f"{setting} {image} ".encode())
    digest.update(content)
    return digest.digest()


@contextmanager
def _aside(path: Path) -> Iterator[IO[bytes]]:
    """A file of a name that no other process has, for its owner alone; it becomes `path` when all of it is there.

    Not forced to the disk: what a power cut leaves of it does not fit its checksum.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=PART)
    try:
        with open(descriptor, "wb") as file:
            yield file
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
