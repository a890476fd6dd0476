"""Data sets by name: what a loader yields is checked, cut to its limit, and kept as a sequence of examples."""

from __future__ import annotations

import inspect
import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, NoReturn, overload

from rarl.data.checking import trouble
from rarl.data.images import Checkable, View, viewed
from rarl.data.ondemand import OnDemand, Unreadable
from rarl.data.overlap import sharing_none
from rarl.data.windows import Window
from rarl.data.workers import Workers
from rarl.draws import Draws
from rarl.errors import DataError, RarlError
from rarl.registry import datasets, nearest, told
from rarl.terminal import progress
from rarl.types import Example, ImageSource

SAMPLED = 1000  # of a streamed data set, where all would take minutes
AHEAD = 64  # examples whose images are decoded before they are asked for
SAMPLE = Draws(0).at("sample")  # of no run's seed: runs are compared on the same questions


@dataclass(frozen=True, slots=True)
class Dataset(Sequence[Example]):
    """The examples of a split, and what was left out of it as (where, why).

    Where it is `streamed`, each example is read and checked when it is asked for. `drawn_from` is how many the split
    has where these are a sample of it; `overlapping` were left out since another set has an image of theirs.
    """

    name: str
    split: str
    examples: Sequence[Example] = field(repr=False)
    skipped: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    drawn_from: int | None = None
    overlapping: int = 0

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Example, ...]: ...
    def __getitem__(self, index: int | slice) -> Example | tuple[Example, ...]:
        found = self.examples[index]
        return found if isinstance(found, Example) else tuple(found)

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def streamed(self) -> bool:
        return isinstance(self.examples, OnDemand)

    def sample(self, count: int = SAMPLED) -> Sequence[Example]:
        """All examples; where they are streamed those that can be used of `count`, evenly spaced. Errors: DataError."""
        if not self.streamed:
            return self
        least = min(count, len(self))
        found = (self.examples[place * len(self) // least] for place in range(least))
        return [example for example in found if not any(isinstance(image, Unreadable) for image in example.images)]

    def images(self) -> Iterator[ImageSource]:
        """Those of all examples."""
        if isinstance(self.examples, OnDemand):
            return self.examples.images()
        return (image for example in self.examples for image in example.images)


Problem = Callable[[str, str], None]  # what a loader calls with (where, why) for a row that cannot be used


def refuse(where: str, why: str) -> NoReturn:
    """The problem of a row as the DataError that says what can be done about it."""
    raise DataError(f'{where}: {why.rstrip(".")}; mend it, or set data.on_error = "skip" to leave such rows out')


def load_dataset(
    name: str,
    *,
    split: str = "train",
    root: str = "",
    limit: int | None = None,
    on_error: str = "raise",
    seed: int = 0,
    sampled: bool = False,
    without: Collection[str] = (),
    window: Window | None = None,
    frame: int | None = None,
    frames: int | None = None,
    stream: bool = False,
    **options: Any,
) -> Dataset:
    """A split of a data set: one that ships, one that was registered, or "file.py:function".

    The loader is called with `split` and with those of root, limit, seed, stream and problem that its signature names;
    further `options` are its own, and one that it doesn't take is an error. It yields Examples, and may hand a bad row
    to `problem(where, why)` and go on. Ids must be unique; every distinct image is checked, once. `on_error` says what
    a bad row or image leads to: "raise" a DataError that names it, "skip" an entry in `Dataset.skipped`.

    A `limit` takes the first examples; with `sampled` it draws them from the whole split by their ids, the same ones
    each time, and keeps their order. A loader that names both limit and seed draws its examples itself: it is believed.
    `without` holds fingerprints (`rarl.data.overlap`) of images whose examples are left out. `window` and `frame` are
    those of `rarl.data.images.load_image`, for every image; of `frames` each gives so many, if it has them.

    With `stream` the examples are a sequence whose items are read, and checked with their images, when they are asked
    for; ids are not compared. The loader must take `stream`, and return a Sequence: "table" does.

    Errors: DataError, also where nothing is left; RarlError for an unknown name.
    """
    if on_error not in ("raise", "skip"):
        raise DataError(f'data.on_error must be "raise" or "skip", not {on_error!r}')
    skipped: list[tuple[str, str]] = []
    problem = refuse if on_error == "raise" else lambda where, why: skipped.append((where, why))
    loader = datasets.get(name)
    if stream and "stream" not in inspect.signature(loader).parameters:
        raise DataError(f"data set {name!r} cannot be streamed: its loader takes no stream; leave data.stream false")
    if frame is not None and frames is not None:
        raise DataError("data.frame is one slice and data.frames several: set one of them")
    if frames is not None and frames < 1:
        raise DataError(f"data.frames must be at least 1, not {frames}")
    if stream and (without or sampled):
        raise DataError("data.stream reads no image ahead: it goes with no data.without, and with no sample")
    sampled = sampled and limit is not None and not {"limit", "seed"} <= inspect.signature(loader).parameters.keys()
    known = {"root": root, "limit": None if sampled else limit, "seed": seed, "problem": problem, "stream": stream}
    accepted = _accepted(loader, name, known, options)
    with _failures_told(name, split):
        found = loader(split, **accepted)
        if stream:
            return _streamed(found, name, split, View(window, frame, frames), limit, skipped, on_error == "skip")
        shuffled = _Shuffled(found) if sampled and isinstance(found, Iterable) else None
        items = found if shuffled is None else shuffled.items
        sound = _sound(items, f"{name} {split}", problem, View(window, frame, frames), None if without else limit)
        apart, overlapping = sharing_none(sound, without)
        total = limit or (len(found) if isinstance(found, Sequence) else None)
        examples = tuple(progress(islice(apart, limit), "checking images", total=total))
    if not examples:
        raise DataError(f"data set {name!r}, split {split!r}, has no example to use{_first(skipped, overlapping)}")
    if shuffled is None:
        return Dataset(name, split, examples, tuple(skipped), overlapping=len(overlapping))
    drawn_from = len(shuffled.items) if limit == len(examples) < len(shuffled.items) else None
    return Dataset(name, split, shuffled.in_order(examples), tuple(skipped), drawn_from, len(overlapping))


def _streamed(
    found: Any,
    name: str,
    split: str,
    view: View,
    limit: int | None,
    skipped: Sequence[tuple[str, str]],
    skip: bool,
) -> Dataset:
    if not isinstance(found, Sequence):
        raise DataError(f"{name} {split}: a loader that streams must return a Sequence, not a {type(found).__name__}")
    if not found:
        raise DataError(f"data set {name!r}, split {split!r}, has no example to use{_first(skipped, ())}")
    return Dataset(name, split, OnDemand(found, f"{name} {split}", view, limit, skip=skip), tuple(skipped))


class _Shuffled:
    """Items in an order that their ids alone decide: its first n are a random sample, and part of any larger one."""

    def __init__(self, items: Iterable[Any]) -> None:
        whole = list(items)
        self.items = sorted(whole, key=lambda item: SAMPLE.at(str(getattr(item, "id", ""))).integer())
        self._places = {id(item): place for place, item in enumerate(whole)}

    def in_order(self, drawn: Iterable[Example]) -> tuple[Example, ...]:
        """As they stood in the data set."""
        return tuple(sorted(drawn, key=lambda item: self._places[id(item)]))


@contextmanager
def _failures_told(name: str, split: str) -> Iterator[None]:
    try:
        yield
    except RarlError:
        raise
    except Exception as error:  # a loader is often the user's own, and may raise anything
        raise DataError(f"data set {name!r}, split {split!r}, cannot be loaded: {told(error)}") from error


def _accepted(
    loader: Callable[..., Any], name: str, known: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    parameters = inspect.signature(loader).parameters
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    own = [key for key in parameters if key not in known][1:]
    for key in options:
        if key not in own and not takes_any:
            allowed = f" It takes: {', '.join(own)}" if own else " It takes none"
            raise DataError(f"data set {name!r} has no option {key!r}{nearest(key, own)}{allowed}")
    return {key: value for key, value in known.items() if key in parameters} | dict(options)


def _sound(found: Iterable[Any], where: str, problem: Problem, view: View, limit: int | None) -> Iterator[Example]:
    """The examples that can be used, at most `limit`. Images of the next ones are decoded meanwhile, each once."""
    if not isinstance(found, Iterable):
        raise DataError(f"{where}: the loader must yield Examples, not return a {type(found).__name__}")
    ids: set[str] = set()
    verdicts: dict[ImageSource, Callable[[], str | None]] = {}
    waiting: deque[tuple[Example, str | None]] = deque()
    left = math.inf if limit is None else limit
    items = enumerate(found)
    with Workers() as pool:
        while left:
            # No row is looked at that may not be needed: its trouble would be nobody's.
            for number, item in islice(items, int(min(AHEAD, left)) - len(waiting)):
                if not isinstance(item, Example):
                    raise DataError(
                        f"{where}, item {number}: the loader must yield Examples, not {type(item).__name__}"
                    )
                why = trouble(item)
                if why is None and view != View():
                    item, why = _viewed(item, view)
                for image in item.images if why is None else ():
                    if image not in verdicts:
                        verdicts[image] = pool.begin(_refusal, image)
                waiting.append((item, why))
            if not waiting:
                return
            example, why = waiting.popleft()
            if why is None:
                said = (verdicts[image]() for image in example.images)
                why = next(filter(None, said), None)
            if why is None and example.id in ids:
                why = "this id appears twice"
            if why is None:
                ids.add(example.id)
                left -= 1
                yield example
            else:
                problem(f"{where}, row {example.id!r}", why)


def _viewed(item: Example, view: View) -> tuple[Example, str | None]:
    try:
        return replace(item, images=tuple(shown for image in item.images for shown in viewed(image, view))), None
    except DataError as error:
        return item, str(error)


def _refusal(image: ImageSource) -> str | None:
    try:
        if isinstance(image, Checkable):
            image.check()
    except DataError as error:
        return str(error)
    return None


def _first(skipped: Sequence[tuple[str, str]], overlapping: Sequence[str]) -> str:
    if overlapping:
        return f": {len(overlapping)} share an image with the set that data.without names"
    if not skipped:
        return "; check data.split and data.root"
    where, why = skipped[0]
    return f": all {len(skipped)} rows were skipped, the first ({where}) because {why}"
