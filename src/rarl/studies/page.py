"""The page of a study: one HTML file with its claims, tables and the curves of all arms; it needs no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from rarl.environment import VERSION
from rarl.errors import RunFolderError
from rarl.reporting.charts import domain, intervals, scale
from rarl.reporting.curves import learning_curves
from rarl.reporting.page import assets, templates
from rarl.runlog import RunFolder
from rarl.studies.design import Claim, Study
from rarl.studies.effects import Effect
from rarl.studies.jobs import Job
from rarl.studies.results import ClaimResult, StudyResults
from rarl.studies.tables import (
    READING,
    all_tables,
    contrast_words,
    environment,
    fixed,
    gain,
    how,
    least,
    left_out,
    verdicts,
    with_p,
)
from rarl.types import Estimate


@dataclass(frozen=True, slots=True)
class Line:
    """One contrast of a claim, in words and as a picture with its scale."""

    label: str
    effect: str
    beside: Mapping[str, str]  # further effects by what they are
    scale: str
    svg: str


@dataclass(frozen=True, slots=True)
class Card:
    """A claim with what came of it."""

    says: str
    fixed: str
    verdict: str
    p: str
    why_not: str
    lines: tuple[Line, ...]


def study_html(results: StudyResults) -> str:
    """The whole page."""
    claims, *tables = all_tables(results)
    return str(
        templates("rarl.studies")
        .get_template("study.html.jinja")
        .render(
            **assets(),
            study=results.study,
            verdicts=verdicts(results),
            cards=[_card(each, results.study) for each in results.claims],
            claims=claims,
            tables=tables,
            curves={group: learning_curves(logged) for group, logged in _logged(results).items()},
            skipped=list(left_out(results).items()),
            how=how(results).replace("`", ""),
            reading=READING,
            toml=results.study.to_toml(),
            packages=environment(results.folder)["packages"],
            version=VERSION,
        )
    )


def _card(result: ClaimResult, study: Study) -> Card:
    claim = result.claim
    return Card(
        claim.says,
        fixed(claim, study),
        result.verdict,
        f"p = {result.holm:.3f} after Holm" if result.holm is not None else "",
        result.why_not,
        tuple(_lines(claim, result)),
    )


def _lines(claim: Claim, result: ClaimResult) -> Iterator[Line]:
    estimates = [_estimate(each) for each in result.effects]
    low, high = domain(estimates, start=(-0.1, 0.1))
    for place, found in enumerate(result.effects):
        others = {"by native prompts": result.native, "beyond in domain": result.beyond}
        beside = {name: with_p(each[place], claim) for name, each in others.items() if each}
        if found.smallest is not None:
            beside["least effect that could be found"] = least(found, claim)
        yield Line(
            contrast_words(claim.contrasts[place]),
            gain(found, claim),
            beside,
            scale(low, high, signed=True),
            intervals([(0, estimates[place])], low, high),
        )


def _estimate(found: Effect) -> Estimate:
    return Estimate(found.mean, found.low, found.high, found.n, 0, found.unscored)


def _logged(results: StudyResults) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """By group the metrics of each arm by step, the mean over seeds of what all of them logged."""
    logged: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for arm, costs in results.costs.items():
        if costs:
            folders = [Job(arm, seed).folder(results.folder) / "run" for seed in results.study.seeds]
            runs = [RunFolder.open(folder).metrics() for folder in folders]
            for folder, rows in zip(folders, runs, strict=True):
                if [row["step"] for row in rows] != [row["step"] for row in runs[0]]:
                    raise RunFolderError(f"{folder}/metrics.jsonl has other steps than {folders[0]}/metrics.jsonl")
            about = results.study.arms[arm]
            logged.setdefault(about.group, {})[about.title] = [_mean_row(rows) for rows in zip(*runs, strict=True)]
    return logged


def _mean_row(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One step's metrics over seeds; one that a seed lacks, or could not measure, is left out."""
    shared = set(rows[0]).intersection(*rows[1:])
    known = [name for name in rows[0] if name in shared and all(row[name] is not None for row in rows)]
    return {name: rows[0][name] if name == "step" else fmean(row[name] for row in rows) for name in known}
