"""The report of runs: one HTML file that carries its figures and images and needs no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path, PurePath
from typing import Any

from rarl.environment import VERSION
from rarl.errors import ConfigError, RunFolderError
from rarl.evaluation import Comparison, compare
from rarl.files import write_text
from rarl.reporting import breakdown, charts, comparing, conclusions, examples, resources, results, rollouts
from rarl.reporting.curves import evaluation_curves, learning_curves
from rarl.reporting.pictures import Library
from rarl.reporting.provenance import provenance
from rarl.reporting.results import REASONING
from rarl.reporting.sources import Source, read_sources
from rarl.reporting.ways import how_asked
from rarl.runlog import RunFolder

LARGEST = 9_500_000  # bytes of a page
_EXAMPLES = (120, 40, 12, 0)  # so many, or fewer until the page is small enough
TEMPLATE = "template"


def write_report(
    runs: str | Path | Sequence[str | Path], out: str | Path | None = None, *, images: bool = True
) -> Path:
    """Write one report of these runs, or evaluations, to `out`, of one by default its report.html; the file's path.

    The images come from the data set, which is loaded again; where that fails the report says so and has none, as it
    does with `images` off or where a run's report.images is. Errors: RunFolderError where a folder is neither run nor
    evaluation, or a file of it is damaged; ConfigError for several without `out`.
    """
    folders = [runs] if isinstance(runs, str | Path) else list(runs)
    if len(folders) > 1 and out is None:
        raise ConfigError("a report of several runs belongs to none of them: name its file with -o")
    sources = read_sources(folders)
    path = Path(out) if out else RunFolder(sources[0].path).report
    write_text(path, render(sources, images=images))
    return path


def render(sources: Sequence[Source], *, images: bool = True) -> str:
    """The whole page; with fewer examples where it would be larger than LARGEST."""
    page = templates("rarl.reporting").get_template("report.html.jinja")
    content = _content(sources)
    text = ""
    for count in _EXAMPLES:
        library = Library(sources, images=images)
        browser = examples.browse(sources, content["sets"], library, count)
        text = str(page.render(**content, browser=browser, notes=library.notes))
        if len(text.encode()) <= LARGEST:
            break
    return text


def templates(package: str) -> Any:
    """The pages of a package, with this one's macros and filters: a jinja2 environment."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, TEMPLATE), PackageLoader("rarl.reporting", TEMPLATE)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {name: getattr(results, name) for name in ("percent", "points", "verdict")}
    environment.filters |= {"decimal": "{:z.2f}".format, "signed": "{:+z.2f}".format}
    environment.filters |= {"duration": resources.duration, "clipped": examples.clipped, "name": _name}
    environment.globals |= {"swatch": charts.swatch}
    return environment


def _content(sources: Sequence[Source]) -> dict[str, Any]:
    """All that the page shows but examples."""
    sets = breakdown.question_sets(sources)
    comparison, refused = _comparison(sources)
    headlines = [breakdown.headline_table(source, result) for each in sets for source, result in each.runs]
    return {
        **assets(),
        "sources": sources,
        "asked": {source.label: how_asked(source) for source in sources},
        "sets": sets,
        "comparison": breakdown.comparison_tables(comparison) if comparison else [],
        "comparison_notes": comparing.comparison_notes(comparison) if comparison else [],
        "refused": refused,
        "sentences": _sentences(sources, comparison),
        "tiles": conclusions.tiles(sources),
        "caveats": conclusions.caveats(sources, comparison),
        "headlines": headlines,
        "reasons": any(row.label == REASONING for table in headlines for row, _ in table.rows),
        "images": [table for each in sets for table in breakdown.image_tables(each)],
        "asked_again": breakdown.asked_again(sets),
        "further": [table for each in sets for table in breakdown.further_tables(each)],
        "groups": [table for each in sets for table in breakdown.group_tables(each)],
        "curves": [
            *evaluation_curves(sources),
            *learning_curves({source.label: source.metrics for source in sources}),
        ],
        "rewards": [(source.label, rollouts.distributions(source.rollouts)) for source in sources],
        "resources": [found for source in sources if (found := resources.resources(source))],
        "probes": [(source.label, source.probe) for source in sources if source.probe.get("attacks")],
        "provenance": [provenance(source) for source in sources],
        "version": VERSION,
    }


def _comparison(sources: Sequence[Source]) -> tuple[Comparison | None, str]:
    """Every run against the first, or why that can't be."""
    if len(sources) < 2:
        return None, ""
    try:
        return compare([source.path for source in sources]), ""
    except RunFolderError as error:
        return None, str(error)


def _sentences(sources: Sequence[Source], comparison: Comparison | None) -> list[conclusions.Sentence]:
    if comparison:
        return conclusions.of_comparison(comparison)
    return [conclusions.of_run(result) for source in sources for result in source.results]


def _name(text: str) -> str:
    """A data set or model as people call it: of a path its last part, and of a run's adapter the run's too."""
    path = PurePath(text)
    if path.name == "adapter":
        return "/".join(path.parts[-2:])
    return path.name if text.startswith(("/", "~", ".")) else text


def assets() -> dict[str, str]:
    """What a page carries to need no other file: `css`, `js`, and the hash by which a browser knows the latter."""
    css, js = ((files("rarl.reporting") / TEMPLATE / name).read_text("utf-8") for name in ("report.css", "report.js"))
    return {"css": css, "js": js, "script_hash": base64.b64encode(hashlib.sha256(js.encode()).digest()).decode()}
