"""What a run's evaluations found, read back from its folder, and the rows of the headline table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from rarl.config import Control
from rarl.errors import RunFolderError
from rarl.evaluation import Summary, change, read_records
from rarl.evaluation.run import ENVIRONMENT, SUMMARY
from rarl.evaluation.summary import BASELINES as UNDER
from rarl.evaluation.verdicts import JUDGE
from rarl.files import read_json
from rarl.judges.rules import NAME as RULES
from rarl.reporting.words import words
from rarl.types import Estimate, EvalRecord

JUDGED = {"judge_correctness": "correctness", "judge_explanation": "explanation"}  # metrics and their axes

BLIND = (Control.SWAPPED, Control.BLANK, Control.QUESTION_ONLY)  # in the order of what they take away
# What an accuracy must be held against, by its name in summary.json.
BASELINES = ("majority_answer", *(UNDER[control] for control in BLIND))


REASONING = "Reasoning quality"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation: every record, and what they add up to."""

    records: Sequence[EvalRecord]
    summary: Summary
    judge: Mapping[str, Any] = field(default_factory=dict)  # who judged, and what was sent where for it
    environment: Mapping[str, Any] = field(default_factory=dict)  # what it was made with; {} within a run's folder


@dataclass(frozen=True, slots=True)
class Result:
    """One split of a data set, after training and, where that was evaluated, before; `folder` is its folder's name.

    Of an unfinished run `after` is the newest evaluation that there is, and `step` the step that it followed.
    """

    data: str
    split: str
    before: Evaluation | None
    after: Evaluation
    folder: str = ""
    step: int | None = None  # None: after the last; 0: before the first
    way: str = ""  # what tells it from another evaluation of the same questions
    _differences: dict[str, Estimate] = field(default_factory=dict, compare=False, repr=False)

    @property
    def judge(self) -> Mapping[str, Any]:
        return self.after.judge

    @property
    def saw_images(self) -> bool:
        """Whether the judge did."""
        return bool(self.judge.get("sees_images", self.judge.get("send_images")))

    @property
    def controlled(self) -> bool:
        """Whether the questions were asked without their own images."""
        return bool(self.after.summary.settings.get("control", Control.NONE.value) != Control.NONE.value)

    @property
    def title(self) -> str:
        """The set and split, the control that its questions were asked under, and when, if not at the end."""
        when = "" if self.step is None else f"step {self.step}" if self.step else "before training"
        return asked_of(self.after.summary) + "".join(f" ({each})" for each in (when, self.way) if each)

    def difference(self, metric: str) -> Estimate | None:
        """After minus before on the same questions, None without a before."""
        if self.before is None:
            return None
        if metric not in self._differences:  # 10,000 resamples are drawn for it
            seed = int(self.after.summary.settings.get("seed", 0))
            self._differences[metric] = change(self.before.records, self.after.records, metric, seed=seed)
        return self._differences[metric]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the headline table; None where there is nothing to show."""

    label: str
    before: Estimate | None
    after: Estimate | None
    difference: Estimate | None
    baseline: bool = False
    note: str = ""  # who judged


def read_results(run: Path) -> list[Result]:
    """The results in a run's folder, one a split that was evaluated to the end; none if evaluation was off."""
    results = []
    for folder in sorted((run / "eval").glob("*")):
        after = read_evaluation(folder)
        if after is not None:
            before = read_evaluation(run / "eval" / "before" / folder.name)
            results.append(result_of(folder.name, before, after))
    return results


def read_interim(run: Path) -> list[Result]:
    """Of each split that was not evaluated to the end after training, the newest evaluation in between, or before."""
    stages = {0: run / "eval" / "before"}
    steps = [path for path in (run / "eval").glob("step-*") if path.name[5:].isdecimal()]
    stages |= {int(path.name[5:]): path for path in steps}
    newest = {path.name: step for step in sorted(stages) for path in stages[step].glob("*") if _ended(path)}
    results = []
    for name, step in sorted(newest.items()):
        after = None if _ended(run / "eval" / name) else read_evaluation(stages[step] / name)
        if after:
            before = read_evaluation(stages[0] / name) if step else None
            results.append(replace(result_of(name, before, after), step=step))
    return results


def _ended(folder: Path) -> bool:
    return (folder / SUMMARY).is_file()


