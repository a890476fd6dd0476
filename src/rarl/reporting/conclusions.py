"""What a report says in words: the one sentence at its top, and what a reader must know before believing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rarl.config import JudgeSection
from rarl.evaluation import Comparison, values
from rarl.evaluation.comparison import Line
from rarl.evaluation.significance import compare_paired
from rarl.evaluation.statistics import FEW
from rarl.judges import same_judge_warning
from rarl.judges.rules import NAME as RULES
from rarl.reporting.results import BLIND, Result, judges_of, points, verdict
from rarl.reporting.sources import Source
from rarl.reporting.ways import marked, name_of, unusual
from rarl.reporting.words import words
from rarl.types import Estimate

WARNING, NOTE = "warning", "note"
_OF_DATA = {"phantom": "are drawn phantoms, not patients: nothing about them says how it does on real ones."}
_BLIND_JUDGE = (
    "The judge did not see the images: its scores of explanations measure how plausible they are, not whether the "
    "image shows what they say."
)
_TONES = {"better": "good", "worse": "bad", "": ""}


@dataclass(frozen=True, slots=True)
class Words:
    """Some words of a sentence and how they look: strong, good, bad, quiet or plain ("")."""

    text: str
    tone: str = ""


Sentence = Sequence[Words]


@dataclass(frozen=True, slots=True)
class Caveat:
    """`level` is WARNING where a number may be misread without it, else NOTE."""

    level: str
    text: str


def of_run(result: Result) -> Sentence:
    """Whether accuracy changed, from what to what, by how much, over how many questions."""
    after = result.after.summary.metrics.get("accuracy")
    before = result.before.summary.metrics.get("accuracy") if result.before else None
    difference = result.difference("accuracy")
    vote = {name: value for name, value in unusual(result.after.summary).items() if name == "samples"}
    on = f" on {marked(result.title, vote)}"  # the title has the control
    if after is None or after.mean is None:
        return [Words(f"No answer{on} could be scored.")]
    if before is None or before.mean is None or difference is None or difference.mean is None:
        return [Words("Accuracy"), Words(on, "quiet"), Words(" is "), Words(_share(after), "strong"), *_counted(after)]
    tone = verdict(difference)
    gain = Words(_signed(difference), _TONES[tone] or "strong")
    if tone:
        moved = "rose" if tone == "better" else "fell"
        first = [Words("Accuracy"), Words(on, "quiet"), Words(f" {moved} from {_share(before)} to ")]
        return [*first, Words(_share(after), "strong"), Words(": "), gain, *_counted(difference)]
    first = [Words("No significant change", "strong"), Words(" in accuracy"), Words(on, "quiet")]
    return [*first, Words(f": {_share(before)} before, {_share(after)} after, "), gain, *_counted(difference)]


def of_comparison(found: Comparison) -> list[Sentence]:
    """Each further run against the first, by accuracy on each data set that all have."""
    lines = [line for line in found.lines if line.metric == "accuracy"]
    first = {line.data: line for line in lines if line.paired is None}
    return [_against(first[line.data], line) for line in lines if line.paired]


@dataclass(frozen=True, slots=True)
class Tile:
    """One large number with what it is."""

    label: str
    value: str
    detail: str
    tone: str = ""


def tiles(sources: Sequence[Source]) -> dict[str, list[Tile]]:
    """Each result of a single run at a glance, by its title; nothing of several, whose comparison says it."""
    return {result.title: _tiles(result) for result in sources[0].results} if len(sources) == 1 else {}


def _tiles(result: Result) -> list[Tile]:
    summary = result.after.summary
    shown = {"accuracy": "Accuracy", "reasoning": "Reasoning quality", "judge_explanation": "Judged explanation"}
    asked = unusual(summary)
    found = [
        _tile(result, metric, marked(label, asked)) for metric, label in shown.items() if metric in summary.metrics
    ]
    control = next((each for each in BLIND if each in summary.image_worth), None)
    if control:
        worth = summary.image_worth[control]
        detail = f"against {words('against', control)}; {_bracket(worth)}"
        found.append(Tile("The image is worth", _signed(worth), detail, _TONES[verdict(worth)]))
    return found


def caveats(sources: Sequence[Source], comparison: Comparison | None) -> list[Caveat]:
    """What to know before believing the sentence above: warnings first."""
    found = [Caveat(WARNING, text) for text in _warnings(sources)]
    if len(sources) == 1:
        found += [Caveat(WARNING, text) for result in sources[0].results for text in _nothing_shown(result)]
    if comparison:
        notes = [note for note in comparison.notes if "clusters" not in note]  # these are said already
        found += [Caveat(WARNING, f"{note}.") for note in notes]
    found += [Caveat(NOTE, text) for text in _notes(sources)]
    return list(dict.fromkeys(found))


def same_judge(source: Source) -> str | None:
    """The warning that the judge of training is the one that evaluated: as the evaluation has it, else by settings."""
    config = source.trained_with
    for result in source.results:
        if "warning" in result.judge:
            found = result.judge["warning"]
        elif result.judge and config and config.run.method == "grpo":
            found = same_judge_warning(config.judge, JudgeSection.model_construct(**result.judge))
        else:
            found = None
        if found:
            return str(found)
    return None


def of_guards(firings: Sequence[Mapping[str, Any]]) -> str:
    """How often each guard fired, and what was done; empty where none did."""
    actions: dict[str, Counter[str]] = {}
    for row in firings:
        actions.setdefault(row["guard"], Counter())[row["action"]] += 1
    counts = (f"{guard} {done.total()} ({', '.join(done)})" for guard, done in actions.items())
    return f"Guards fired: {', '.join(counts)}; guards.jsonl says where." if actions else ""


def _warnings(sources: Sequence[Source]) -> Iterable[str]:
    for source in sources:
        who = f"{source.label}: " if len(sources) > 1 else ""
        if warning := same_judge(source):
            yield who + warning
        if fired := of_guards(source.firings):
            yield who + fired
        for result in source.results:
            metrics = result.after.summary.metrics
            if "accuracy" in metrics and 0 < (clusters := metrics["accuracy"].clusters) < FEW:
                yield f"Only {clusters} clusters (patients or images) in {result.title}: its intervals are unreliable."
            lost = [
                f"{found.unscored:,} of {found.n + found.unscored:,} in {metric.replace('_', ' ')}"
                for metric, found in metrics.items()
                if found.unscored
            ]
            if lost:
                yield f"{who}{' and '.join(lost)} could not be scored on {result.title}: left out, never counted as 0."


def _nothing_shown(result: Result) -> Iterable[str]:
    """Where there is less to the result than it looks."""
    summary, own = result.after.summary, result.after.summary.metrics.get("accuracy")
    constant = summary.baselines.get("majority_answer")
    if own and own.low is not None and constant and constant.mean is not None and own.low <= constant.mean:
        below = own.high is not None and own.high < constant.mean
        yield (
            f"On {result.title} always giving the commonest answer is right on {_share(constant)}: "
            f"this accuracy is {'below' if below else 'not clearly above'} it."
        )
    for control, worth in summary.image_worth.items():
        if worth.low is not None and worth.low <= 0:
            yield (
                f"On {result.title} the image is worth {points(worth)} points against {words('against', control)}: "
                "it is not shown that the model uses it."
            )
    if result.before and not verdict(result.difference("accuracy")):
        clusters = {record.id: record.cluster for record in (*result.before.records, *result.after.records)}
        before, after = (values(each.records, "accuracy") for each in (result.before, result.after))
        found = compare_paired(before, after, clusters, seed=0)
        if found.smallest is not None:
            yield (
                f"The interval on {result.title} holds 0. A true change of {100 * found.smallest:.1f} points would "
                "have been found four times in five; smaller ones are easily missed."
            )
        elif found.difference.clusters > 1:
            yield (
                f"Accuracy is as before in every cluster of {result.title}: as nothing varies, the interval says for "
                "how many others it could be otherwise."
            )


def _notes(sources: Sequence[Source]) -> Iterable[str]:
    seeds = {source.config.run.seed for source in sources if source.config}
    if seeds:
        whole = f"One training run, seed {min(seeds)}" if len(sources) == 1 else "One training run each"
        yield f"{whole}: intervals are about other questions of this kind, not about other seeds or models."
    results = [result for source in sources for result in source.results]
    titles = dict.fromkeys((result.data, f"{result.data}, {result.split}") for result in results)
    for name, what in _OF_DATA.items():
        if sets := [title for data, title in titles if data == name]:
            yield f"The images of {' and of '.join(sets)} {what}"
    judges = {
        judge for result in results for axis in ("correctness", "explanation") for judge in judges_of(result, axis)
    }
    if results and judges <= {RULES}:
        yield "Answers were graded by rules, not by a language model; no judge read the explanations."
    elif judges:
        saw = all(result.saw_images for result in results)
        yield "The judge saw the images." if saw else _BLIND_JUDGE


def _against(first: Line, line: Line) -> Sentence:
    if line.paired is None or line.paired.difference.mean is None:
        return [Words(f"{name_of(line)} and {name_of(first)} have no scored question in common.")]
    difference = line.paired.difference
    tone = verdict(difference)
    gain = Words(_signed(difference), _TONES[tone] or "strong")
    sides = Words(f": {_share(line.found)} against {_share(first.found)}, ")
    on = Words(f" on {line.data}", "quiet")
    if not tone:
        start = [
            Words("No significant difference", "strong"),
            Words(f" between {name_of(line)} and {name_of(first)}"),
            on,
        ]
    else:
        how = "more" if tone == "better" else "less"
        start = [Words(name_of(line), "strong"), Words(f" is {how} often right than {name_of(first)}"), on]
    corrected = f", p = {line.holm:.3f} (Holm)" if line.holm is not None and line.holm >= 0.001 else ""
    corrected = corrected or (", p < 0.001 (Holm)" if line.holm is not None else "")
    return [*start, sides, gain, *_counted(difference, corrected)]


def _tile(result: Result, metric: str, label: str) -> Tile:
    after, difference = result.after.summary.metrics[metric], result.difference(metric)
    if difference is None or result.before is None or metric not in result.before.summary.metrics:
        return Tile(label, _share(after), _bracket(after))
    detail = f"{_share(result.before.summary.metrics[metric])} before; {_signed(difference)} {_bracket(difference)}"
    return Tile(label, _share(after), detail, _TONES[verdict(difference)])


def _signed(found: Estimate) -> str:
    return "-" if found.mean is None else f"{100 * found.mean:+z.1f} points"


def _bracket(found: Estimate) -> str:
    return "" if found.low is None or found.high is None else f"[{100 * found.low:z.1f}, {100 * found.high:z.1f}]"


def _share(found: Estimate) -> str:
    return "-" if found.mean is None else f"{100 * found.mean:z.1f} %"


def _counted(found: Estimate, more: str = "") -> Sentence:
    interval = _bracket(found)
    return [Words(f"{interval and ' '}{interval}, n = {found.n:,}{more}.", "quiet")]
