"""The search before a study: one setting of every arm, with the same budget for each, on validation data alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from rarl.files import read_json, write_json
from rarl.studies.design import Study
from rarl.studies.jobs import TRIED, Trial

SEARCH = "search.json"


def trials(study: Study, skipped: Collection[str]) -> list[Trial]:
    """Every arm that is trained and no variant of another, with every value, under every seed of the search's."""
    if study.search is None:
        return []
    searched = [name for name, arm in study.arms.items() if arm.trained and not arm.like and name not in skipped]
    return [Trial(arm, seed, value) for seed in study.search.seeds for arm in searched for value in study.search.values]


def chosen(study: Study, out: Path, tried: Collection[Trial]) -> dict[str, float]:
    """The value of each arm with the highest mean over seeds, the first of equals; written to search.json too."""
    if study.search is None:
        return {}
    found = {arm: _means(out, arm, tried) for arm in dict.fromkeys(trial.arm for trial in tried)}
    best = {arm: max(means, key=means.__getitem__) for arm, means in found.items()}
    write_json(out / SEARCH, _record(study, found, best))
    return best


def _means(out: Path, arm: str, tried: Collection[Trial]) -> dict[float, float]:
    values = dict.fromkeys(trial.value for trial in tried if trial.arm == arm)
    return {
        value: fmean(
            read_json(trial.folder(out) / TRIED)["mean"] for trial in tried if (trial.arm, trial.value) == (arm, value)
        )
        for value in values
    }


def _record(study: Study, found: Mapping[str, Mapping[float, float]], best: Mapping[str, float]) -> dict[str, Any]:
    assert study.search is not None
    return {
        "key": study.search.key,
        "split": study.validation.split,
        "metric": study.validation.metric,
        "seeds": list(study.search.seeds),
        "arms": {
            arm: {"means": {f"{value:g}": mean for value, mean in means.items()}, "chosen": best[arm]}
            for arm, means in found.items()
        },
    }
