"""Two or more runs on the same questions: each beside the first, with what chance alone would explain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from rarl.config import Control
from rarl.environment import VERSION
from rarl.errors import RarlError, RunFolderError
from rarl.evaluation.protocols import ALL, values
from rarl.evaluation.records import RECORDS, SETTINGS, read_records
from rarl.evaluation.significance import Paired, compare_paired, holm
from rarl.evaluation.statistics import FEW, estimate
from rarl.evaluation.verdicts import JUDGE
from rarl.files import read_json
from rarl.grading import grade
from rarl.registry import nearest
from rarl.types import Estimate, EvalRecord, Grade

ASKED = {"control": Control.NONE.value, "shape": None, "samples": 1}  # what decides how questions are asked
COMPARED = ("accuracy", "relaxed", "reasoning", "judge_correctness", "judge_explanation")


@dataclass(frozen=True, slots=True)
class Line:
    """One run's metric on the questions of a set that all runs answered; `paired` is to the first run, which has none.

    `p` in `paired` is that of one comparison; `holm` is corrected for all comparisons of the metric. `asked` has of
    the settings ASKED those that are not the same in all runs, and a control in any case.
    """

    data: str
    metric: str
    run: str
    found: Estimate
    paired: Paired | None
    holm: float | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Lines by data set, metric and run, and in `notes` what was left out or is not to be relied on."""

    runs: tuple[str, ...]
    lines: tuple[Line, ...]
    unshared: Mapping[str, int]  # by data set: questions that not every run answered
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Side:
    """One run's evaluation of one data set; `seen`: its judge was shown the images; `asked`: all settings of ASKED."""

    run: str
    records: Mapping[str, EvalRecord]
    seen: bool = False
    seed: int = 0  # which drew its intervals
    asked: Mapping[str, Any] = field(default_factory=dict)


def compare(
    folders: Sequence[str | Path], *, metrics: Sequence[str] | None = None, seed: int | None = None
) -> Comparison:
    """Every run beside the first, on each data set and split that all have: folders of runs or of evaluations.

    `metrics` are names of docs/evaluation.md; by default those of COMPARED that apply in every run, and `seed`
    is the first run's own, so that intervals are those of its summary where all questions are shared. Errors:
    RunFolderError for fewer than two folders, one without an evaluation, none in common, or other questions.
    """
    if len(folders) < 2:
        raise RunFolderError("a comparison needs the folders of two runs or more")
    for name in metrics or ():
        if name not in ALL:
            raise RarlError(f"unknown metric {name!r}{nearest(name, ALL)} Known: {', '.join(ALL)}")
    paths = [Path(folder) for folder in folders]
    names = folder_names(paths)
    found = dict(zip(names, map(_evaluations, paths), strict=True))
    everywhere = list(dict.fromkeys(data for each in found.values() for data in each))
    shared = [data for data in everywhere if all(data in each for each in found.values())]
    if not shared:
        raise RunFolderError(f"{', '.join(names)} have no data set and split in common: nothing can be compared")
    notes = [f"{data} is left out: not every run has it" for data in everywhere if data not in shared]
    notes += _other_versions(dict(zip(names, paths, strict=True)))
    lines: list[Line] = []
    unshared = {}
    for data in shared:
        sides = [_side(name, each[data]) for name, each in found.items()]
        ids = _shared(data, sides)
        unshared[data] = len({item for side in sides for item in side.records}) - len(ids)
        notes += [note for side in sides if (note := _graded_otherwise(data, side))]
        notes += _asked_otherwise(data, sides)
        for metric in metrics or [each for each in COMPARED if not _by_rules(each, sides)]:
            if note := _other_judges(data, metric, sides) or _nowhere(data, metric, sides):
                notes.append(note)
            else:
                lines += _lines(data, metric, sides, ids, sides[0].seed if seed is None else seed)
        if len({sides[0].records[item].cluster for item in ids}) < FEW:
            notes.append(f"{data} has fewer than {FEW} clusters: its intervals are unreliable")
    return Comparison(tuple(names), tuple(_corrected(lines)), unshared, tuple(notes))


