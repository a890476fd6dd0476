"""The report of a run: one HTML file that carries its figures and images and needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from rarl.config import RunConfig
from rarl.data import load_dataset
from rarl.errors import RarlError
from rarl.reporting import charts, results
from rarl.reporting.curves import Figure, evaluation_curves, learning_curves
from rarl.reporting.examples import Pair, choose, pair_up, pictures
from rarl.reporting.results import Result, read_results
from rarl.runlog import RunFolder, read_json, write_text
from rarl.types import Estimate, Example

_EXAMPLES = 36  # in all; at least _EXAMPLES_A_SPLIT for each split
_EXAMPLES_A_SPLIT = 12
_NAMES = {"yesno": "yes or no", "mcq": "choice"}  # of kinds, where their own are no words


@dataclass(frozen=True, slots=True)
class Shown:
    """An example as the page shows it; `example` is None where the data set no longer has it."""

    pair: Pair
    example: Example | None
    pictures: Sequence[str]


@dataclass(frozen=True, slots=True)
class Section:
    """All that the page says about one result."""

    result: Result
    rows: Sequence[results.Row]
    breakdown: Sequence[Figure]
    examples: Sequence[Shown]


def write_report(run: str | Path, out: str | Path | None = None) -> Path:
    """Write the report of the run in this folder to `out`, or to its report.html; the file's path.

    The images come from the data set, which is loaded again; where that fails the report says so and has none. Errors:
    RunFolderError if there is no run, or a file of it is damaged.
    """
    folder = RunFolder.open(run)
    path = Path(out) if out else folder.report
    write_text(path, _render(folder))
    return path


def _render(folder: RunFolder) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("rarl.reporting", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {name: getattr(results, name) for name in ("percent", "points", "count", "verdict")}
    config, metrics, found = folder.config, folder.metrics(), read_results(folder.path)
    count = max(_EXAMPLES_A_SPLIT, _EXAMPLES // max(1, len(found)))
    return environment.get_template("report.html.jinja").render(
        config=config,
        config_toml=config.to_toml(),
        about=_about(folder),
        steps=metrics[-1]["step"] if metrics else 0,
        curves=[*evaluation_curves(metrics, found), *learning_curves(metrics)],
        sections=[
            Section(result, results.headline(result), _breakdown(result), _shown(config, result, count))
            for result in found
        ],
        css=_asset("report.css"),
        js=_asset("report.js"),
    )


def _about(folder: RunFolder) -> dict[str, Any]:
    """What the run was made with; what its environment.json doesn't say, or not in the form it should, is unknown."""
    found = read_json(folder.path / "environment.json")
    about: dict[str, Any] = {
        name: str(found.get(name, "unknown")) for name in ("time", "python", "platform", "cpu", "cpus")
    }
    command, packages = found.get("command"), found.get("packages")
    about["command"] = " ".join(map(str, command)) if isinstance(command, list) else "unknown"
    about["packages"] = {"rarl": "unknown", **(packages if isinstance(packages, dict) else {})}
    return {**about, "commit": found.get("commit", "unknown") or "not a checkout"}


def _breakdown(result: Result) -> list[Figure]:
    """Accuracy by what the data set tells apart: by task, modality and kind of question."""
    captions = {"task": "Accuracy by task", "modality": "Accuracy by modality", "kind": "Accuracy by kind of question"}
    figures = []
    for group, title in captions.items():
        after = result.after.summary.by.get(group, {})
        before = result.before.summary.by.get(group, {}) if result.before else {}
        if len(after) > 1:
            rows = [
                (f"{_NAMES.get(name, name)} (n {found['accuracy'].n})", _intervals(before.get(name), found))
                for name, found in after.items()
            ]
            labels = ["before", "after"] if result.before else ["after"]
            figures.append(
                Figure(
                    title,
                    charts.dots(rows, labels),
                    "Dots are means, lines 95 % intervals; n is the number of questions.",
                )
            )
    return figures


def _intervals(before: Mapping[str, Estimate] | None, after: Mapping[str, Estimate]) -> dict[str, Estimate]:
    found = {"before": before["accuracy"]} if before else {}
    return {**found, "after": after["accuracy"]}


def _shown(config: RunConfig, result: Result, count: int) -> list[Shown]:
    pairs = choose(pair_up(result.before.records if result.before else (), result.after.records), count)
    examples = _examples(config, result.split)
    same = {
        pair.record.id: example
        for pair in pairs
        if (example := examples.get(pair.record.id)) and example.question == pair.record.question
    }
    uris = pictures({name: example.images for name, example in same.items()}, list(same))
    return [Shown(pair, same.get(pair.record.id), uris.get(pair.record.id, [])) for pair in pairs]


def _examples(config: RunConfig, split: str) -> dict[str, Example]:
    """The split's examples by id; none where the data set cannot be loaded any more."""
    data = config.data
    try:
        dataset = load_dataset(
            data.name,
            split=split,
            root=data.root,
            limit=config.eval.limit,
            on_error="skip",
            seed=config.run.seed,
            **data.options,
        )
    except RarlError:
        return {}
    return {example.id: example for example in dataset}


def _asset(name: str) -> str:
    return (files("rarl.reporting") / name).read_text(encoding="utf-8")
