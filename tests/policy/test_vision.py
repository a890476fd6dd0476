"""Features computed once: what is found again, what must not be, and what is refused."""

from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
from PIL.Image import Image
from torch.testing import assert_close

import small_model
from rarl.config import Lora, Model
from rarl.data.images import FileImage
from rarl.errors import DataError, ModelError
from rarl.policy import Policy
from rarl.policy.features import FeatureFiles, ImageFeatures
from rarl.policy.plain import plain_logprobs
from rarl.policy.processor import Processor
from rarl.policy.vision import VisionFeatures
from small_model import Noise

IMAGE = Noise(112, 84, 0)  # 4 x 3 tokens of 64 numbers: 3,072 bytes, and 24 of its grid
IMAGE_BYTES = 12 * 64 * 4 + 3 * 8


@dataclass(frozen=True)
class Counted:
    """An image source that keeps count of its reads."""

    source: Noise
    reads: list[str] = field(default_factory=list, compare=False)
    name: str = "counted"

    def read(self) -> Image:
        self.reads.append(self.name)
        return self.source.read()


class Held:
    """An image source for threads, whose first read waits until it is allowed."""

    threads = True
    name = "held"

    def __init__(self) -> None:
        self.allowed, self.began, self.reads = Event(), Event(), 0

    def read(self) -> Image:
        self.reads += 1
        self.began.set()
        assert self.allowed.wait(60)
        return IMAGE.read()


class Missing(Held):
    def read(self) -> Image:
        super().read()
        raise DataError("held does not exist")


def computed(source: Noise, model: Any, processor: Processor) -> torch.Tensor:
    """The features by transformers' own forward, nothing kept."""
    pixels = processor.image_processor(images=[source.read()], size=processor._size, return_tensors="pt")
    with torch.no_grad():
        [features_VH] = model.model.get_image_features(**pixels, return_dict=True).pooler_output
    return features_VH


def with_bound(tokens: int) -> Processor:
    known = small_model.processor()
    return Processor(known.tokenizer, known.image_processor, max_vision_tokens=tokens)


def vision(folder: Path | None = None, ram_bytes: int = 10**6, **changed: Any) -> VisionFeatures:
    model = changed.get("model") or small_model.network()
    return VisionFeatures(
        model, changed.get("processor") or small_model.processor(), FeatureFiles(folder) if folder else None, ram_bytes
    )


