"""Names for things that users may bring: data sets, rewards, engines, judges.

A name resolves, in this order: what a decorator registered, what the package ships, what an installed package
offers as an entry point, "package.module:attribute", "file.py:attribute".
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from rarl.errors import RarlError
from rarl.types import Engine, Judge

T = TypeVar("T", bound=Callable[..., Any])


def nearest(name: str, allowed: Iterable[str]) -> str:
    """How an error about a name goes on: `; did you mean 'x'?`, or just `.` when nothing is close."""
    close = difflib.get_close_matches(str(name), list(allowed), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else "."


class Registry(Generic[T]):
    """One kind of thing by name. `builtin` maps names to "module:attribute", imported when asked for.

    `reserved` names mean something to the configuration, but no thing of this kind.
    """

    def __init__(self, kind: str, builtin: Mapping[str, str], reserved: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self._builtin = builtin
        self._reserved = reserved
        self._registered: dict[str, T] = {}

    def names(self) -> list[str]:
        """Every name that can be asked for without a path."""
        return sorted({*self._registered, *self._builtin, *(e.name for e in self._entry_points())})

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that gives its function a name; a name can be given once."""

        def decorate(item: T) -> T:
            if name in (*self._builtin, *self._reserved) or self._registered.get(name, item) is not item:
                raise RarlError(f"{self.kind} {name!r} exists already; choose another name")
            self._registered[name] = item
            return item

        return decorate

    def get(self, name: str) -> T:
        """The thing of that name; an error that lists what there is and the nearest match."""
        if name in self._registered:
            return self._registered[name]
        if name in self._builtin:
            return self._load(self._builtin[name])
        for entry in self._entry_points():
            if entry.name == name:
                loaded: T = entry.load()
                return loaded
        if ":" in name:
            return self._load(name)
        known = sorted({*self.names(), *self._reserved})
        raise RarlError(f"unknown {self.kind} {name!r}{nearest(name, known)} Known: {', '.join(known)}")

    def _entry_points(self) -> Iterable[Any]:
        return entry_points(group=f"rarl.{self.kind.replace(' ', '_')}s")

    def _load(self, path: str) -> T:
        module_name, _, attribute = path.rpartition(":")
        is_file = module_name.endswith(".py")
        module = _import_file(Path(module_name)) if is_file else _import_module(module_name, self.kind)
        try:
            found: T = getattr(module, attribute)
        except AttributeError:
            raise RarlError(f"{self.kind} {path!r}: {module_name} has no {attribute!r}") from None
        if not callable(found):
            raise RarlError(f"{self.kind} {path!r} must be a function, not a {type(found).__name__}")
        return found


def _import_module(name: str, kind: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise _not_imported(name, error) from error  # the module is there, something that it imports is not
        raise RarlError(f"{kind}: no module named {name!r}; is it installed, or on PYTHONPATH?") from None
    except Exception as error:
        raise _not_imported(name, error) from error


def _import_file(path: Path) -> Any:
    path = path.expanduser().resolve()
    if not path.is_file():
        raise RarlError(f"{path} does not exist")
    name = f"rarl_user_{path.stem}_{abs(hash(path)):x}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            del sys.modules[name]
            if isinstance(error, (Exception, SystemExit)):
                raise _not_imported(str(path), error) from error
            raise
    return sys.modules[name]


def _not_imported(name: str, error: BaseException) -> RarlError:
    return RarlError(f"{name} cannot be imported: {told(error)}")


def told(error: BaseException) -> str:
    """What somebody else's code raised, and where, on one line."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({Path(last[0].filename).name}, line {last[0].lineno})" if last else ""
    return " ".join(f"{type(error).__name__}: {error}{where}".split())


datasets: Registry[Callable[..., Any]] = Registry(
    "data set",
    {
        "phantom": "rarl.data.phantom:load",
        "table": "rarl.data.own:load",
        "vqa-rad": "rarl.data.vqa_rad:load",
        "slake": "rarl.data.slake:load",
        "pathvqa": "rarl.data.pathvqa:load",
        "vqa-med-2019": "rarl.data.vqa_med:load",
        "pmc-vqa": "rarl.data.pmc_vqa:load",
        "omnimedvqa": "rarl.data.omnimedvqa:load",
        "mmmu-health": "rarl.data.mmmu:load",
        "medxpertqa-mm": "rarl.data.medxpertqa:load",
        "silvar-med": "rarl.data.silvar_med:load",
    },
)
rewards: Registry[Callable[..., list[float | None]]] = Registry(
    "reward",
    {name: f"rarl.rewards.{name}:{name}" for name in ("format", "accuracy", "grounding", "consistency", "substance")},
)
engines: Registry[Callable[..., Engine]] = Registry("engine", {"native": "rarl.engines:NativeEngine"})
judges: Registry[Judge] = Registry(
    "judge",
    {"rules": "rarl.judges.rules:rules"},
    reserved=("openai", "local"),  # made from the configuration, by rarl.judges.make_judge
)
