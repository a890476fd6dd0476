"""Files of settings: TOML to sections that check themselves, with errors that name file, key and remedy."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from rarl.errors import ConfigError
from rarl.registry import nearest

Validated = TypeVar("Validated", bound=BaseModel)

_SHOWN = 60  # characters of a wrong value
_SECRET = re.compile(r"(.*[_-])?(api[_-]?key|token|password|passwd|secret|credentials?)", re.IGNORECASE)


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def read_toml(path: Path, missing: str) -> dict[str, Any]:
    """The tables of a file. `missing` says what there is instead of a file that does not exist. Errors: ConfigError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; {missing}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}") from None


def validated(cls: type[Validated], values: Mapping[str, Any], source: str) -> Validated:
    """The section that these values make. Errors: ConfigError with the source, the key and what is allowed there."""
    try:
        return cls.model_validate(values)
    except ValidationError as error:
        first = min(
            error.errors(), key=lambda each: each["type"] != "extra_forbidden"
        )  # a key misspelled is missing too
        raise ConfigError(f"{source}: {_describe(cls, first)}") from None


def parse_value(text: str) -> Any:
    """A value in TOML's own syntax, or a bare word."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def assign(values: dict[str, Any], path: Sequence[str], value: Any, override: str) -> None:
    """Put a value where the path leads, through sections that may be absent. Errors: ConfigError with the override."""
    for name in path[:-1]:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set {override!r}: {name} is a value, not a section")
    values[path[-1]] = value


def secret_among(where: str, options: Mapping[str, Any]) -> str:
    """What is wrong with an option whose name is a secret's; empty if none is. Settings are written into every run."""
    found = next((key for key in options if _SECRET.fullmatch(key)), "")
    remedy = "would be written into the run's folder and its report: have the loader read it from the environment"
    return f"{where}.{found} {remedy}" if found else ""


def differing(old: Mapping[str, Any], new: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """What differs between two sets of settings: "train.lr (0.002, was 0.001)"."""
    for key in dict.fromkeys((*old, *new)):
        before, now = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from differing(before, now, f"{above}{key}.")
        elif before != now:
            yield f"{above}{key} ({now!r}, was {before!r})"


def _describe(cls: type[BaseModel], error: Any) -> str:
    location = list(error["loc"])
    key = ".".join(map(str, location))
    if error["type"] == "missing":
        return f"{key} is missing"
    if error["type"] == "extra_forbidden":
        allowed = _keys(cls, location[:-1])
        return f"unknown key {key!r}{nearest(str(location[-1]), allowed)} Allowed here: {', '.join(allowed)}"
    message, given = str(error["msg"]).removeprefix("Value error, "), repr(error["input"])
    shown = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}..."
    return f"{key}: {message} (got {shown})" if key else message


def _keys(section: Any, location: list[Any]) -> list[str]:
    """The keys of the section at this place, through tables by name, lists, and sections that may be absent."""
    for part in location:
        if isinstance(section, type) and issubclass(section, BaseModel):
            section = section.model_fields[part].annotation
        else:
            section = next(arg for arg in reversed(get_args(section)) if arg is not Ellipsis)
        if type(None) in get_args(section):
            section = next(arg for arg in get_args(section) if arg is not type(None))
    return list(section.model_fields)


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key, everything else is replaced; reward.weights and data.options as they are given."""
    new = dict(values)
    for key, value in changes.items():
        old = new.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping) and key not in ("weights", "gates", "options"):
            new[key] = merged(old, value)
        else:
            new[key] = value
    return new
