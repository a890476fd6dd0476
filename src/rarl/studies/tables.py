"""A study's results as tables, and those as a page of Markdown: every number from its files, none typed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from rarl.errors import RunFolderError
from rarl.files import read_json, read_rows, require_numbers
from rarl.studies.design import COSTS, Cell, Claim, Contrast, Study
from rarl.studies.effects import Effect
from rarl.studies.results import ClaimResult, StudyResults
from rarl.studies.searching import SEARCH

SESSIONS, ENVIRONMENT = "sessions.jsonl", "environment.json"
_VERDICTS = ("supported", "contradicted", "undecided", "not tested")
BESIDE = ("by native prompts", "beyond in domain")  # further effects of a claim
UNITS = {"seconds": (1.0, "{:,.0f} s"), "peak_memory": (1e9, "{:.2f} GB")}  # the others are counts


READING = """Cells are means over seeds in per cent, with 95 % intervals over seeds and items; effects are paired by
seed and item. Questions are those that both sides of a contrast have scored, over all seeds. A claim is supported where
the interval of its effect lies above 0, contradicted where it lies below, and undecided else; where it has several
contrasts, all must hold. p comes from flipping signs of seeds and is corrected over the claims (Holm); a p beside
another effect is that effect's own. The least effect is the true one that this design would find four times in five.
Native prompts: each arm asked in its own shape of training. Beyond in domain: the effect minus that in domain."""


class Table(NamedTuple):
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def only(self, *columns: str) -> Table:
        """With these columns."""
        places = [self.header.index(name) for name in columns]
        return Table(self.title, columns, [[row[place] for place in places] for row in self.rows])


def claims_table(results: StudyResults) -> Table:
    """One line a contrast: the effect, what it was by native prompting, its p after Holm, and the verdict."""
    header = ("claim", "contrast", "questions", "effect", *BESIDE, "p (Holm)", "least effect", "verdict")
    rows = [row for number, each in enumerate(results.claims, start=1) for row in _claim_rows(number, each)]
    return Table("Claims", header, rows)


def comparison_table(results: StudyResults, brief: bool = False) -> Table:
    """The paper's table: each arm at home and on all that is unseen, with and without reasoning prompting.

    `brief`: arms by name, without intervals.
    """
    study, metric = results.study, results.study.metrics[0]
    cells = [cell for cell in study.roles if cell.name in ("in-domain", "unseen")]
    header = ("arm", *(f"{cell.name.replace('-', ' ')}, {cell.shape}" for cell in cells))
    rows = [
        (
            arm if brief else f"{study.arms[arm].title} ({arm})",
            *(level(found[cell].get(metric), interval=not brief) for cell in cells),
        )
        for arm, found in results.roles.items()
    ]
    return Table(f"{metric.capitalize()} in domain and on unseen data, by prompting at inference", header, rows)


def variants_table(results: StudyResults) -> Table:
    """What each arm scores that is like another, minus what that one scores, in points."""
    study, metric = results.study, results.study.metrics[0]
    cells = [cell for cell in study.roles if cell.name in ("in-domain", "unseen")]
    header = ("contrast", *(f"{cell.name.replace('-', ' ')}, {cell.shape}" for cell in cells))
    rows = [
        (f"{arm} - {study.arms[arm].like}", *(difference(found[cell].get(metric)) for cell in cells))
        for arm, found in results.variants.items()
    ]
    return Table(f"Variants: {metric} minus that of the arm they are like, not fixed before the run", header, rows)


def metric_table(results: StudyResults, metric: str, shape: str) -> Table:
    """A metric by arm and set, in per cent, under one prompting at inference."""
    study = results.study
    header = ("arm", *(each.title for each in study.sets.values()))
    rows = []
    for arm, cells in results.table.items():
        found = [cells[Cell(name, shape)].get(metric) for name in study.sets]  # type: ignore[arg-type]
        if any(found):
            rows.append((study.arms[arm].title, *(level(each) for each in found)))
    return Table(f"{metric}, prompting: {shape}", header, rows)


def costs_table(results: StudyResults) -> Table:
    """What training took, the mean over seeds."""
    rows = []
    for arm, costs in results.costs.items():
        if costs:
            rows.append((results.study.arms[arm].title, *(_cost(name, fmean(costs[name])) for name in COSTS)))
    return Table("Costs of training", ("arm", *COSTS.values()), rows)


def search_table(study: Study, folder: Path) -> Table:
    """What the search tried for each arm, in per cent, and what it took."""
    assert study.search is not None
    arms = read_json(folder / SEARCH)["arms"]
    values = [f"{value:g}" for value in study.search.values]
    rows = [
        (study.arms[arm].title, *(f"{100 * found['means'][v]:.1f}" for v in values), f"{found['chosen']:g}")
        for arm, found in arms.items()
    ]
    title = f"Search: {study.validation.metric} on validation data by {study.search.key}"
    return Table(f"{title}, {len(study.search.seeds)} seeds", ("arm", *values, "taken"), rows)


def stops_table(results: StudyResults) -> Table:
    """The steps at which arms were stopped early."""
    rows = [(results.study.arms[arm].title, ", ".join(map(str, steps))) for arm, steps in results.stops.items()]
    return Table("Early stops, by seed", ("arm", "best step on validation data"), rows)


def all_tables(results: StudyResults) -> Iterator[Table]:
    """Those of the page, in its order."""
    yield claims_table(results)
    yield comparison_table(results)
    if results.variants:
        yield variants_table(results)
    for metric in results.study.metrics:
        for shape in results.study.shapes:
            table = metric_table(results, metric, shape)
            if table.rows:
                yield table
    yield costs_table(results)
    if results.study.search:
        yield search_table(results.study, results.folder)
    if results.stops:
        yield stops_table(results)


def study_page(results: StudyResults) -> str:
    """The results as Markdown."""
    study = results.study
    parts = [f"# Results: {study.name}", f"{verdicts(results)} {how(results)}", READING]
    parts += [
        "\n".join(
            f"{n}. {each.claim.says}. {fixed(each.claim, study)}" for n, each in enumerate(results.claims, start=1)
        )
    ]
    parts += [markdown(table) for table in all_tables(results)]
    parts += [f"Skipped: {name} ({why})." for name, why in left_out(results).items()]
    return "\n\n".join(parts) + "\n"


def level(found: Effect | None, *, interval: bool = True) -> str:
    """A share in per cent with its interval over seeds and items: "66.1 [62.0, 70.2]"."""
    return "-" if found is None else f"{100 * found.mean:.1f}{_interval(found, '.1f') if interval else ''}"


def difference(found: Effect | None) -> str:
    """Points with their interval: "+5.5 [1.2, 9.8]"."""
    return "-" if found is None else f"{100 * found.mean:+.1f}{_interval(found, '.1f')}"


def verdicts(results: StudyResults) -> str:
    """How the claims fared, in a sentence: "Of 5 claims: 2 supported, 3 undecided."."""
    found = [each.verdict for each in results.claims]
    counts = [f"{found.count(verdict)} {verdict}" for verdict in _VERDICTS if verdict in found]
    return f"Of {len(found)} claims: {', '.join(counts)}." if found else "No claim was put to the test."


def gain(found: Effect, claim: Claim) -> str:
    """An effect in points, or in per cent where it is relative: "+5.5 [1.2, 9.8]"; of a cost how many times as much."""
    if claim.of_cost:
        limits = (
            f" [{1 - found.high:.2f}, {1 - found.low:.2f}]" if found.low is not None and found.high is not None else ""
        )
        return f"{1 - found.mean:.2f}{limits} times"
    unit = " %" if claim.measure == "relative" else ""
    return f"{difference(found)}{unit}"


def with_p(found: Effect, claim: Claim) -> str:
    """An effect that is no claim: its p is its own, corrected for nothing."""
    return gain(found, claim) + (f", p {found.p:.3f}" if found.p is not None else "")


def least(found: Effect, claim: Claim) -> str:
    """The least true effect that the design would find, in the unit of the effect."""
    if found.smallest is None:
        return ""
    return f"{1 + found.smallest:.2f} times" if claim.of_cost else f"{100 * found.smallest:.1f}"


def _interval(found: Effect, form: str) -> str:
    if found.low is None or found.high is None:
        return ""
    return f" [{100 * found.low:{form}}, {100 * found.high:{form}}]"


def _claim_rows(number: int, result: ClaimResult) -> Iterator[tuple[str, ...]]:
    claim = result.claim
    if not result.effects:
        yield (str(number), result.why_not, "", "", "", "", "", "", result.verdict)
    for place, found in enumerate(result.effects):
        first = place == 0
        beside = [with_p(each[place], claim) if each else "" for each in (result.native, result.beyond)]
        yield (
            str(number) if first else "",
            contrast_words(claim.contrasts[place]),
            "" if claim.of_cost else f"{found.n:,}",
            gain(found, claim),
            *beside,
            f"{result.holm:.3f}" if first and result.holm is not None else "",
            least(found, claim),
            result.verdict if first else found.verdict,
        )


def contrast_words(contrast: Contrast) -> str:
    """ "rarl - rl", with the prompting where that is what differs."""
    if contrast.shape == contrast.against_shape:
        return f"{contrast.arm} - {contrast.against}"
    return f"{contrast.arm} {contrast.shape} - {contrast.against} {contrast.against_shape}"


def fixed(claim: Claim, study: Study) -> str:
    """What was fixed before the run, in words, and which of it was not there to be asked."""
    if claim.of_cost:
        return f"Fixed before: {COSTS[claim.endpoint]}; supported where they are fewer."
    tasks = f" on {', '.join(claim.tasks)}" if claim.tasks else ""
    unit = "relative to the comparator" if claim.measure == "relative" else "in points"
    missing = [name for name in claim.sets if name not in study.sets]
    there = f" Not there: {', '.join(missing)}." if missing else ""
    return f"Fixed before: {claim.endpoint}{tasks} on {', '.join(claim.sets)}, {unit}.{there}"


def left_out(results: StudyResults) -> dict[str, str]:
    """Arms by title and sets by name that the study goes without, and why."""
    arms = {results.study.arms[arm].title: why for arm, why in results.skipped.items()}
    return arms | {f"the set {name}": why for name, why in results.absent.items()}


def how(results: StudyResults) -> str:
    """With what it was made, on how many questions, and how long it took."""
    study, made_with, sessions = results.study, environment(results.folder), read_sessions(results.folder)
    packages = ", ".join(f"{name} {made_with['packages'].get(name)}" for name in ("torch", "transformers", "peft"))
    minutes = round(sum(row["seconds"] for row in sessions) / 60)
    cells = [each for cells in results.table.values() for cell in cells.values() for each in cell.values()]
    n = max((each.n for each in cells), default=0) // len(study.seeds)
    made = f"Made with Python {made_with['python']}, {packages} on {made_with['cpus']} cores of {made_with['cpu']}"
    return (
        f"Written by `{' '.join(made_with['command'])}` (digest `{study.digest()}`): "
        f"{len(study.seeds)} seeds, {n:,} questions a seed and set. {made}; wall time {minutes} "
        f"minute{'s' * (minutes != 1)}{f' in {len(sessions)} calls' if len(sessions) > 1 else ''}."
    )


def environment(folder: Path) -> dict[str, Any]:
    """With what a study was made. Errors: RunFolderError."""
    path = folder / ENVIRONMENT
    found = read_json(path)
    lacking = [name for name in ("command", "python", "packages", "cpus", "cpu") if name not in found]
    if lacking or not isinstance(found["packages"], dict) or not isinstance(found["command"], list):
        raise RunFolderError(f"{path} was damaged; remove it, and it is written anew with what is here now")
    return found


def read_sessions(folder: Path) -> list[dict[str, Any]]:
    """How many jobs each call has done in how many seconds. Errors: RunFolderError."""
    rows = list(read_rows(folder / SESSIONS))
    for row in rows:
        require_numbers(folder / SESSIONS, row, ("jobs", "seconds"))
    return rows


def _cost(name: str, value: float) -> str:
    unit, form = UNITS.get(name, (1.0, "{:,.0f}"))
    return form.format(value / unit)


def markdown(table: Table) -> str:
    lines: list[Sequence[Any]] = [table.header, ["---"] * len(table.header), *table.rows]
    return f"## {table.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)