def result_of(folder: str, before: Evaluation | None, after: Evaluation) -> Result:
    settings = after.summary.settings
    return Result(PurePath(settings["data"]).name, settings["split"], before, after, folder)


def read_evaluation(folder: Path) -> Evaluation | None:
    """What an evaluation left in its folder; None where it did not come to its end."""
    path = folder / SUMMARY
    if not path.is_file():
        return None
    try:
        found = read_json(path)
        summary = Summary.from_json(found)
    except (AttributeError, KeyError, TypeError) as error:
        raise RunFolderError(f"{path} is damaged: it is no summary ({type(error).__name__}: {error})") from None
    judge = {**read_if_there(folder / JUDGE), **found.get("judge", {})}
    return Evaluation(read_records(folder), summary, judge, read_if_there(folder / ENVIRONMENT))


def read_if_there(path: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing where there is none."""
    return read_json(path) if path.is_file() else {}


def judges_of(result: Result, axis: str) -> list[str]:
    """The names of those who judged this axis; what was scored without asking bears no rubric."""
    verdicts = (record.verdicts.get(axis) for record in result.after.records)
    return sorted({verdict.judge for verdict in verdicts if verdict and verdict.rubric and verdict.judge})


def asked_of(summary: Summary) -> str:
    """The questions of an evaluation: "phantom, test", or "phantom, test, blank image" under a control."""
    settings = summary.settings
    control = settings.get("control", Control.NONE.value)
    under = "" if control == Control.NONE.value else f", {words('baseline', control)}"
    return f"{PurePath(settings['data']).name}, {settings['split']}{under}"


def by_rules(summary: Summary) -> bool:
    """Whether the judge was the rules, whose verdicts say what the grades do."""
    return (summary.settings.get("judge") or {}).get("kind") == "rules"


def other_protocols(summary: Summary) -> dict[str, Estimate]:
    """What others publish; the judge's only where that is a language model."""
    return {name: found for name, found in summary.protocols.items() if not (name in JUDGED and by_rules(summary))}


def headline(result: Result) -> list[Row]:
    """Accuracy and reasoning quality, then what the accuracy must be held against."""
    rows = [_row(result, "accuracy", "Accuracy")]
    if "reasoning" in result.after.summary.metrics:
        rows.append(_row(result, "reasoning", REASONING))
    judged = {metric: axis for metric, axis in JUDGED.items() if metric in result.after.summary.metrics}
    rows += [_judged_row(result, metric, axis) for metric, axis in judged.items()]
    for name in BASELINES:
        after = result.after.summary.baselines.get(name)
        before = result.before.summary.baselines.get(name) if result.before else None
        if after is not None:
            rows.append(Row(words("baseline", name).capitalize(), before, after, None, baseline=True))
    return rows


def percent(found: Estimate | None) -> str:
    """A share with its 95 % interval, in per cent: "54.1 [50.2, 58.0]"."""
    if found is None or found.mean is None:
        return "-"
    return f"{100 * found.mean:z.1f}{_interval(found)}"


def points(found: Estimate | None) -> str:
    """A difference of shares with its 95 % interval, in points: "+17.2 [13.0, 21.4]"."""
    if found is None or found.mean is None:
        return "-"
    return f"{100 * found.mean:+z.1f}{_interval(found)}"


def verdict(difference: Estimate | None) -> str:
    """better, worse, or neither where the interval holds 0 or there is none."""
    if difference is None or difference.low is None or difference.high is None:
        return ""
    return "better" if difference.low > 0 else "worse" if difference.high < 0 else ""


def _interval(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return ""
    return f" [{100 * found.low:z.1f}, {100 * found.high:z.1f}]"


def _row(result: Result, metric: str, label: str, note: str = "") -> Row:
    before = result.before.summary.metrics.get(metric) if result.before else None
    return Row(label, before, result.after.summary.metrics.get(metric), result.difference(metric), note=note)


def _judged_row(result: Result, metric: str, axis: str) -> Row:
    judges = judges_of(result, axis)
    if judges == [RULES]:
        return _row(result, metric, f"{axis.capitalize()} by rules", note="not a language model")
    return _row(result, metric, f"Judged {axis}", note=f"by {' and '.join(judges)}" if judges else "")
