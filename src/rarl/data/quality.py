"""What is wrong with data sets before anything is learnt from them: damage, duplicates, contradictions, leaks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rarl.data.identifiers import Suspect, suspects
from rarl.data.loading import Dataset
from rarl.data.overlap import fingerprint_of
from rarl.data.workers import Workers
from rarl.errors import DataError
from rarl.extras import needed_for
from rarl.grading import grade
from rarl.terminal import progress
from rarl.types import Example, ImageSource

T = TypeVar("T", bound=Hashable)

SIDE = 16  # of the perceptual hash: 256 bits
# Of 256. In VQA-RAD, copies of an image in JPEG of quality 50, at half the size, or 20 % brighter differ in at most 20
# bits, and two images in 70 and more. Cropped or turned ones are not found.
NEAR = 24
BLOCK = 256  # images compared with all others at a time
SHOWN = ("kind", "modality", "task")


@dataclass(frozen=True, slots=True)
class Commonest:
    """The answer that is right most often among the questions of a kind: what is had by looking at no image."""

    answer: str
    n: int
    of: int


@dataclass(frozen=True, slots=True)
class SetCheck:
    """One split by itself. Images are counted by their sources; groups of them by name."""

    name: str
    examples: int
    images: int
    clusters: int
    counts: Mapping[str, Mapping[str, int]]
    commonest: Mapping[str, Commonest]
    left_out: Sequence[tuple[str, str]]  # (where, why) of rows that cannot be used
    broken: Sequence[tuple[str, str]]  # (image, why) of those that look sound and cannot be decoded
    duplicates: Sequence[Sequence[str]]  # several files of the same pixels
    near_duplicates: Sequence[Sequence[str]]  # different pixels that look the same
    identifiers: Sequence[Suspect]


@dataclass(frozen=True, slots=True)
class PairCheck:
    """What a split has in common with one before it, from which something may have been learnt."""

    of: str
    within: str
    images: int  # of the former's images, as many are in the latter too, by their pixels
    of_images: int
    near_images: int  # and so many more that look like one there
    examples: int  # of the former's, that show such an image, or one that looks like it
    of_examples: int
    clusters: int  # patients, or else images, that both have
    unseen_answers: int  # of the former's examples, whose answer is nowhere in the latter
    contradictions: int


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two examples that ask the same of the same pixels, where neither answer would pass for the other."""

    ids: tuple[str, str]
    sets: tuple[str, str]
    answers: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Quality:
    """All that was found."""

    sets: Sequence[SetCheck]
    pairs: Sequence[PairCheck]
    contradictions: Sequence[Contradiction]

    def to_json(self) -> dict[str, Any]:
        found = asdict(self)
        for each in found["sets"]:
            each["identifiers"] = [suspect._asdict() for suspect in each["identifiers"]]
        return found


@dataclass(frozen=True, slots=True)
class _Print:
    """What an image is told by: exactly, and by how it looks (uint64 [4])."""

    pixels: str
    look: NDArray[np.uint64]


def check_sets(parts: Sequence[Dataset]) -> Quality:
    """Each split by itself, and each with every one before it. Reads every image once.

    Errors: MissingExtraError without the package imagehash.
    """
    with needed_for("looking for images that look the same"):
        import imagehash  # noqa: F401, before hours of reading
    sources = dict.fromkeys(image for part in parts for example in part for image in example.images)
    prints, broken = _prints(tuple(sources))
    looks_like = _groups(prints)
    contradictions = tuple(_contradictions(parts, prints))
    sets = [_set(part, prints, broken, looks_like) for part in parts]
    pairs = [_pair(part, before, prints, looks_like, contradictions) for before, part in combinations(parts, 2)]
    return Quality(sets, pairs, contradictions)


def _label(part: Dataset) -> str:
    return f"{part.name} {part.split}"


def _prints(sources: Sequence[ImageSource]) -> tuple[dict[ImageSource, _Print], dict[ImageSource, str]]:
    """Of every image, or why it can't be read."""
    prints, broken = {}, {}
    with Workers() as pool:
        begun = [(source, pool.begin(_print, source)) for source in sources]
        for source, result in progress(begun, "reading images", total=len(sources)):
            each = result()
            if isinstance(each, _Print):
                prints[source] = each
            else:
                broken[source] = each
    return prints, broken