def same(a: ImageFeatures, b: ImageFeatures) -> bool:
    return torch.equal(a.features_VH, b.features_VH) and torch.equal(a.grid_3, b.grid_3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_kept_features_are_those_of_the_tower_bit_by_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    model = small_model.network().to(dtype)
    expected_VH = computed(IMAGE, model, small_model.processor())
    cold, warm = vision(tmp_path, model=model), vision(tmp_path, model=model)
    for features in (cold.of(IMAGE), cold.of(IMAGE), warm.of(IMAGE)):
        assert features.features_VH.dtype is dtype
        assert torch.equal(features.features_VH, expected_VH)
        assert features.grid_3.tolist() == [1, 6, 8]
        assert features.nbytes == 12 * 64 * dtype.itemsize + 3 * 8
    assert (cold.encodes, cold.disk_hits) == (1, 0)
    assert (warm.encodes, warm.disk_hits) == (0, 1)


def test_log_probabilities_are_the_same_with_and_without_what_was_kept(tmp_path: Path) -> None:
    """Over images of a disk, of RAM and of the tower, and as transformers computes them from pixels."""
    batch = small_model.batch()
    uncached = Policy(small_model.network(), small_model.processor())
    expected_BT = uncached.logprobs(batch, 0.7).logprobs
    assert_close(expected_BT, plain_logprobs(uncached, batch, 0.7), atol=1e-5, rtol=0)
    for encodes, disk_hits in ((3, 0), (0, 3)):
        policy = Policy(small_model.network(), small_model.processor(), features=FeatureFiles(tmp_path))
        for _ in range(2):
            assert torch.equal(policy.logprobs(batch, 0.7).logprobs, expected_BT)
        assert (policy.vision.encodes, policy.vision.disk_hits) == (encodes, disk_hits)


def test_the_same_picture_under_two_paths_is_encoded_once(tmp_path: Path) -> None:
    sources = [FileImage(tmp_path / name) for name in ("a.png", "b.png", "c.tiff", "other.png")]
    for source in sources[:3]:
        IMAGE.read().save(source.path)
    Noise(112, 84, 1).read().save(sources[3].path)
    features = vision()
    first, second, third, other = map(features.of, sources)
    assert first is second is third
    assert features.encodes == 2
    assert not same(first, other)


def test_pixels_in_another_arrangement_are_another_picture(tmp_path: Path) -> None:
    """Of all black, the bytes are equal whatever the sides are."""
    sources = [FileImage(tmp_path / name) for name in ("wide.png", "high.png")]
    for source, size in zip(sources, [(112, 56), (56, 112)], strict=True):
        IMAGE.read().resize(size).point(lambda value: 0).save(source.path)
    features = vision()
    assert [features.of(source).grid_3.tolist() for source in sources] == [[1, 4, 8], [1, 8, 4]]


def test_ram_is_bounded_and_what_was_used_last_stays() -> None:
    a, b, c = (Noise(112, 84, seed) for seed in range(3))
    features = vision(ram_bytes=2 * IMAGE_BYTES)
    for source, encodes in ((a, 1), (b, 2), (a, 2), (c, 3), (a, 3), (c, 3), (b, 4), (c, 4), (a, 5)):
        features.of(source)
        assert features.encodes == encodes
    tight = vision(ram_bytes=2 * IMAGE_BYTES - 1)
    for source, encodes in ((a, 1), (a, 1), (b, 2), (a, 3)):
        tight.of(source)
        assert tight.encodes == encodes


def test_an_image_larger_than_the_bound_is_computed_each_time() -> None:
    features, roomy = vision(ram_bytes=IMAGE_BYTES - 1), vision()
    for encodes in (1, 2):
        assert same(features.of(IMAGE), roomy.of(IMAGE))
        assert features.encodes == encodes


def test_an_image_is_read_once_if_the_disk_has_what_ram_has_not(tmp_path: Path) -> None:
    features, image = vision(tmp_path, ram_bytes=0), Counted(IMAGE)
    for disk_hits in range(3):
        features.of(image)
        assert (features.encodes, features.disk_hits, len(image.reads)) == (1, disk_hits, 1)


def nudged(part: str) -> Any:
    model = small_model.network()
    model.get_submodule(part).weight.view(-1)[3] += 1e-3
    return model


def eager() -> Any:
    model = small_model.network()
    model.model.visual.config._attn_implementation = "eager"
    return model


@pytest.mark.parametrize(
    "change",
    [
        lambda: {"processor": with_bound(9)},
        lambda: {"model": nudged("model.visual.blocks.0.attn.proj")},
        lambda: {"model": nudged("model.visual.patch_embed.proj")},
        lambda: {"model": nudged("model.visual.merger.mlp.2")},
        lambda: {"model": small_model.network().to(torch.bfloat16)},
        lambda: {"model": small_model.network().to(torch.float16)},
        lambda: {"model": small_model.network(seed=1)},
        lambda: {"model": small_model.network(kind="qwen2_5_vl")},
        lambda: {"model": eager()},
    ],
    ids=["tokens", "weight", "patches", "merger", "bfloat16", "float16", "other", "qwen2.5", "attention"],
)
def test_another_setting_finds_nothing_of_this_one(tmp_path: Path, change: Any) -> None:
    changed = change()
    vision(tmp_path).of(IMAGE)
    other = vision(tmp_path, **changed)
    assert same(other.of(IMAGE), vision(**changed).of(IMAGE))
    assert (other.encodes, other.disk_hits) == (1, 0)
    for again in (vision(tmp_path), vision(tmp_path, **changed)):
        again.of(IMAGE)
        assert (again.encodes, again.disk_hits) == (0, 1)  # each finds its own


@pytest.mark.parametrize("key", ["resample", "image_mean", "do_normalize"])
def test_the_image_processor_is_part_of_the_setting(tmp_path: Path, key: str) -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    value = {"resample": 2, "image_mean": (0.5, 0.5, 0.5), "do_normalize": False}[key]
    image_processor = Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=448 * 448, **{key: value})
    vision(tmp_path).of(IMAGE)
    other = vision(tmp_path, processor=Processor(small_model.processor().tokenizer, image_processor, 64))
    other.of(IMAGE)
    assert (other.encodes, other.disk_hits) == (1, 0)


