import pytest

from rarl import registry
from rarl.data import silvar_med
from rarl.data.catalogue import catalogue, splits_to_check
from rarl.errors import DataError


def test_every_set_that_ships_is_described() -> None:
    for name in registry.datasets._builtin:
        known = catalogue()[name]
        assert known.keys() == {"about", "licence", "home", "cite", "questions"}, name
        assert all(known[key] for key in ("about", "licence", "home")), name
        assert known["questions"], name


def test_the_splits_that_are_described_are_those_that_load() -> None:
    for name in ("silvar-med", "table"):
        assert tuple(catalogue()[name]["questions"]) == silvar_med.SPLITS  # else it depends on the table
    for name in registry.datasets._builtin.keys() - {"silvar-med", "table"}:
        with pytest.raises(DataError, match="Splits: ") as caught:
            registry.datasets.get(name)("no such split")
        assert ", ".join(catalogue()[name]["questions"]) == str(caught.value).partition("Splits: ")[2]


def test_a_number_that_is_not_known_is_none() -> None:
    assert catalogue()["silvar-med"]["questions"] == {"train": 866, "disjoint-train": None, "disjoint-test": None}


def test_a_set_of_ones_own_has_a_name_only(monkeypatch) -> None:
    monkeypatch.setitem(registry.datasets._registered, "mine", lambda split: [])
    assert catalogue()["mine"] == {}


def test_splits_that_are_checked_together(monkeypatch) -> None:
    monkeypatch.setitem(registry.datasets._registered, "mine", lambda split: [])
    assert splits_to_check("vqa-rad") == ["train", "test"]
    assert splits_to_check("slake") == ["train", "validation", "test"]
    assert splits_to_check("mine") == splits_to_check("own.py:load") == ["train"]
