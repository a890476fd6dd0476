"""What a report is about: the folders of runs and of evaluations, read back whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from rarl.config import RunConfig
from rarl.errors import RarlError, RunFolderError
from rarl.evaluation import Summary
from rarl.evaluation.comparison import folder_names
from rarl.evaluation.records import RECORDS
from rarl.evaluation.run import ENVIRONMENT
from rarl.files import read_json
from rarl.reporting.results import Result, read_evaluation, read_if_there, read_interim, read_results, result_of
from rarl.reporting.rollouts import Rollouts, read_rollouts
from rarl.runlog import RunFolder
from rarl.types import Estimate


@dataclass(frozen=True)
class Source:
    """A run, or evaluations alone, which have no `config` and nothing that training logs."""

    label: str
    path: Path
    config: RunConfig | None
    results: Sequence[Result]
    metrics: Sequence[Mapping[str, Any]] = ()
    timings: Sequence[Mapping[str, Any]] = ()
    firings: Sequence[Mapping[str, Any]] = ()  # of guards
    cut_short: Sequence[str] = ()  # evaluations in it that did not come to their end

    @property
    def steps(self) -> int:
        return self.metrics[-1]["step"] if self.metrics else 0

    @property
    def unfinished(self) -> str:
        """How far a run has come that is not at its end, and of evaluations which aren't; empty where all is done."""
        if self.config is None:
            names = ", ".join(self.cut_short)
            return f"{names} did not come to an end; the same rarl eval again goes on with it" if names else ""
        whole = self.config.train.steps
        if self.steps < whole:
            where = f"after step {self.steps:,} of {whole:,}" if self.steps else f"before the first of {whole:,} steps"
        elif self.config.eval.enabled and (not self.results or any(result.step is not None for result in self.results)):
            where = f"after all {whole:,} steps, before the end of the evaluation that follows them"
        else:
            return ""
        return f"still running, or stopped, {where}; rarl train --resume goes on with it"

    @cached_property
    def environment(self) -> dict[str, Any]:
        """What the run was made with, of evaluations the first that says it; empty where that is not known."""
        told = [read_if_there(self.path / ENVIRONMENT), *(result.after.environment for result in self.results)]
        return dict(next(filter(None, told), {}))

    @property
    def day(self) -> str:
        return str(self.environment.get("time", ""))[:10]

    @property
    def packages(self) -> dict[str, str]:
        """The versions that it was made with."""
        found = self.environment.get("packages")
        return {name: str(version) for name, version in found.items()} if isinstance(found, dict) else {}

    @cached_property
    def probe(self) -> dict[str, Any]:
        """Which known ways of gaming the rewards would pay; empty where nobody looked."""
        return read_if_there(self.path / "probe.json")

    @cached_property
    def rollouts(self) -> Rollouts:
        seed = self.config.run.seed if self.config else 0
        # A run that was stopped within its first step has completions before it has metrics.
        return read_rollouts(self.path / "rollouts.jsonl", max(self.steps, 1), seed)

    @cached_property
    def trained_with(self) -> RunConfig | None:
        """The run's configuration; of an evaluation that of the run whose adapter it took, if that is still there."""
        if self.config:
            return self.config
        adapters = {str(result.after.summary.settings.get("adapter") or "") for result in self.results}
        paths = [Path(adapter).parent / "config.toml" for adapter in adapters if adapter]
        try:
            return RunConfig.load(paths[0]) if len(paths) == 1 and paths[0].is_file() else None
        except RarlError:
            return None

    def between(self, result: Result, step: int, metric: str) -> Estimate | None:
        """What the evaluation after that step found, with its interval."""
        path = self.path / "eval" / f"step-{step:06d}" / result.folder / "summary.json"
        return Summary.from_json(read_json(path)).metrics.get(metric) if path.is_file() else None


def read_sources(paths: Sequence[str | Path]) -> list[Source]:
    """Each folder's content, named as the folder is. Errors: RunFolderError where one is neither run nor evaluation."""
    if not paths:
        raise RunFolderError("a report needs the folder of a run or of an evaluation")
    folders = [Path(path) for path in paths]
    return [_source(label, folder) for label, folder in zip(folder_names(folders), folders, strict=True)]


def _source(label: str, path: Path) -> Source:
    if (path / "config.toml").is_file():
        run = RunFolder.open(path)
        results = [*read_results(path), *read_interim(path)]
        return Source(label, path, run.config, results, run.metrics(), run.timings(), run.firings())
    alone = (path / RECORDS).is_file()
    places = [path] if alone else sorted(each.parent for each in path.glob(f"*/{RECORDS}"))
    if not places:
        raise RunFolderError(f"{path} is no run folder and holds no evaluation; give the folder of either")
    found = [(place, read_evaluation(place)) for place in places]
    results = [result_of(place.name, None, each) for place, each in found if each]
    if not results:
        raise RunFolderError(f"{path} holds no evaluation that came to its end; run the same rarl eval again")
    titles = Counter(result.title for result in results)
    results = [replace(each, way=each.folder) if titles[each.title] > 1 else each for each in results]
    return Source(label, path, None, results, cut_short=[place.name for place, each in found if each is None])
