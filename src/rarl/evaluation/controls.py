"""What an accuracy must be held against: the commonest answer, and the same questions without their images."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image

from rarl.config import Control
from rarl.draws import Draws
from rarl.grading import grade
from rarl.types import Example, Grade, ImageSource

GREY = (128, 128, 128)  # near 0 once a processor has normalised it


@dataclass(frozen=True, slots=True)
class Blank:
    """A grey image of the size of another one, so that the prompt has as many vision tokens."""

    source: ImageSource

    @property
    def name(self) -> str:
        return f"blank for {self.source.name}"

    def read(self) -> Image.Image:
        return Image.new("RGB", self.source.read().size, GREY)


def under(control: Control, examples: Iterable[Example], draws: Draws) -> list[Example] | None:
    """The questions as the control asks them; None where images cannot be swapped, see `swap_images`."""
    examples = list(examples)
    if control is Control.SWAPPED:
        return swap_images(examples, draws.at("swap"))
    if control is Control.BLANK:
        return [dataclasses.replace(each, images=tuple(map(Blank, each.images))) for each in examples]
    if control is Control.QUESTION_ONLY:
        return [dataclasses.replace(each, images=()) for each in examples]
    return examples


def majority_grades(examples: Sequence[Example]) -> dict[str, Grade]:
    """By id, the grade of the commonest gold answer among the examples of the same task and kind.

    It is taken from the evaluated examples themselves: the best that any constant answer could do.
    """
    golds: dict[tuple[str | None, str], Counter[str]] = {}
    for example in examples:
        right = dict.fromkeys(text.casefold() for text in (example.answer, *example.references))
        golds.setdefault((example.task, example.kind), Counter()).update(list(right))
    commonest = {group: counter.most_common(1)[0][0] for group, counter in golds.items()}
    return {
        example.id: grade(
            example.question,
            example.answer,
            commonest[example.task, example.kind],
            kind=example.kind,
            options=example.options,
            references=example.references,
        )
        for example in examples
    }


def swap_images(examples: Iterable[Example], draws: Draws) -> list[Example] | None:
    """The same questions, each with the images of an example from another cluster; every example lends its own once.

    None where that can't be: one cluster has more than half of the examples.
    """
    examples = list(examples)
    clusters: dict[str, list[int]] = {}
    for index, example in enumerate(examples):
        clusters.setdefault(example.cluster, []).append(index)
    largest = max((len(members) for members in clusters.values()), default=0)
    if 2 * largest > len(examples):
        return None
    # Clusters in random order, their members side by side: a turn by the largest cluster's size leaves every cluster.
    order = sorted(clusters, key=lambda cluster: (draws.at(cluster).integer(), cluster))
    indices = [index for cluster in order for index in clusters[cluster]]
    swapped = list(examples)
    for borrower, lender in zip(indices, (*indices[largest:], *indices[:largest]), strict=True):
        swapped[borrower] = dataclasses.replace(examples[borrower], images=examples[lender].images)
    return swapped
