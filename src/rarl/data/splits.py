"""Leak-free splits: a cluster (a patient, an image) is in one split only."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from itertools import accumulate, pairwise
from typing import TypeVar

from rarl.draws import Draws

C = TypeVar("C", str, int)

SHARES = {"disjoint-train": 0.8, "disjoint-test": 0.2}  # of a set that has no such splits itself


def disjoint(strata: Mapping[C, Hashable], shares: Mapping[str, float], draws: Draws) -> dict[C, str]:
    """A split for every cluster, so that within each stratum the splits hold their shares of the clusters.

    `strata` maps each cluster to its stratum (a modality, say; equal for all where there is none); `shares` maps the
    names of the splits to fractions that sum to 1. The order of the clusters doesn't matter: each draws its own place.
    """
    if abs(sum(shares.values()) - 1) > 1e-9 or min(shares.values()) < 0:
        raise ValueError(f"the shares of the splits must be at least 0 and sum to 1: {dict(shares)}")
    members: dict[Hashable, list[C]] = {}
    for cluster in sorted(strata, key=lambda cluster: (draws.at(cluster).integer(), cluster)):
        members.setdefault(strata[cluster], []).append(cluster)
    split = {}
    for clusters in members.values():
        cuts = [round(share * len(clusters)) for share in accumulate(shares.values(), initial=0.0)]
        for name, (start, stop) in zip(shares, pairwise(cuts), strict=True):
            split.update(dict.fromkeys(clusters[start:stop], name))
    return split