def folder_names(folders: Sequence[Path]) -> list[str]:
    """The folders' own names where these differ, else with as much of their paths as tells them apart.

    Errors: RunFolderError where a folder is given twice.
    """
    whole = [folder.resolve() for folder in folders]
    if twice := [folder for folder, count in Counter(whole).items() if count > 1]:
        raise RunFolderError(f"{twice[0]}: the same folder twice; give each once")
    for parts in range(1, max(len(each.parts) for each in whole) + 1):
        names = ["/".join(each.parts[-parts:]) for each in whole]
        if len(set(names)) == len(names):
            break
    return names


def _evaluations(folder: Path) -> dict[str, Path]:
    """By "set, split": the folder itself, those of a run after training, or those of one call on several sets."""
    for pattern in (RECORDS, f"eval/*/{RECORDS}", f"*/{RECORDS}"):
        if places := sorted(path.parent for path in folder.glob(pattern)):
            return {_title(read_json(place / SETTINGS), place): place for place in places}
    raise RunFolderError(f"{folder} holds no evaluation; give the folder of a run, or of rarl eval")


def _title(settings: Mapping[str, Any], place: Path) -> str:
    try:
        return f"{PurePath(settings['data']).name}, {settings['split']}"
    except (KeyError, TypeError):
        raise RunFolderError(f"{place / SETTINGS} is damaged: it names no data set and split") from None


def _side(run: str, folder: Path) -> _Side:
    judge = read_json(folder / JUDGE) if (folder / JUDGE).is_file() else {}
    records = {record.id: record for record in read_records(folder)}
    settings = read_json(folder / SETTINGS)
    asked = {name: settings.get(name, usual) for name, usual in ASKED.items()}
    return _Side(run, records, bool(judge.get("send_images")), int(settings.get("seed", 0)), asked)


def _shared(data: str, sides: Sequence[_Side]) -> list[str]:
    """The questions that every run answered. RunFolderError where there are none, or one id is of two questions."""
    first, *others = sides
    ids = [item for item in first.records if all(item in side.records for side in others)]
    if not ids:
        raise RunFolderError(f"{', '.join(side.run for side in sides)} have no question of {data} in common")
    for side in others:
        for item in ids:
            if _asked(side.records[item]) != _asked(first.records[item]):
                raise RunFolderError(
                    f"{first.run} and {side.run} were asked other questions of {data}: {item} is not the same in both; "
                    "evaluate both on the same files"
                )
    return ids


def _asked(record: EvalRecord) -> tuple[object, ...]:
    return record.question, record.gold, record.references, record.options, record.cluster


def _by_rules(metric: str, sides: Iterable[_Side]) -> bool:
    """Whether a judge's metric is the rules' own, which grades say already."""
    axis = metric.removeprefix("judge_")
    verdicts = [record.verdicts.get(axis) for side in sides for record in side.records.values()]
    return axis != metric and all(each is None or each.judge.startswith("rules") for each in verdicts)


def _other_judges(data: str, metric: str, sides: Iterable[_Side]) -> str | None:
    """That a judge's metric can't be compared: not the same judge, rubric, or images shown to it."""
    axis = metric.removeprefix("judge_")
    if axis == metric:
        return None
    verdicts = [(side.seen, record.verdicts.get(axis)) for side in sides for record in side.records.values()]
    judges = dict.fromkeys(
        f"{each.judge} ({each.rubric}{', shown the images' if seen else ''})"
        for seen, each in verdicts
        if each and each.rubric
    )
    return f"{_words(metric)} on {data} is left out: judged by {' and by '.join(judges)}" if len(judges) > 1 else None


