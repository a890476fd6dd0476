"""What is measured on a record, by name: ours, and side by side what others publish under their protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from statistics import fmean

from rarl.evaluation.likeness import bare_words, exact, token_scores
from rarl.grading.kinds import CLOSED, polarity
from rarl.prompting import parse
from rarl.types import EvalRecord, Finish, QuestionKind

Value = list[float | None]  # the value alone, None if it could not be scored; empty where the measure doesn't apply

QUALITY = ("grounding", "consistency", "substance")  # the parts whose mean is the reasoning quality
AXES = ("correctness", "explanation")  # what a judge is asked about


def _strict(record: EvalRecord) -> Value:
    return [float(record.grade.correct)]


def _score(record: EvalRecord) -> Value:
    return [record.grade.score]


def _reasoning(record: EvalRecord) -> Value:
    parts = [record.parts[name] for name in QUALITY if name in record.parts]
    scored = [part for part in parts if part is not None]
    return [fmean(scored) if len(scored) == len(parts) else None] if parts else []


def _part(name: str, record: EvalRecord) -> Value:
    return [record.parts[name]] if name in record.parts else []


def _parse_failures(record: EvalRecord) -> Value:
    return [fmean(not parse(text, record.shape).answer for text in record.completions)]


def _cut_off(record: EvalRecord) -> Value:
    return [fmean(finish is Finish.LENGTH for finish in record.finishes)]


def _judged(axis: str, record: EvalRecord) -> Value:
    return [record.verdicts[axis].value] if axis in record.verdicts else []


def _relaxed(record: EvalRecord) -> Value:
    return [] if record.grade.relaxed is None else [record.grade.relaxed]


def _closed_yesno(record: EvalRecord) -> Value:
    if record.kind is not QuestionKind.YESNO:
        return []
    said = {"yes", "no"}.intersection(bare_words(record.answer or ""))
    return [float(said == {"yes" if polarity(record.gold) else "no"})]


def _golds(record: EvalRecord) -> tuple[str, ...]:
    """All that is right: of each measure, the best over them counts."""
    return (record.gold, *record.references)


def _exact(record: EvalRecord) -> Value:
    return [max(exact(gold, record.answer or "") for gold in _golds(record))]


def _exact_closed(record: EvalRecord) -> Value:
    return _exact(record) if record.kind in CLOSED else []


def _exact_open(record: EvalRecord) -> Value:
    return [] if record.kind in CLOSED else _exact(record)


def _token_f1(record: EvalRecord) -> Value:
    return [max(token_scores(gold, record.answer or "")[0] for gold in _golds(record))]


def _open_recall(record: EvalRecord) -> Value:
    if record.kind in CLOSED:
        return []
    return [max(token_scores(gold, record.answer or "")[1] for gold in _golds(record))]


def _likeness(name: str, record: EvalRecord) -> Value:
    return [record.likeness[name]] if name in record.likeness else []


Metric = Callable[[EvalRecord], Value]
METRICS: Mapping[str, Metric] = {
    "accuracy": _strict,
    "score": _score,
    "reasoning": _reasoning,
    **{name: partial(_part, name) for name in ("format", *QUALITY)},
    "parse_failures": _parse_failures,
    "cut_off": _cut_off,
    **{f"judge_{axis}": partial(_judged, axis) for axis in AXES},
}
PROTOCOLS: Mapping[str, Metric] = {
    "strict": _strict,
    "relaxed": _relaxed,
    "closed_yesno": _closed_yesno,
    "exact_match": _exact,
    "exact_match_closed": _exact_closed,
    "exact_match_open": _exact_open,
    "token_f1": _token_f1,
    "open_recall": _open_recall,
    "rouge_l": partial(_likeness, "rouge_l"),
    "bertscore": partial(_likeness, "bertscore"),
    "judge_correctness": partial(_judged, "correctness"),
}
ALL: Mapping[str, Metric] = {**METRICS, **PROTOCOLS}


def values(records: Iterable[EvalRecord], name: str) -> dict[str, float | None]:
    """A metric or protocol by id, only of the records that it applies to; None where it could not be scored.

    docs/evaluation.md says what each is; a name that is not there is the reward part of that name.
    """
    metric = ALL.get(name) or partial(_part, name)
    found = ((record.id, metric(record)) for record in records)
    return {item: value[0] for item, value in found if value}
