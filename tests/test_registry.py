from types import SimpleNamespace

import pytest

from rarl import registry
from rarl.errors import RarlError
from rarl.registry import Registry, nearest


@pytest.fixture
def things():
    return Registry("thing", {"join": "os.path:join"})


def test_a_builtin_is_imported_when_asked_for(things):
    import os.path

    assert things.get("join") is os.path.join
    assert things.names() == ["join"]


def test_a_decorator_registers_and_gives_its_function_back(things):
    @things.register("mine")
    def mine():
        return 1

    assert mine() == 1
    assert things.get("mine") is mine
    assert things.names() == ["join", "mine"]
    assert things.register("mine")(mine) is mine  # the same again, as when a module is reloaded


@pytest.mark.parametrize("name", ["join", "mine"])
def test_a_name_is_given_once(things, name):
    things.register("mine")(lambda: 1)
    with pytest.raises(RarlError, match=f"thing '{name}' exists already"):
        things.register(name)(lambda: 2)


def test_an_unknown_name_lists_what_there_is_and_the_nearest(things):
    with pytest.raises(RarlError, match=r"unknown thing 'jion'; did you mean 'join'\? Known: join"):
        things.get("jion")
    with pytest.raises(RarlError, match=r"unknown thing 'xyz'\. Known: join"):
        things.get("xyz")


def test_a_module_path(things):
    import json

    assert things.get("json:loads") is json.loads
    with pytest.raises(RarlError, match="json has no 'lods'"):
        things.get("json:lods")
    with pytest.raises(RarlError, match="no module named 'no_such_module'"):
        things.get("no_such_module:f")


def test_a_file_is_imported_once(things, tmp_path):
    (tmp_path / "mine.py").write_text("calls = []\ndef f():\n    calls.append(1)\n    return len(calls)\n")
    path = f"{tmp_path / 'mine.py'}:f"
    assert things.get(path)() == 1
    assert things.get(path)() == 2
    with pytest.raises(RarlError, match=r"none\.py does not exist"):
        things.get(f"{tmp_path / 'none.py'}:f")


def test_a_file_that_fails_is_not_kept_half_imported(things, tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("import no_such_package\ndef f(): return 1\n")
    with pytest.raises(RarlError, match=r"cannot be imported: ModuleNotFoundError.*no_such_package"):
        things.get(f"{path}:f")
    path.write_text("def f(): return 1\n")
    assert things.get(f"{path}:f")() == 1


def test_what_is_missing_inside_a_module_is_not_blamed_on_its_name(things, tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RarlError, match=r"cannot be imported: ModuleNotFoundError.*no_such_package"):
        things.get("needs_more:f")


def test_an_installed_package_offers_entry_points(things, monkeypatch):
    def offered(*, group):
        assert group == "rarl.things"
        return [SimpleNamespace(name="theirs", load=lambda: len)]

    monkeypatch.setattr(registry, "entry_points", offered)
    assert things.get("theirs") is len
    assert things.names() == ["join", "theirs"]


def test_the_shipped_names_resolve():
    assert set(registry.datasets.names()) >= {"phantom", "vqa-rad"}
    assert set(registry.rewards.names()) >= {"accuracy", "consistency", "format", "grounding", "substance"}
    assert set(registry.engines.names()) >= {"native"}
    for kind in (registry.datasets, registry.rewards, registry.engines, registry.judges):
        for name in kind.names():
            assert callable(kind.get(name)), name


def test_a_reserved_name_is_known_and_is_no_thing():
    things = Registry("thing", {}, reserved=("none",))
    assert things.names() == []
    with pytest.raises(RarlError, match="thing 'none' exists already"):
        things.register("none")(lambda: 1)
    with pytest.raises(RarlError, match=r"unknown thing 'nnoe'; did you mean 'none'\? Known: none"):
        things.get("nnoe")


def test_nearest():
    assert nearest("acuracy", ["accuracy", "format"]) == "; did you mean 'accuracy'?"
    assert nearest("zzz", ["accuracy"]) == "."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:\n", "SyntaxError"),
        ("\nx = 1 / 0\n", r"ZeroDivisionError: division by zero \(mine.py, line 2\)"),
        ("raise SystemExit(5)\n", "SystemExit: 5"),
        ("f = 3\n", "must be a function, not a int"),
    ],
)
def test_what_a_users_file_does_wrong_is_one_line(things, tmp_path, text, message):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(RarlError, match=message) as caught:
        things.get(f"{tmp_path / 'mine.py'}:f")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [":", ":f", "os:path"])
def test_a_path_to_nothing_callable_is_an_error(things, name):
    with pytest.raises(RarlError):
        things.get(name)
