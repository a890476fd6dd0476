"""The splits of the benchmark, and the examples in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rarl.data.phantom.questions import KINDS, TASKS, Item, Stratum, draw_item, facts, rationale, wordings
from rarl.data.phantom.rendering import PLAIN, PhantomImage, View
from rarl.data.phantom.scenes import words
from rarl.draws import Draws
from rarl.errors import DataError
from rarl.registry import nearest
from rarl.types import Example

TUNED_MODALITIES = ("xray", "ct", "ultrasound", "dermoscopy")  # those of every split but unseen-modality
UNSEEN_MODALITIES = ("mri", "fundus")  # the warm start saw them, no fine-tuning split does


@dataclass(frozen=True, slots=True)
class Split:
    """What sets a split apart: its default size, how it asks, what it shows and how the picture is taken."""

    size: int = 504
    stratum: Stratum = "target"
    modalities: tuple[str, ...] = TUNED_MODALITIES
    view: View = PLAIN


SPLITS = {
    "train": Split(size=256),
    "validation": Split(),
    "test": Split(),
    "unseen-modality": Split(modalities=UNSEEN_MODALITIES),
    "unseen-wording": Split(stratum="new"),
    "shifted": Split(view=View(contrast=0.75, noise=1.6, blur=1)),
    "warm-wording": Split(stratum="warm"),
}


def load(split: str, *, limit: int | None = None, seed: int = 0, pixels: int = 84) -> Iterator[Example]:
    """The examples of a split: as many as its default size, or `limit` (any number), `pixels` on a side.

    Example i is the same whatever the limit, and depends on seed, split and i alone; its images have streams of their
    own, so no split shares one with another. Tasks take turns. Errors: DataError.
    """
    if split not in SPLITS:
        raise DataError(f"phantom has no split {split!r}{nearest(split, SPLITS)} Splits: {', '.join(SPLITS)}")
    if not isinstance(pixels, int) or pixels % 28 or not 56 <= pixels <= 448:
        raise DataError(f"phantom: pixels must be a multiple of 28 from 56 to 448 (got {pixels!r})")
    return _examples(split, SPLITS[split].size if limit is None else limit, seed, pixels)


def _examples(split: str, size: int, seed: int, pixels: int) -> Iterator[Example]:
    kind = SPLITS[split]
    for index in range(size):
        task = TASKS[index % len(TASKS)]
        stream = Draws(seed).at("phantom", split, index).stream()
        item = draw_item(stream, task, wordings()[task][kind.stratum], kind.modalities)
        yield as_example(item, f"phantom-{split}-{seed}-{index}", pixels, kind.view)


def as_example(item: Item, name: str, pixels: int = 84, view: View = PLAIN) -> Example:
    """The record of a question; one question an image, so the image is its own cluster."""
    return Example(
        id=name,
        cluster=name,
        images=(PhantomImage(name, item.scene, pixels, view),),
        question=item.question,
        answer=item.answer,
        options=item.options,
        kind=KINDS[item.task],
        modality=words().modalities[item.scene.modality].name,
        task=item.task,
        rationale=rationale(item.scene),
        facts=facts(item.scene),
    )
