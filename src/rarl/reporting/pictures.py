"""The data that a report's examples are about, loaded again: what training asked, and images as small copies."""

from __future__ import annotations

import base64
import inspect
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rarl.config import RunConfig
from rarl.data import load_dataset
from rarl.errors import DataError, RarlError
from rarl.registry import datasets
from rarl.reporting.cards import Card, about
from rarl.reporting.results import Result
from rarl.reporting.sources import Source
from rarl.types import Example, ImageSource

if TYPE_CHECKING:
    from PIL.Image import Image

BUDGET = 5_000_000  # characters of all images in a page
_PIXELS = 320  # the longer side of an image in the page
_QUALITY = 85
_A_CARD = 4  # images of one example

OFF = "Images are left out of this file: report.images = false."
UNREAD = "The images are not shown: the data set could not be read when this report was made."
FULL = "{} images are left out to keep this file small."
UNSEEN = "The questions were asked without their own images (eval.control), so these are not shown."


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a split's examples are to be had: of an evaluation, by a sample; `options` are the loader's own."""

    name: str
    split: str
    root: str
    limit: int | None
    seed: int
    sampled: bool
    options: Mapping[str, Any]


class Library:
    """Loads each data set once, and spends one budget on images. With `images` off there are none."""

    def __init__(self, sources: Sequence[Source], *, images: bool) -> None:
        self._configs = [source.config for source in sources if source.config]
        self._images = images
        self._splits: dict[str, dict[str, Example]] = {}
        self._uris: dict[ImageSource, str | None] = {}
        self._left = BUDGET
        self._omitted = 0
        self._withheld = self._unread = self._unseen = False

    def illustrated(self, card: Card, runs: Sequence[tuple[Source, Result]]) -> Card:
        """The card of a held-out question with its images, where the data set still has that question."""
        if all(result.controlled for _, result in runs):
            self._unseen = True
            return card
        example = next((found for run in runs if (found := self._example(card, *run))), None)
        return self._with_pictures(card, example, [source.config for source, _ in runs])

    def trained(self, card: Card, source: Source) -> Card:
        """The card of a question in training with all that the log doesn't say of it."""
        config = source.config
        known = config is not None and not config.data.stream  # of a streamed set no example is looked for
        place = _of_run(config, config.data.split, config.data.limit, False) if config and known else None
        example = self._split(place).get(card.id) if place else None
        if example:
            card = replace(card, question=example.question, gold=" or ".join((example.answer, *example.references)))
            card = replace(card, options=example.options, about=about(example))
        return self._with_pictures(card, example, [config])

    @property
    def notes(self) -> list[str]:
        """Why images are missing."""
        found = [OFF] if self._withheld else []
        found += [UNREAD] if self._unread else []
        found += [UNSEEN] if self._unseen else []
        return [*found, *([FULL.format(f"{self._omitted:,}")] if self._omitted else [])]

    def _with_pictures(self, card: Card, example: Example | None, configs: Sequence[RunConfig | None]) -> Card:
        if not self._images or any(config and not config.report.images for config in configs):
            self._withheld = True
            return card
        if example is None:
            self._unread = True
            return card
        uris = [uri for source in example.images[:_A_CARD] if (uri := self._uri(source))]
        return replace(card, pictures=uris, missing=len(example.images) - len(uris))

    def _uri(self, source: ImageSource) -> str | None:
        if source not in self._uris:
            self._uris[source] = picture(source)
            self._unread |= self._uris[source] is None
        uri = self._uris[source]
        if uri and len(uri) > self._left:
            self._omitted += 1
            return None
        self._left -= len(uri or "")
        return uri

    def _example(self, card: Card, source: Source, result: Result) -> Example | None:
        place = self._place(source, result)
        example = self._split(place).get(card.id) if place else None
        return example if example and example.question == card.question else None

    def _place(self, source: Source, result: Result) -> _Place | None:
        """Where the examples are: as the run says, or another on the same data; or nowhere, if no files are needed."""
        settings = result.after.summary.settings
        for config in (source.config, source.trained_with, *self._configs):
            if config and config.data.name == settings["data"]:
                limit = config.eval.limit if source.config else settings.get("questions")
                return _of_run(config, result.split, limit, True)
        try:
            rootless = "root" not in inspect.signature(datasets.get(settings["data"])).parameters
        except RarlError:
            return None
        count, seed = settings.get("questions"), settings.get("seed", 0)
        return _Place(settings["data"], result.split, "", count, seed, True, {}) if rootless else None

    def _split(self, place: _Place) -> dict[str, Example]:
        """The split's examples by id; none where the data set cannot be loaded any more."""
        if repr(place) not in self._splits:
            try:
                dataset = load_dataset(
                    place.name,
                    split=place.split,
                    root=place.root,
                    limit=place.limit,
                    on_error="skip",
                    seed=place.seed,
                    sampled=place.sampled,
                    **place.options,
                )
            except RarlError:
                self._splits[repr(place)] = {}
            else:
                self._splits[repr(place)] = {example.id: example for example in dataset}
        return self._splits[repr(place)]


def picture(source: ImageSource) -> str | None:
    """A small copy as a data URI; None where the image can't be read, as files may have moved since the run."""
    try:
        image = source.read()
    except DataError:
        return None
    image.thumbnail((_PIXELS, _PIXELS))
    uris = [_encoded(image, "JPEG", quality=_QUALITY)]
    if max(image.size) < _PIXELS / 2:
        uris.append(_encoded(image, "PNG", optimize=True))  # often smaller where there is little to see
    return min(uris, key=len)


def _encoded(image: Image, form: str, **options: Any) -> str:
    file = io.BytesIO()
    image.save(file, form, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def _of_run(config: RunConfig, split: str, limit: int | None, sampled: bool) -> _Place:
    data = config.data
    limit = None if data.without else limit  # some of the first were left out, and others took their places
    options = {**data.options, "window": data.window, "frame": data.frame, "frames": data.frames}
    return _Place(data.name, split, data.root, limit, config.run.seed, sampled, options)