def test_weights_that_no_image_meets_are_not_part_of_the_setting(tmp_path: Path) -> None:
    vision(tmp_path).of(IMAGE)
    adapted = Policy(
        nudged("model.language_model.norm"), small_model.processor(), Lora(), features=FeatureFiles(tmp_path)
    )
    adapted.vision.of(IMAGE)
    assert (adapted.vision.encodes, adapted.vision.disk_hits) == (0, 1)


@pytest.mark.parametrize("part", ["patch_embed.proj", "blocks.1.attn.qkv", "merger.mlp.0"])
def test_a_tower_or_merger_that_trains_is_refused(part: str) -> None:
    features = vision()
    features.of(IMAGE)
    features._model.model.visual.get_submodule(part).weight.requires_grad_(True)
    with pytest.raises(ModelError, match=r"the vision tower or its merger trains.*freeze model\.visual") as raised:
        features.of(IMAGE)  # although it is known
    assert len(str(raised.value).splitlines()) == 1


def test_an_adapter_on_the_tower_is_refused() -> None:
    from peft import LoraConfig, get_peft_model

    model = small_model.network()
    features = vision(model=model)
    get_peft_model(model, LoraConfig(target_modules=r".*visual.*\.qkv"))
    with pytest.raises(ModelError, match="trains"):
        features.of(IMAGE)


def test_a_config_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded checkpoint leaves nothing behind unless it is told to."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    for cache_dir, files in (("", 0), ("off", 0), (str(tmp_path / "mine"), 1)):
        Policy.load(Model(base="tiny", device="cpu", cache_dir=cache_dir)).vision.of(IMAGE)
        assert len(list(tmp_path.rglob("*.features"))) == files
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    warm = Policy.load(Model(base="tiny", device="cpu", cache_dir=str(tmp_path / "mine")))
    warm.encode(small_model.prompt())
    assert (warm.vision.encodes, warm.vision.disk_hits) == (1, 0)  # of another image
    warm.vision.of(IMAGE)
    assert (warm.vision.encodes, warm.vision.disk_hits) == (1, 1)


def test_images_that_are_next_are_read_meanwhile_and_once() -> None:
    features, held, others = vision(), Held(), Held()
    features.begin([held, others, held])
    assert held.began.wait(60), "it is read although nobody waits for it"
    held.allowed.set()
    others.allowed.set()
    assert same(features.of(held), vision().of(IMAGE))
    features.begin([held])
    assert held.reads == 1
    features.begin([])
    assert features.of(others) is not None
    assert others.reads <= 2, "what was begun and let go is read again"


def test_what_can_not_be_read_is_told_as_it_is_asked_for(tmp_path: Path) -> None:
    features, missing = vision(), Missing()
    missing.allowed.set()
    features.begin([missing])
    assert missing.began.wait(60)
    for _ in range(2):
        with pytest.raises(DataError, match="held does not exist"):
            features.of(missing)
    assert missing.reads == 2


def test_waiting_is_counted_only_where_nothing_else_is_done() -> None:
    features, held = vision(), Held()
    features.begin([held])
    assert held.began.wait(60)
    assert features.waited == 0
    held.allowed.set()
    features.of(held)
    waited = features.waited
    assert waited > 0
    features.of(held)
    assert features.waited == waited
