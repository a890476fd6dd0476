"""A language model as a judge: rubric and query become a sheet, the reply a verdict; what was paid for is kept."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rarl.errors import DataError
from rarl.judges.cache import VerdictCache
from rarl.judges.failures import Failure, failures
from rarl.judges.replies import Reply, UnreadableError, is_refusal, read_reply
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

    def ask(self, sheets: Sequence[Sheet], counted: Callable[[], None]) -> Iterator[tuple[int, Reply]]:
        """A reply for each sheet, with the sheet's index, as they come. Raises only where nobody can be asked.

        `counted` is called, from any thread, when `sent()` has changed: before a request leaves, and when it is paid.
        """

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
        found: dict[int, Verdict] = {}
        for some in progress(self.each(queries), f"judge {self.name}", total=len(queries), units=len):
            found.update(some)
        return [found[i] for i in range(len(queries))]

    def each(
        self, queries: Sequence[JudgeQuery], counted: Callable[[], None] = lambda: None
    ) -> Iterator[dict[int, Verdict]]:
        """As judges.asking.Streams says: first what nobody needs to be asked, then replies as they come."""
        prepared = [self._prepare(query) for query in queries]
        questions = {item.key: item for item in prepared if isinstance(item, _Question)}
        known = self._cache.read(questions) if self._cache else {}
        waiting = [question for key, question in questions.items() if key not in known]
        places: dict[str, list[int]] = {}
        at_once: dict[int, Verdict] = {}
        for i, item in enumerate(prepared):
            if isinstance(item, Verdict):
                at_once[i] = item
            elif item.key in known:
                at_once[i] = known[item.key]
            else:
                places.setdefault(item.key, []).append(i)
        self._counts["from_cache"] += len(known)
        if at_once:
            yield self._counted(at_once)
        for number, reply in self._transport.ask([question.sheet for question in waiting], counted):
            key, verdict = waiting[number].key, self._verdict(waiting[number], reply)
            if self._cache and verdict.value is not None:
                self._cache.keep(key, verdict)
            yield self._counted(dict.fromkeys(places[key], verdict))

    def _counted(self, found: dict[int, Verdict]) -> dict[int, Verdict]:
        self._counts["queries"] += len(found)
        self._failed.update(failures(found.values()))
        return found

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
            if is_refusal(reply.text):
                why = f"the model refused: {reply.text[:_SHOWN]}"
                return Verdict(None, axis, why, self.name, rubric, Failure.REFUSED)
            why = f"{error}; the reply: {reply.text[:_SHOWN]!r}"
            return Verdict(None, axis, why, self.name, rubric, Failure.UNREADABLE)
        return Verdict(reading.score / BEST, axis, reply.text, self.name, rubric)
