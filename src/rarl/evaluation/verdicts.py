"""A judge's verdicts on an evaluation's records: kept as they come, and put into the records at the end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rarl.evaluation import records as store
from rarl.evaluation.protocols import AXES
from rarl.judges import query_about
from rarl.progress import progress
from rarl.rewards.judging import AskedJudge
from rarl.runlog import read_json, read_rows, write_json
from rarl.types import EvalRecord, Example, Judge, JudgeQuery, Verdict

JUDGE, VERDICTS = "judge.json", "verdicts.jsonl"
NOBODY = "nobody"  # what there is nothing of is 0 by rule; no judge is asked about it
QUERIES = 64  # a call; a judge answers several at a time

Place = tuple[str, str]  # a record's id and the axis


def judged(
    records: Sequence[EvalRecord],
    examples: Iterable[Example],
    folder: Path,
    judge: Judge,
    about: Mapping[str, Any] | None = None,
    axes: Sequence[str] = AXES,
) -> list[EvalRecord]:
    """The records with the judge's verdicts on these axes, as their folder then has them.

    `about` is what decides verdicts, say model and rubrics; where it is not the same, RunFolderError. What could not be
    scored, now or in an earlier call, is asked again by the next call, and only that.
    """
    known = _resume(records, folder, json.loads(json.dumps(about or {})))
    by_id = {example.id: example for example in examples}
    queries = [query for record in records for query in _queries(record, by_id[record.id], axes)]
    waiting = [query for query in queries if (verdict := known.get(_place(query))) is None or verdict.value is None]
    asked = AskedJudge(judge, count=lambda failed: None)
    batches = (waiting[i : i + QUERIES] for i in range(0, len(waiting), QUERIES))
    for batch in progress(batches, "judging", total=len(waiting), units=len):
        found = dict(zip(map(_place, batch), _verdicts(batch, asked), strict=True))
        store.append_rows(folder / VERDICTS, ({"id": item, **asdict(found[item, axis])} for item, axis in found))
        known.update(found)
    result = [replace(r, verdicts={a: known[r.id, a] for a in AXES if (r.id, a) in known}) for r in records]
    if waiting or (folder / VERDICTS).exists():
        store.rewrite(folder, result)
        (folder / VERDICTS).unlink(missing_ok=True)
    return result


def _resume(records: Sequence[EvalRecord], folder: Path, about: Mapping[str, Any]) -> dict[Place, Verdict]:
    """The verdicts that this judge has given already: those in the records, and those that a kill left beside them."""
    if not (folder / JUDGE).is_file():
        (folder / VERDICTS).unlink(missing_ok=True)
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


def _queries(record: EvalRecord, example: Example, axes: Sequence[str]) -> Iterable[JudgeQuery]:
    """Correctness knows the gold answer and not the reasoning, explanation the reasoning and not the gold answer."""
    if "correctness" in axes:
        yield query_about(example, "correctness", answer=record.answer, reasoning=None)
    if "explanation" in axes and record.shape.reasons:
        yield query_about(example, "explanation", answer=record.answer, reasoning=record.reasoning)


def _verdicts(queries: Sequence[JudgeQuery], judge: AskedJudge) -> list[Verdict]:
    """One for each; the judge is not asked where there is nothing to judge."""
    asked = [query for query in queries if _subject(query)]
    told = iter(judge(asked) if asked else ())
    found = (next(told) if _subject(query) else _nothing(query) for query in queries)
    return [replace(verdict, axis=query.axis) for query, verdict in zip(queries, found, strict=True)]


def _subject(query: JudgeQuery) -> str | None:
    return query.answer if query.axis == "correctness" else query.reasoning


def _nothing(query: JudgeQuery) -> Verdict:
    what = "answer" if query.axis == "correctness" else "reasoning"
    return Verdict(0.0, query.axis, raw=f"there is no {what}", judge=NOBODY, rubric="")


def _place(query: JudgeQuery) -> Place:
    return query.id, query.axis
