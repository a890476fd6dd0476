"""New splits of a data set, that share no patient and no image."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

from rarl.data.overlap import fingerprints
from rarl.data.splits import disjoint
from rarl.draws import Draws
from rarl.errors import ConfigError, DataError
from rarl.types import Example


def parsed_shares(given: Sequence[str]) -> dict[str, float]:
    """The shares of splits from "train=0.8". Errors: ConfigError unless each is above 0, and their sum is 1."""
    shares: dict[str, float] = {}
    for each in given:
        name, _, said = each.partition("=")
        try:
            share = float(said)
        except ValueError:
            share = math.nan
        if not name or not 0 < share <= 1:
            raise ConfigError(f"--share must be as train=0.8: a name, and a part above 0 (got {each!r})")
        if name in shares:
            raise ConfigError(f"--share names {name!r} twice")
        shares[name] = share
    if abs(sum(shares.values()) - 1) > 1e-9:
        raise ConfigError(f"the parts of --share must sum to 1, not {sum(shares.values()):g}")
    return shares


def together(parts: Mapping[str, Sequence[Example]]) -> list[Example]:
    """The examples of several splits; those that share an id get the split's name before it."""
    times = Counter(example.id for part in parts.values() for example in part)
    return [
        replace(example, id=f"{split}-{example.id}") if times[example.id] > 1 else example
        for split, part in parts.items()
        for example in part
    ]


def split_apart(examples: Sequence[Example], shares: Mapping[str, float], draws: Draws) -> dict[str, list[Example]]:
    """Splits that share no cluster and no image (by its pixels), each with its share of them, in the set's order.

    What hangs together by clusters and images stays together, and counts as one. Strata are modality and commonest kind
    of question; those too small to give every split some are one. Errors: DataError where a split would be empty, or
    an image can't be read.
    """
    hanging = _hanging(examples)
    members = defaultdict(list)
    for example, name in zip(examples, hanging, strict=True):
        members[name].append((example.modality or "", example.kind.value))
    strata: dict[str, Hashable] = {name: Counter(sorted(each)).most_common(1)[0][0] for name, each in members.items()}
    least = 1 / min(share for share in shares.values() if share > 0)
    sizes = Counter(strata.values())
    split = disjoint({name: each if sizes[each] >= least else "" for name, each in strata.items()}, shares, draws)
    parts: dict[str, list[Example]] = {name: [] for name in shares}
    for example, name in zip(examples, hanging, strict=True):
        parts[split[name]].append(example)
    if empty := [name for name, part in parts.items() if not part]:
        apart = f"{len(members)} group{'s' * (len(members) != 1)} of examples that share no patient or image"
        raise DataError(f"split {empty[0]!r} would be empty: there are but {apart}")
    return parts


def _hanging(examples: Sequence[Example]) -> list[str]:
    """For each example the least cluster of all that hang together with it."""
    pixels = fingerprints(examples)
    above: dict[tuple[str, str], tuple[str, str]] = {}  # a forest: every root is the least of its tree

    def root(key: tuple[str, str]) -> tuple[str, str]:
        while (up := above.setdefault(key, key)) != key:
            above[key] = above[up]
            key = up
        return key

    for example in examples:
        cluster = ("cluster", example.cluster)
        for image in example.images:
            one, other = sorted((root(cluster), root(("image", pixels[image]))))
            above[other] = one
    return [root(("cluster", example.cluster))[1] for example in examples]
