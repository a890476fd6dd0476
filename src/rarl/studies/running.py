"""Running a study: its file is frozen, what is done is skipped, arms run side by side."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from time import perf_counter

from rarl.environment import describe_environment
from rarl.errors import ConfigError, RarlError, RunFolderError
from rarl.evaluating import load_split
from rarl.files import new_folder, write_json, write_text
from rarl.locking import alone
from rarl.policy.loading import pick_device
from rarl.registry import nearest
from rarl.stopping import stoppable
from rarl.studies.design import Cell, Claim, Study, load_study
from rarl.studies.frozen import require_frozen
from rarl.studies.jobs import Job, Work
from rarl.studies.page import study_html
from rarl.studies.processes import run_all
from rarl.studies.results import FROZEN, StudyResults, read_study
from rarl.studies.searching import chosen, trials
from rarl.studies.tables import ENVIRONMENT, SESSIONS, read_sessions, study_page

PAGE, HTML = "results.md", "results.html"


def run_study(path: str | Path, *, out: Path | None = None, workers: int | None = None) -> StudyResults:
    """Run what is missing of the study in `path` and gather its results in `out`, by default runs/<its name>.

    `workers` arms run at once, by default one a core for the embedded model and one for any other, in processes that
    import the calling script: there the call must stand under `if __name__ == "__main__":`. Errors: RarlError; what was
    finished before stays.
    """
    study = load_study(path)
    require_frozen(study)
    out = out or Path("runs") / study.name
    skipped, absent = skipped_arms(study), absent_sets(study)
    _freeze(study, out)
    study = study.without(absent)
    workers = workers or _workers(study)
    with stoppable(f"go on with rarl study {path} --out {out}"), alone(out):
        if not (out / ENVIRONMENT).is_file():
            write_json(out / ENVIRONMENT, describe_environment())
        session = _Session(out)
        tried = trials(study, skipped)
        session.time(run_all(tried, study, out, workers, "search"))
        found = study.with_found(chosen(study, out, tried))
        jobs = [Job(arm, seed) for seed in study.seeds for arm in study.arms if arm not in skipped]
        session.time(run_all(jobs, found, out, workers, "study"))
        results = read_study(study, out, skipped, absent)
        write_text(out / PAGE, study_page(results))
        write_text(out / HTML, study_html(results))
    return results


def skipped_arms(study: Study) -> dict[str, str]:
    """Arms that can't be trained on this data, and why."""
    skipped = {}
    for name, arm in study.arms.items():
        if arm.trained and arm.needs:
            config = study.config(name, study.seeds[0])
            examples = load_split(config, config.data.split, config.data.limit)
            lacking = sum(not getattr(example, arm.needs) for example in examples)
            if lacking:
                skipped[name] = f"{lacking} of {len(examples)} training examples have no {arm.needs}"
    return skipped


def absent_sets(study: Study) -> dict[str, str]:
    """Optional sets that can't be loaded, and why.

    Errors: what is wrong with a set that is not optional; ConfigError for a claim's task that no question has.
    """
    absent: dict[str, str] = {}
    tasks: dict[str, set[str | None]] = {}
    read_whole = {name for claim in study.claims if claim.tasks for name in claim.sets}
    for name, found in study.sets.items():
        config = study.evaluation(next(iter(study.arms)), study.seeds[0], Cell(name, study.shapes[0]), "")
        try:
            questions = load_split(config, config.data.split, None if name in read_whole else 1)
        except RarlError as error:
            if not found.optional:
                raise type(error)(f"set {name}: {error}") from None
            absent[name] = str(error)
        else:
            tasks[name] = {question.task for question in questions}
    for number, claim in enumerate(study.claims, start=1):
        _require_tasks(f"claim {number}", claim, set().union(*(tasks.get(name, ()) for name in claim.sets)))
    return absent


def _require_tasks(where: str, claim: Claim, known: set[str | None]) -> None:
    names = sorted(name for name in known if name)
    for task in claim.tasks if known else ():
        if task not in known:
            there = f"they have {', '.join(names)}" if names else "they name none"
            raise ConfigError(
                f"{where}: no question of {', '.join(claim.sets)} has the task {task!r}{nearest(task, names)} ({there})"
            )


class _Session:
    """How long this call has worked, in a row beside those of the calls before; a kill loses what is under way."""

    def __init__(self, out: Path) -> None:
        self._file, self._start, self._jobs = out / SESSIONS, perf_counter(), 0
        self._before = read_sessions(out)

    def time(self, running: Generator[Work]) -> None:
        """Count each as it is done."""
        with closing(running) as done:
            for _ in done:
                self._jobs += 1
                row = {"jobs": self._jobs, "seconds": perf_counter() - self._start}
                write_text(self._file, "".join(f"{json.dumps(each)}\n" for each in (*self._before, row)))


def _freeze(study: Study, out: Path) -> None:
    """The study's file as it is when the first step is taken. Errors: RunFolderError where `out` holds another."""
    frozen = out / FROZEN
    if frozen.is_file():
        if load_study(frozen).digest() != study.digest():
            raise RunFolderError(
                f"{out} holds a study with other settings (its {FROZEN}); a study is fixed before its first step: "
                "choose another --out, or go on with that file"
            )
        return
    new_folder(out)
    write_text(frozen, study.to_toml())


def _workers(study: Study) -> int:
    """Arms at once: the embedded model computes on one core, any other on all of the machine."""
    bases = {study.config(arm, study.seeds[0]).model for arm in study.arms}
    tiny = all(model.base == "tiny" and pick_device(model.device).type == "cpu" for model in bases)
    return (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) if tiny else 1
