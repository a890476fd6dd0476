"""A language model as a judge: rubric and query become a sheet, the reply a verdict; what was paid for is kept."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rarl.errors import DataError
from rarl.judges.cache import VerdictCache
from rarl.judges.failures import Failure, failures
from rarl.judges.replies import Reply, UnreadableError, read_reply
from rarl.judges.rubrics import BEST, Rubric, rubrics
from rarl.judges.sheets import Sheet, neutral, sheet
from rarl.terminal import progress
from rarl.types import JudgeQuery, Verdict

_SHOWN = 500  # characters of an unreadable reply that are kept


class Transport(Protocol):
    """What carries sheets to a model and its replies back."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that decides a reply beside the sheet, for the cache: which model, drawn how."""

    def ask(self, sheets: Sequence[Sheet]) -> Iterator[tuple[int, Reply]]:
        """A reply for each sheet, with the sheet's index, as they come. Raises only where nobody can be asked."""

    def sent(self) -> Mapping[str, Any]:
        """What was sent where: kind, host, model, requests, tokens, images."""

    def trouble(self) -> str:
        """As that of a judge."""


@dataclass(frozen=True, slots=True)
class _Question:
    key: str
    sheet: Sheet
    rubric: Rubric


class LanguageJudge:
    """Scores correctness and explanations by the shipped rubrics, one model call a query and axis.

    The same query is asked once in a call, and never again where it is in the cache. A query whose judged text is
    empty is 0 without asking: there is no answer, or no reasoning, and that is the completion's own failure.
    """

    def __init__(self, name: str, transport: Transport, cache: VerdictCache | None, *, images: bool = False) -> None:
        self.name = name
        self.axes = tuple(rubrics())
        self.sees_images = images
        self._transport = transport
        self._cache = cache
        self._counts = {"queries": 0, "from_cache": 0}
        self._failed: Counter[str] = Counter()

    def __call__(self, queries: Sequence[JudgeQuery]) -> list[Verdict]:
        prepared = [self._prepare(query) for query in queries]
        questions = {item.key: item for item in prepared if isinstance(item, _Question)}
        known = self._cache.read(questions) if self._cache else {}
        waiting = [question for key, question in questions.items() if key not in known]
        self._counts["queries"] += len(queries)
        self._counts["from_cache"] += len(known)
        replies = self._transport.ask([question.sheet for question in waiting])
        for i, reply in progress(replies, f"judge {self.name}", total=len(waiting)):
            key = waiting[i].key
            known[key] = verdict = self._verdict(waiting[i], reply)
            if self._cache and verdict.value is not None:
                self._cache.keep(key, verdict)
        verdicts = [item if isinstance(item, Verdict) else known[item.key] for item in prepared]
        self._failed.update(failures(verdicts))
        return verdicts

    def sent(self) -> dict[str, Any]:
        """What this judge was asked and what left the machine, so far: for summaries and reports."""
        return {
            **self._transport.sent(),
            "judge": self.name,
            "language_model": True,
            "sees_images": self.sees_images,
            "rubrics": {axis: rubric.name for axis, rubric in rubrics().items()},
            **self._counts,
            "unscored": dict(self._failed),
        }

    def trouble(self) -> str:
        return self._transport.trouble()

    def _prepare(self, query: JudgeQuery) -> _Question | Verdict:
        rubric = rubrics().get(query.axis)
        if rubric is None:
            why = f"no rubric for the axis {query.axis!r:.40}; there are {', '.join(self.axes)}"
            return Verdict(None, query.axis, why, self.name, "", Failure.UNSUITED)
        lacking = [field for field in rubric.needs if not getattr(query, field)]
        if lacking:
            why = f"{query.axis} can't be judged without: {', '.join(lacking)}"
            return Verdict(None, query.axis, why, self.name, rubric.name, Failure.UNSUITED)
        if not neutral(getattr(query, rubric.judged) or ""):
            return Verdict(0.0, query.axis, f"no {rubric.judged} was given: 0 unasked", self.name, rubric.name)
        asked = sheet(query, rubric, images=self.sees_images)
        try:
            decides = [dict(self._transport.identity), rubric.sha256, asked.digest()]
        except DataError as error:
            return Verdict(None, query.axis, str(error), self.name, rubric.name, Failure.UNSUITED)
        return _Question(hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest(), asked, rubric)

    def _verdict(self, question: _Question, reply: Reply) -> Verdict:
        axis, rubric = question.rubric.axis, question.rubric.name
        if reply.failure:
            return Verdict(None, axis, reply.text, self.name, rubric, reply.failure)
        try:
            reading = read_reply(reply.text, judged=question.sheet.user)
        except UnreadableError as error:
            why = f"{error}; the reply: {reply.text[:_SHOWN]!r}"
            return Verdict(None, axis, why, self.name, rubric, Failure.UNREADABLE)
        return Verdict(reading.score / BEST, axis, reply.text, self.name, rubric)
