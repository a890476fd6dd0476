"""What a phantom shows: the scene behind an image, drawn from a named stream, and its words."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


def read_table(name: str) -> dict[str, Any]:
    """One of this package's TOML files."""
    return tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Modality:
    """One kind of image: the words for it and the diagnosis that each "tone-size" of its lesions implies."""

    key: str
    name: str
    article: str
    diagnoses: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Words:
    """The vocabulary of `words.toml`."""

    sides: tuple[str, ...]
    zones: tuple[str, ...]
    sizes: tuple[str, ...]
    tones: tuple[str, ...]
    counts: tuple[str, ...]
    numbers: tuple[str, ...]
    normal: str
    modalities: Mapping[str, Modality]
    rationale: Mapping[str, str]

    @property
    def diagnoses(self) -> tuple[str, ...]:
        """Every diagnosis of every modality, then "normal"."""
        return (*(d for modality in self.modalities.values() for d in modality.diagnoses.values()), self.normal)


@cache
def words() -> Words:
    """The vocabulary, read once."""
    table = read_table("words.toml")
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    fields["modalities"] = {key: Modality(key=key, **row) for key, row in table["modalities"].items()}
    return Words(**fields)


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything an image depends on: `seed` fixes what the facts leave open (anatomy, texture, noise).

    `zones` has one entry a lesion, top to bottom; without lesions side, size and tone are None.
    """

    modality: str
    seed: int
    zones: tuple[str, ...] = ()
    side: str | None = None
    size: str | None = None
    tone: str | None = None

    @property
    def diagnosis(self) -> str:
        """What modality, tone and size imply."""
        if not self.zones:
            return words().normal
        return words().modalities[self.modality].diagnoses[f"{self.tone}-{self.size}"]


def draw_scene(stream: random.Random, modalities: Sequence[str], counts: Sequence[float]) -> Scene:
    """A scene of one of the modalities; `counts` are the weights of 0, 1, 2 and 3 lesions."""
    vocabulary = words()
    modality = stream.choice(modalities)
    seed = stream.getrandbits(63)
    n_lesions = stream.choices(range(4), counts)[0]
    if not n_lesions:
        return Scene(modality, seed)
    chosen = stream.sample(vocabulary.zones, n_lesions)
    return Scene(
        modality,
        seed,
        zones=tuple(zone for zone in vocabulary.zones if zone in chosen),
        side=stream.choice(vocabulary.sides),
        size=stream.choice(vocabulary.sizes),
        tone=stream.choice(vocabulary.tones),
    )
