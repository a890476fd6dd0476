"""A judge's verdicts on an evaluation's records: kept as they come, and put into the records at the end."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from threading import Lock
from typing import Any

from rarl.errors import JudgeError
from rarl.evaluation import records as store
from rarl.evaluation.protocols import AXES
from rarl.files import read_json, read_rows, write_json
from rarl.judges import Failure, MadeJudge, ask_each, failures, query_about
from rarl.terminal import progress
from rarl.types import EvalRecord, Example, JudgeQuery, Verdict

logger = logging.getLogger("rarl")

JUDGE, SENT = "judge.json", "sent.json"
QUERIES = 64  # a call; of one that answers several at a time, all are on disk as they come
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
    if waiting or (folder / store.VERDICTS).exists():
        store.rewrite(folder, result)
        (folder / store.VERDICTS).unlink(missing_ok=True)
    return result


def judge_record(records: Iterable[EvalRecord], folder: Path, warning: str | None) -> dict[str, Any]:
    """Who judged the records, what was sent where for it in all calls, and what is unscored; {} where nobody did."""
    if not (folder / SENT).is_file():
        return {}
    unscored = failures(verdict for record in records for verdict in record.verdicts.values())
    return read_json(folder / SENT) | {"unscored": unscored, "warning": warning}


def _resume(records: Sequence[EvalRecord], folder: Path, about: Mapping[str, Any]) -> dict[Place, Verdict]:
    """The verdicts that this judge has given already: those in the records, and those that a kill left beside them."""
    before = read_json(folder / JUDGE) if (folder / JUDGE).is_file() else None
    if before is None or (before.get("kind") == "rules" and before != about):  # what cost nothing isn't kept
        _forget(records, folder)
        write_json(folder / JUDGE, about)
        return {}
    remedy = f"choose another folder, or remove {JUDGE} in it to have its answers judged anew"
    store.require_same(before, about, f"{folder} was judged", remedy)
    known = {(record.id, axis): verdict for record in records for axis, verdict in record.verdicts.items()}
    if (folder / store.VERDICTS).is_file():
        store.drop_cut_row(folder / store.VERDICTS)
        for row in read_rows(folder / store.VERDICTS):
            item = row.pop("id")
            known[item, row["axis"]] = Verdict(**row)
    return known


def _forget(records: Sequence[EvalRecord], folder: Path) -> None:
    """Removes all that another judge said, before this one is named: a kill must not pass it off as this one's."""
    for name in (store.VERDICTS, SENT):
        (folder / name).unlink(missing_ok=True)
    if any(record.verdicts for record in records):
        store.rewrite(folder, (replace(record, verdicts={}) for record in records))


def _ask(waiting: Sequence[JudgeQuery], known: dict[Place, Verdict], folder: Path, judge: MadeJudge) -> None:
    """Puts a verdict on each into `known`, and on disk as they come."""
    traffic, warned = _Traffic(folder, judge), False
    for found in progress(_told(waiting, judge, traffic), "judging", total=len(waiting), units=len):
        store.append_rows(folder / store.VERDICTS, ({"id": item, **asdict(found[item, axis])} for item, axis in found))
        known.update(found)
        warned = warned or _warned_of(found)


class _Traffic:
    """What a judge was sent, on disk before it leaves: a kill forgets no request."""

    def __init__(self, folder: Path, judge: MadeJudge) -> None:
        self._path, self._judge = folder / SENT, judge
        self._before = read_json(self._path) if self._path.is_file() else {}
        self._start = judge.sent()
        self._lock = Lock()
        self._written: dict[str, Any] = {}
        self.note()

    def note(self) -> None:
        """The counts as they are now; those who come at the same time are written down together."""
        with self._lock:
            now = _added(self._before, self._start, self._judge.sent())
            if now != self._written:
                write_json(self._path, now)
                self._written = now


def _told(waiting: Sequence[JudgeQuery], judge: MadeJudge, traffic: _Traffic) -> Iterator[dict[Place, Verdict]]:
    """A verdict on each, as they come: what the judge says, or 0 where there is nothing to judge."""
    for start in range(0, len(waiting), QUERIES):
        batch = waiting[start : start + QUERIES]
        subjects = [query for query in batch if _subject(query)]
        if nothing := {_place(query): _signed(_nothing(query), query, judge) for query in batch if not _subject(query)}:
            yield nothing
        told: dict[Place, Verdict] = {}
        denied = False
        try:
            for some in ask_each(judge, subjects, traffic.note):
                found = {_place(subjects[i]): _signed(verdict, subjects[i], judge) for i, verdict in some.items()}
                told |= found
                yield found
        except JudgeError as error:  # it can't be asked at all
            denied = True
            left = [query for query in subjects if _place(query) not in told]
            found = _unasked(left, Verdict(None, "", str(error), "", "", Failure.DENIED), judge)
            told |= found
            yield found
        traffic.note()
        out = [verdict for verdict in told.values() if verdict.failure in _OUT]
        if out and (denied or len(out) == len(told) or judge.trouble()):
            last = replace(out[-1], raw=f"not asked, as the judge could not be had: {out[-1].raw}")
            yield _unasked(waiting[start + QUERIES :], last, judge)
            return


def _unasked(queries: Iterable[JudgeQuery], why: Verdict, judge: MadeJudge) -> dict[Place, Verdict]:
    return {_place(query): _signed(why if _subject(query) else _nothing(query), query, judge) for query in queries}


def _warned_of(found: Mapping[Place, Verdict]) -> bool:
    """Whether an answer has no verdict; the first such is told, the counts come at the end."""
    place, verdict = next(((place, each) for place, each in found.items() if each.value is None), (None, None))
    if place and verdict:
        why = " ".join(verdict.raw.split())[:200] or "no value"
        logger.warning("the judge left the %s of %s unscored: %s", place[1], place[0], why)
    return verdict is not None


def _queries(record: EvalRecord, example: Example, axes: Sequence[str]) -> Iterable[JudgeQuery]:
    """Correctness knows the gold answer and not the reasoning, explanation the reasoning and not the gold answer."""
    if "correctness" in axes:
        yield query_about(example, "correctness", answer=record.answer, reasoning=None)
    if "explanation" in axes and record.shape.reasons:
        yield query_about(example, "explanation", answer=record.answer, reasoning=record.reasoning)


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
