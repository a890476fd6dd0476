"""Pools of instructions for diversity prompting. A pool is a TOML file, shipped or the user's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rarl.errors import ConfigError
from rarl.prompting.shapes import tags_in, tags_of
from rarl.registry import nearest
from rarl.sections import read_toml
from rarl.types import Family, Shape, Template

_SHIPPED = Path(__file__).parent / "pools"
_INSTRUCTION_KEYS = {"id": None, "family": list(Family), "shape": list(Shape), "text": None}  # key -> allowed values


@dataclass(frozen=True, slots=True)
class Pool:
    """Instructions to draw from in training, and the two that inference uses."""

    name: str
    templates: tuple[Template, ...]
    reasoning: Template
    direct: Template

    def inference(self, reasoning: bool) -> Template:
        """The instruction to answer under: reasoning first, or the answer alone."""
        return self.reasoning if reasoning else self.direct

    def of(self, shape: Shape) -> Template:
        """The instruction for a shape at inference: one of the two, else the pool's first. ConfigError without any."""
        found = next((each for each in (self.reasoning, self.direct, *self.templates) if each.shape is shape), None)
        if found is None:
            raise ConfigError(f"the pool {self.name} has no instruction of the shape {shape.value!r}; add one to it")
        return found


def load_pool(name_or_path: str | Path) -> Pool:
    """A shipped pool by name, or one from a TOML file. Errors: ConfigError naming file, instruction, key and remedy."""
    path = _find(name_or_path)
    values = read_toml(path, "give a file, or the name of a shipped pool")
    where = str(path)
    _check_keys(values, ("inference", "instruction"), where)
    templates = _templates(values["instruction"], where)
    reasoning, direct = _inference(values["inference"], templates, where)
    return Pool(name=path.stem, templates=templates, reasoning=reasoning, direct=direct)


def _find(name_or_path: str | Path) -> Path:
    shipped = {path.stem: path for path in sorted(_SHIPPED.glob("*.toml"))}
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    path = Path(name_or_path).expanduser()
    if path.suffix == ".toml":
        return path
    known = ", ".join(shipped)
    raise ConfigError(
        f"unknown pool {str(name_or_path)!r}{nearest(str(name_or_path), shipped)} Shipped: {known}; or a .toml file"
    )


def _check_keys(table: Mapping[str, Any], allowed: Iterable[str], where: str) -> None:
    allowed = list(allowed)
    for key in table:
        if key not in allowed:
            raise ConfigError(f"{where}: unknown key {key!r}{nearest(key, allowed)} Allowed here: {', '.join(allowed)}")
    for key in allowed:
        if key not in table:
            raise ConfigError(f"{where}: the key {key!r} is missing")


def _templates(rows: Any, where: str) -> tuple[Template, ...]:
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise ConfigError(f"{where}: 'instruction' must be a list of tables; write each as [[instruction]]")
    templates = tuple(_template(row, where, number) for number, row in enumerate(rows, start=1))
    for key in ("id", "text"):
        seen: set[str] = set()
        for template in templates:
            value = getattr(template, key)
            if value in seen:
                raise ConfigError(f"{where}: two instructions have the {key} {value!r}; each must be its own")
            seen.add(value)
    return templates


def _template(row: Mapping[str, Any], where: str, number: int) -> Template:
    where = f"{where}: instruction {row.get('id', number)!r}"
    _check_keys(row, _INSTRUCTION_KEYS, where)
    for key, choices in _INSTRUCTION_KEYS.items():
        value = row[key]
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(f"{where}: {key} must be a text that is not empty (got {value!r})")
        if choices and value not in choices:
            raise ConfigError(f"{where}: {key} {value!r} is not allowed; use one of {', '.join(choices)}")
    template = Template(row["id"], Family(row["family"]), Shape(row["shape"]), row["text"].strip())
    wanted = tags_of(template.shape)
    if tags_in(template.text) != wanted:
        raise ConfigError(f"{where}: text must name the tags {' '.join(wanted)} once each, in this order")
    return template


def _inference(table: Any, templates: tuple[Template, ...], where: str) -> tuple[Template, Template]:
    where = f"{where}: inference"
    if not isinstance(table, dict):
        raise ConfigError(f"{where} must be a table with the keys reasoning and direct")
    _check_keys(table, ("reasoning", "direct"), where)
    by_id = {template.id: template for template in templates}
    for key, reasons in (("reasoning", True), ("direct", False)):
        fitting = [template.id for template in templates if template.shape.reasons is reasons]
        if table[key] not in fitting:
            problem = "has another shape" if table[key] in list(by_id) else "is no instruction of this pool"
            remedy = f"use one of {', '.join(fitting)}" if fitting else "the pool has none that fits"
            raise ConfigError(f"{where}: {key} = {table[key]!r} {problem}; {remedy}")
    return by_id[table["reasoning"]], by_id[table["direct"]]
