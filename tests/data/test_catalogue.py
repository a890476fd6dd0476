import inspect

from rarl import registry
from rarl.data.catalogue import catalogue


def test_every_set_that_ships_is_described() -> None:
    for name in registry.datasets._builtin:
        known = catalogue()[name]
        assert known.keys() == {"about", "licence", "home", "cite", "questions"}, name
        assert all(known[key] for key in ("about", "licence", "home")), name
        assert known["questions"], name


def test_every_split_that_is_described_is_known_to_its_loader() -> None:
    for name, known in catalogue().items():
        module = inspect.getmodule(registry.datasets.get(name)) if name in registry.datasets._builtin else None
        for splits in (
            getattr(module, "SPLITS", None),
            getattr(module, "FILES", None),
            getattr(module, "TABLES", None),
        ):
            assert splits is None or set(known["questions"]) <= set(splits), name


def test_a_set_of_ones_own_has_a_name_only(monkeypatch) -> None:
    monkeypatch.setitem(registry.datasets._registered, "mine", lambda split: [])
    assert catalogue()["mine"] == {}