def _nowhere(data: str, metric: str, sides: Sequence[_Side]) -> str | None:
    """That some of the runs have nothing for a metric which others have."""
    without = [side.run for side in sides if not values(side.records.values(), metric)]
    lacking = 0 < len(without) < len(sides)
    return f"{_words(metric)} on {data} is left out: {', '.join(without)} has none" if lacking else None


def _graded_otherwise(data: str, side: _Side) -> str | None:
    """That another version's rules graded a run's records, by what today's say of the same answers."""
    changed = sum(_today(record).correct != record.grade.correct for record in side.records.values())
    return (
        f"{changed:,} of {len(side.records):,} answers of {side.run} on {data} are graded otherwise by this version of "
        f"rarl ({VERSION}): its records are another version's; evaluate again before trusting a difference"
        if changed
        else None
    )


def _today(record: EvalRecord) -> Grade:
    said = record.answer or ""
    return grade(
        record.question,
        record.gold,
        said,
        kind=record.kind,
        options=record.options,
        references=record.references,
    )


def _varied(sides: Sequence[_Side]) -> list[str]:
    """The settings of ASKED that are not the same in all runs."""
    return [name for name in ASKED if any(side.asked[name] != sides[0].asked[name] for side in sides)]


def _asked_otherwise(data: str, sides: Sequence[_Side]) -> Iterable[str]:
    """That a difference is not of the models alone, for each setting that is the reason."""
    for name in _varied(sides):
        told = ", ".join(f"{side.run} with {side.asked[name] or 'one that is not known'}" for side in sides)
        yield f"{data} was not asked in the same way (eval.{name}: {told}): a difference is not of the models alone"


def _marks(side: _Side, sides: Sequence[_Side]) -> dict[str, Any]:
    """How this run was asked, as far as a reader of its line must know."""
    varied, found = _varied(sides), side.asked
    shown = {"control": found["control"] != ASKED["control"], **{name: name in varied for name in ("shape", "samples")}}
    return {name: found[name] for name in ASKED if shown[name] and found[name]}


def _other_versions(folders: Mapping[str, Path]) -> Iterable[str]:
    """That runs were made with different versions of rarl, as far as they say so."""
    files = ("environment.json", "*/environment.json")  # of a run or an evaluation, or of several in one folder
    paths = {run: [path for file in files for path in sorted(folder.glob(file))] for run, folder in folders.items()}
    found = {run: read_json(path[0]).get("packages") for run, path in paths.items() if path}
    versions = {run: packages["rarl"] for run, packages in found.items() if packages and "rarl" in packages}
    if len(set(versions.values())) > 1:
        told = ", ".join(f"{run} with {version}" for run, version in versions.items())
        yield f"the runs were made with different versions of rarl ({told}): their scores may not mean the same"


def _words(metric: str) -> str:
    return metric.replace("_", " ")


def _lines(data: str, metric: str, sides: Sequence[_Side], ids: Sequence[str], seed: int) -> list[Line]:
    """None where the metric applies to no shared question of one of the runs."""
    clusters = {item: sides[0].records[item].cluster for item in ids}
    known = [values((side.records[item] for item in ids), metric) for side in sides]
    if not all(known):
        return []
    return [
        Line(
            data,
            metric,
            side.run,
            estimate(list(own.values()), [clusters[item] for item in own], seed=seed),
            compare_paired(known[0], own, clusters, seed=seed) if place else None,
            asked=_marks(side, sides),
        )
        for place, (side, own) in enumerate(zip(sides, known, strict=True))
    ]


def _corrected(lines: Sequence[Line]) -> list[Line]:
    """With Holm's correction over the comparisons of one metric, on whatever data set and of whatever run."""
    corrected = list(lines)
    for metric in dict.fromkeys(line.metric for line in lines):
        places = [place for place, line in enumerate(lines) if line.metric == metric and line.paired]
        p_values = [paired.p for place in places if (paired := lines[place].paired)]
        for place, p in zip(places, holm(p_values), strict=True):
            corrected[place] = replace(lines[place], holm=p)
    return corrected
