from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rarl.data.splits import disjoint
from rarl.draws import Draws

SHARES = {"fit": 0.7, "tune": 0.1, "hold": 0.2}


def test_shares_hold_within_every_stratum() -> None:
    strata = {f"image-{number}": ("head", "chest")[number % 2] for number in range(200)}
    split = disjoint(strata, SHARES, Draws(0))
    counts = Counter((strata[cluster], name) for cluster, name in split.items())
    assert counts == {
        (stratum, name): number
        for stratum in ("head", "chest")
        for name, number in zip(SHARES, (70, 10, 20), strict=True)
    }


def test_seeds_differ_and_the_order_of_the_clusters_does_not_matter() -> None:
    strata = {f"image-{number}": None for number in range(100)}
    split = disjoint(strata, SHARES, Draws(0))
    assert disjoint(dict(reversed(strata.items())), SHARES, Draws(0)) == split
    assert disjoint(strata, SHARES, Draws(1)) != split


@given(st.dictionaries(st.text(), st.sampled_from("abc"), max_size=60), st.integers(0, 5))
def test_every_cluster_is_in_one_split_and_near_its_share(strata: dict[str, str], seed: int) -> None:
    split = disjoint(strata, SHARES, Draws(seed))
    assert split.keys() == strata.keys()
    for stratum in set(strata.values()):
        members = [cluster for cluster in strata if strata[cluster] == stratum]
        for name, share in SHARES.items():
            assert abs(sum(split[cluster] == name for cluster in members) - share * len(members)) <= 1


def test_shares_must_sum_to_one() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        disjoint({"a": None}, {"fit": 0.7, "hold": 0.2}, Draws(0))
