"""A judge's verdicts on an evaluation's records: kept as they come, and put into the records at the end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rarl.evaluation import records as store
from rarl.evaluation.protocols import AXES
from rarl.judges import Failure, MadeJudge, failures, query_about
from rarl.rewards.judging import AskedJudge
from rarl.runlog import read_json, read_rows, write_json
from rarl.terminal import progress
from rarl.types import EvalRecord, Example, JudgeQuery, Verdict

JUDGE, SENT, VERDICTS = "judge.json", "sent.json", "verdicts.jsonl"
QUERIES = 64  # a call; a judge answers several at a time
_OUT = frozenset({Failure.OUTAGE, Failure.TIMEOUT, Failure.DENIED, Failure.BUDGET})

Place = tuple[str, str]  # a record's id and the axis


def judged(
    records: Sequence[EvalRecord],
    examples: Iterable[Example],
    folder: Path,
    judge: MadeJudge,
    about: Mapping[str, Any] | None = None,
) -> list[EvalRecord]:
    """The records with the judge's verdicts, as their folder then has them.

    `about` is what decides verdicts, say model and rubrics; where it is not the same, RunFolderError. What could not be
    scored, now or in an earlier call, is asked again by the next call, and only that. Where all of a call came to
    nothing because the judge can't be had, the rest is not asked.
    """
    known = _resume(records, folder, json.loads(json.dumps(about or {})))
    by_id = {example.id: example for example in examples}
    queries = [query for record in records for query in _queries(record, by_id[record.id], judge.axes)]
    waiting = [query for query in queries if (verdict := known.get(_place(query))) is None or verdict.value is None]
    _ask(waiting, known, folder, judge)
    result = [replace(r, verdicts={a: known[r.id, a] for a in AXES if (r.id, a) in known}) for r in records]
    if waiting or (folder / VERDICTS).exists():
        store.rewrite(folder, result)
        (folder / VERDICTS).unlink(missing_ok=True)
    return result


def judge_record(records: Iterable[EvalRecord], folder: Path, warning: str | None) -> dict[str, Any]:
    """Who judged the records, what was sent where for it in all calls, and what is unscored; {} where nobody did."""
    if not (folder / SENT).is_file():
        return {}
    unscored = failures(verdict for record in records for verdict in record.verdicts.values())
    return read_json(folder / SENT) | {"unscored": unscored, "warning": warning}


def _resume(records: Sequence[EvalRecord], folder: Path, about: Mapping[str, Any]) -> dict[Place, Verdict]:
    """The verdicts that this judge has given already: those in the records, and those that a kill left beside them."""
    if not (folder / JUDGE).is_file():
        for name in (VERDICTS, SENT):
            (folder / name).unlink(missing_ok=True)
        write_json(folder / JUDGE, about)
        return {}
    remedy = f"choose another folder, or remove {JUDGE} in it to have its answers judged anew"
    store.require_same(read_json(folder / JUDGE), about, f"{folder} was judged", remedy)
    known = {(record.id, axis): verdict for record in records for axis, verdict in record.verdicts.items()}
    if (folder / VERDICTS).is_file():
        store.drop_cut_row(folder / VERDICTS)
        for row in read_rows(folder / VERDICTS):
            item = row.pop("id")
            known[item, row["axis"]] = Verdict(**row)
    return known


def _ask(waiting: Sequence[JudgeQuery], known: dict[Place, Verdict], folder: Path, judge: MadeJudge) -> None:
    """Puts a verdict on each into `known`, and on disk after every call."""
    before = read_json(folder / SENT) if (folder / SENT).is_file() else {}
    start, asked = judge.sent(), AskedJudge(judge, count=lambda failed: None)
    write_json(folder / SENT, _added(before, start, start))
    batches = (waiting[i : i + QUERIES] for i in range(0, len(waiting), QUERIES))
    for batch in progress(batches, "judging", total=len(waiting), units=len):
        found = dict(zip(map(_place, batch), _verdicts(batch, asked, judge), strict=True))
        store.append_rows(folder / VERDICTS, ({"id": item, **asdict(found[item, axis])} for item, axis in found))
        write_json(folder / SENT, _added(before, start, judge.sent()))
        known.update(found)
        told = [found[_place(query)] for query in batch if _subject(query)]
        if told and all(verdict.failure in _OUT for verdict in told):
            why = f"not asked, as the judge could not be had: {told[-1].raw}"
            rest = [query for query in waiting if _place(query) not in known]
            known.update((_place(query), _signed(replace(told[-1], raw=why), query, judge)) for query in rest)
            return


def _queries(record: EvalRecord, example: Example, axes: Sequence[str]) -> Iterable[JudgeQuery]:
    """Correctness knows the gold answer and not the reasoning, explanation the reasoning and not the gold answer."""
    if "correctness" in axes:
        yield query_about(example, "correctness", answer=record.answer, reasoning=None)
    if "explanation" in axes and record.shape.reasons:
        yield query_about(example, "explanation", answer=record.answer, reasoning=record.reasoning)


def _verdicts(queries: Sequence[JudgeQuery], asked: AskedJudge, judge: MadeJudge) -> list[Verdict]:
    """One for each; the judge is not asked where there is nothing to judge, which is 0."""
    subjects = [query for query in queries if _subject(query)]
    told = iter(asked(subjects) if subjects else ())
    found = (next(told) if _subject(query) else _nothing(query) for query in queries)
    return [_signed(verdict, query, judge) for query, verdict in zip(queries, found, strict=True)]


def _signed(verdict: Verdict, query: JudgeQuery, judge: MadeJudge) -> Verdict:
    """With its axis, who was to say it, and by which rubric, also where nothing was said."""
    rubric = judge.sent()["rubrics"].get(query.axis, verdict.rubric)
    return replace(verdict, axis=query.axis, judge=verdict.judge or judge.name, rubric=rubric)


def _subject(query: JudgeQuery) -> str | None:
    return query.answer if query.axis == "correctness" else query.reasoning


def _nothing(query: JudgeQuery) -> Verdict:
    what = "answer" if query.axis == "correctness" else "reasoning"
    return Verdict(0.0, query.axis, f"no {what} was given: 0 unasked", judge="", rubric="")


def _place(query: JudgeQuery) -> Place:
    return query.id, query.axis


def _added(before: Mapping[str, Any], start: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """What was sent in earlier calls, and since the start of this one, in which other sets may have been judged."""
    return {name: _sum(before.get(name), start[name], value) for name, value in now.items()}


def _sum(before: Any, start: Any, now: Any) -> Any:
    """Of counts the sum, of lists all that is in one, of hosts both; of anything else what holds now."""
    if type(now) is int:
        return (before or 0) + now - start
    if isinstance(now, list):
        return sorted({*(before or ()), *now})
    if isinstance(now, str) and before and now not in before.split(", "):
        return f"{before}, {now}"
    return now