def _print(source: ImageSource) -> _Print | str:
    from imagehash import phash

    try:
        image = source.read()
    except DataError as error:
        return str(error)
    # Shrunk first: the hash looks at 64 x 64 pixels, and its own filter is slow on large images.
    small = image.convert("L").reduce(max(1, min(image.size) // (8 * SIDE)))
    bits = np.packbits(phash(small, SIDE).hash.ravel()).view(np.uint64)
    return _Print(fingerprint_of(image), bits)


def _groups(prints: Mapping[ImageSource, _Print]) -> dict[str, int]:
    """By fingerprint, the number of the group of images that look alike, by way of others if need be."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    distinct = {each.pixels: each.look for each in prints.values()}
    if not distinct:
        return {}
    looks = np.stack(list(distinct.values()))
    places = np.arange(len(looks))
    group = places  # of every image, one that it is connected with
    for start in range(0, len(looks), BLOCK):
        block = looks[start : start + BLOCK]
        bits = sum(np.bitwise_count(block[:, None, word] ^ looks[None, :, word]).astype(np.int16) for word in range(4))
        ones, others = np.nonzero(bits <= NEAR)
        edges = np.concatenate([ones + start, places]), np.concatenate([others, group])
        _, numbers = connected_components(coo_array((np.ones(len(edges[0]), bool), edges), shape=(len(looks),) * 2))
        _, first = np.unique(numbers, return_index=True)
        group = first[numbers]
    return dict(zip(distinct, group.tolist(), strict=True))


def _set(
    part: Dataset,
    prints: Mapping[ImageSource, _Print],
    broken: Mapping[ImageSource, str],
    looks_like: Mapping[str, int],
) -> SetCheck:
    images = dict.fromkeys(image for example in part for image in example.images)
    known = [image for image in images if image in prints]
    equal = _gathered(known, lambda image: prints[image].pixels)
    first = [members[0] for members in equal.values()]
    alike = _gathered(first, lambda image: looks_like[prints[image].pixels])
    return SetCheck(
        name=_label(part),
        examples=len(part),
        images=len(images),
        clusters=len({example.cluster for example in part}),
        counts={group: _counted(str(getattr(each, group) or "none") for each in part) for group in SHOWN},
        commonest=_commonest(part),
        left_out=part.skipped,
        broken=[(image.name, broken[image]) for image in images if image in broken],
        duplicates=_several(equal.values()),
        near_duplicates=_several(alike.values()),
        identifiers=tuple(suspects(part)),
    )


def _pair(
    part: Dataset,
    before: Dataset,
    prints: Mapping[ImageSource, _Print],
    looks_like: Mapping[str, int],
    contradictions: Iterable[Contradiction],
) -> PairCheck:
    def pixels(examples: Iterable[Example]) -> set[str]:
        return {prints[image].pixels for example in examples for image in example.images if image in prints}

    there, here = pixels(before), pixels(part)
    alike = {looks_like[each] for each in there}
    near = {each for each in here if looks_like[each] in alike}
    seen = {right for example in before for right in _rights(example)}
    labels = (_label(before), _label(part))
    return PairCheck(
        of=labels[1],
        within=labels[0],
        images=len(here & there),
        of_images=len(here),
        near_images=len(near - there),
        examples=sum(bool(pixels([example]) & near) for example in part),
        of_examples=len(part),
        clusters=len({example.cluster for example in part} & {example.cluster for example in before}),
        unseen_answers=sum(not _rights(example) & seen for example in part),
        contradictions=sum(each.sets == labels for each in contradictions),
    )


def _contradictions(parts: Sequence[Dataset], prints: Mapping[ImageSource, _Print]) -> Iterator[Contradiction]:
    asked = defaultdict(list)
    for part in parts:
        for example in part:
            if example.images and all(image in prints for image in example.images):
                shown = tuple(prints[image].pixels for image in example.images)
                question = " ".join(example.question.casefold().split()).rstrip(" ?.")
                options = frozenset(option.casefold() for option in example.options)
                asked[shown, question, options].append((_label(part), example))
    for same in asked.values():
        for (one_set, one), (other_set, other) in combinations(same, 2):
            if not _passes(one, other) and not _passes(other, one):
                yield Contradiction((one.id, other.id), (one_set, other_set), (one.answer, other.answer))


def _passes(gold: Example, said: Example) -> bool:
    rights = {"options": gold.options, "references": gold.references}
    return any(
        grade(gold.question, gold.answer, answer, kind=gold.kind, **rights).correct
        for answer in (said.answer, *said.references)
    )


def _commonest(part: Dataset) -> dict[str, Commonest]:
    found = {}
    for kind, examples in _gathered(part, lambda example: str(example.kind)).items():
        rights = Counter(right for example in examples for right in sorted(_rights(example)))
        [(answer, n)] = rights.most_common(1)
        found[kind] = Commonest(answer, n, len(examples))
    return found


def _rights(example: Example) -> set[str]:
    return {" ".join(right.casefold().split()) for right in (example.answer, *example.references)}


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _gathered(items: Iterable[Any], key: Callable[[Any], T]) -> dict[T, list[Any]]:
    groups: dict[T, list[Any]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups


def _several(groups: Iterable[Sequence[ImageSource]]) -> list[list[str]]:
    return [[image.name for image in group] for group in groups if len(group) > 1]
