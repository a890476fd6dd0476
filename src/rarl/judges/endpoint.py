"""A server that speaks OpenAI's protocol as a judge's transport: many requests at once, patient, and within budgets."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Lock
from typing import Any
from urllib.parse import urlsplit

from rarl.config import JudgeSection
from rarl.draws import Draws
from rarl.errors import JudgeError
from rarl.extras import needed_for
from rarl.judges.bodies import BrokenError, Completion, read_body
from rarl.judges.connecting import CONNECT, connect, is_late, is_nobody
from rarl.judges.dialect import Dialect
from rarl.judges.failures import Failure
from rarl.judges.limits import LONGEST_WAIT, Budget, Gate, pause, retry_after
from rarl.judges.replies import Reply
from rarl.judges.sheets import Sheet

OPENAI = "https://api.openai.com/v1"
KEY = "OPENAI_API_KEY"
LARGEST_BODY = 4_000_000  # bytes; no verdict is as long
_SHOWN = 300  # characters of a server's complaint
_MAY_PASS = frozenset({408, 409, 425, 429, *range(500, 600)})
_DENIED = {
    401: f"check {KEY}",
    402: "check the account",
    403: f"check {KEY} and what it may use",
    404: "check judge.model and judge.base_url",
}


@dataclass(frozen=True, slots=True)
class _Trouble:
    """A request that failed: `again` if another try may do better, `after` so many seconds if the server says so.

    `mute`: nobody is there, or says anything.
    """

    failure: Failure
    text: str
    again: bool = False
    after: float | None = None
    mute: bool = False


@dataclass
class _Round:
    """One call's workers: how many queries in a row were given up, and whether and why the rest is."""

    limit: int
    counted: Callable[[], None]
    stop: Event = field(default_factory=Event)
    why: str = ""
    in_a_row: int = 0
    lock: Lock = field(default_factory=Lock)

    def note(self, failed: bool) -> None:
        with self.lock:
            self.in_a_row = self.in_a_row + 1 if failed else 0
            if self.in_a_row >= self.limit:
                self.give_up(f"{self.limit} queries in a row had failed")

    def give_up(self, why: str) -> None:
        self.why = why
        self.stop.set()


class Endpoint:
    """Asks a chat-completions server through the `openai` client, whose own retries are off.

    Where nobody has answered yet, the first sheet goes alone: a wrong key, model or address is one request and one
    JudgeError, and where nobody is, or none but silence comes after all tries, the rest of the call is not asked. Later
    ones, and outages of any length, leave their queries unscored; after so many in a row the rest is not asked. Nothing
    follows a redirect to another host.
    """

    def __init__(self, settings: JudgeSection, draws: Draws) -> None:
        """Errors: MissingExtraError; JudgeError without a key where OpenAI itself is asked."""
        with needed_for("judge.kind = openai"):
            import openai  # noqa: F401
        self._key = os.environ.get(KEY, "").strip()
        if not self._key and not settings.base_url:
            raise JudgeError(f"judge.kind = openai needs a key in {KEY}, or a server of your own in judge.base_url")
        if not self._key.isascii() or not self._key.isprintable():
            raise JudgeError(f"{KEY} holds characters that no key has; set it anew")
        self._settings = settings
        self._url = settings.base_url or OPENAI
        self._draws = draws
        self._budget = Budget(settings.max_requests, settings.max_tokens_total)
        self._gate = Gate()
        self._dialect = Dialect()
        self._answered = False
        self._models: set[str] = set()

    @property
    def identity(self) -> Mapping[str, Any]:
        settings = self._settings
        return {
            "kind": "openai",
            "base_url": self._url,
            "model": settings.model,
            "temperature": settings.temperature,
            "max_tokens": settings.max_tokens,
        }

    def sent(self) -> Mapping[str, Any]:
        """`answered_by`: the models that the server says wrote its replies."""
        return {
            "kind": "openai",
            "host": urlsplit(self._url).netloc,
            "model": self._settings.model,
            "answered_by": sorted(self._models),
            **self._budget.spent(),
        }

    def trouble(self) -> str:
        """By asking for its list of models: that costs nothing, and sends nothing of the data.

        Nobody is there, or the key is none: anything else (no such list, no leave to see it) says nothing. One that
        wants to be left alone for long is not asked even that.
        """
        import httpx2
        import openai

        if (left := self._gate.left()) > LONGEST_WAIT:
            return f"the judge at {urlsplit(self._url).netloc} can't be asked: {_alone(left)}; come back then"
        with self._client() as client:
            look = client.with_options(timeout=min(CONNECT, self._settings.timeout)).models.with_streaming_response.list
            try:
                with look():
                    return ""
            except openai.AuthenticationError as error:
                why, remedy = self._told(error), _DENIED[401]
            except openai.APIConnectionError as error:
                if not is_nobody(error):
                    return ""
                why, remedy = self._told(error.__cause__ or error), "check judge.base_url, and that the server runs"
            except (openai.APIError, httpx2.HTTPError):
                return ""
        return f"the judge at {urlsplit(self._url).netloc} can't be asked: {why}; {remedy}"

    def ask(self, sheets: Sequence[Sheet], counted: Callable[[], None]) -> Iterator[tuple[int, Reply]]:
        """Replies as they come, at most judge.concurrency requests at once. Errors: JudgeError."""
        if not sheets:
            return
        workers = self._settings.concurrency
        work = _Round(limit=max(8, 2 * workers), counted=counted)
        with self._client() as client:
            first = 0
            if not self._answered:
                yield 0, self._reply(client, sheets[0], work)
                first = 1
            with ThreadPoolExecutor(workers, thread_name_prefix="judge") as pool:
                try:
                    futures = {pool.submit(self._reply, client, sheets[i], work): i for i in range(first, len(sheets))}
                    for future in as_completed(futures):
                        yield futures[future], future.result()
                except BaseException:  # an interrupt, or nobody wants the rest: don't go on asking behind their back
                    work.stop.set()
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise

    def _client(self) -> Any:
        return connect(self._url, self._key, self._settings.timeout)

    def _reply(self, client: Any, sheet: Sheet, work: _Round) -> Reply:
        """The reply to one sheet, after as many tries as it takes and the settings allow."""
        draws, trouble = self._draws.at(sheet.user), None
        for attempt in range(self._settings.retries + 1):
            if (left := self._gate.left()) > LONGEST_WAIT:
                work.give_up(_alone(left))
            self._gate.wait(work.stop)
            if attempt:
                work.stop.wait(pause(attempt - 1, draws.at(attempt)))
            if work.stop.is_set():
                break
            found = self._try(client, sheet, work.counted)
            if isinstance(found, Reply):
                work.note(failed=False)
                return found
            trouble = found
            if trouble.after is not None:
                self._gate.hold(trouble.after)
                if trouble.after > LONGEST_WAIT:
                    work.give_up(_alone(trouble.after))
            if not trouble.again:
                break
        if trouble is None:
            return Reply(f"not asked: {work.why}", Failure.OUTAGE)
        if trouble.mute and not self._answered:
            work.give_up("the first got no reply at all")
        work.note(failed=trouble.failure in (Failure.OUTAGE, Failure.TIMEOUT, Failure.DENIED))
        return Reply(trouble.text, trouble.failure)

    def _try(self, client: Any, sheet: Sheet, counted: Callable[[], None]) -> Reply | _Trouble:
        """One try: a request, and again without what the server says it doesn't know."""
        import httpx2
        import openai

        dialect = self._dialect
        while True:
            if spent := self._budget.take(len(sheet.images)):
                return _Trouble(Failure.BUDGET, spent)
            counted()
            try:
                completion = self._request(client, sheet, dialect)
            except openai.APIStatusError as error:
                plainer = self._plainer(dialect, error)
                if plainer is None:
                    return self._trouble(error)
                dialect = plainer
            except (openai.APIConnectionError, httpx2.HTTPError, BrokenError, TimeoutError) as error:
                return self._no_reply(error)
            else:
                self._answered, self._dialect = True, dialect
                self._budget.spend(completion.prompt_tokens, completion.completion_tokens)
                self._models.add(completion.model or "not said")
                counted()
                return Reply(self._without_key(completion.reply.text), completion.reply.failure)

    def _request(self, client: Any, sheet: Sheet, dialect: Dialect) -> Completion:
        """TimeoutError where the whole takes longer than judge.timeout, though bytes still come."""
        deadline = time.monotonic() + self._settings.timeout
        create = client.chat.completions.with_streaming_response.create
        body = b""
        with create(**dialect.request(sheet, self._settings)) as response:
            for chunk in response.iter_bytes():
                body += chunk
                if time.monotonic() > deadline:
                    raise TimeoutError
                if len(body) > LARGEST_BODY:
                    raise BrokenError(f"more than {LARGEST_BODY:,} bytes")
        return read_body(body, sheet.system + sheet.user)

    def _plainer(self, dialect: Dialect, error: Any) -> Dialect | None:
        """A bad request that names no parameter may be about the format, until the server has answered once."""
        if error.status_code in (400, 422) and not _is_about_content(error):
            return dialect.plainer(str(error), guess=not self._answered)
        return dialect.plainer(str(error), guess=False) if error.status_code in (500, 501) else None

    def _no_reply(self, error: Exception) -> _Trouble:
        """A server that has answered before may come back; one that never did is not waited for."""
        told = self._told(error.__cause__ or error)
        if is_nobody(error):
            return _Trouble(Failure.OUTAGE, told, again=self._answered, mute=True)
        if is_late(error):
            return _Trouble(Failure.TIMEOUT, f"no reply within {self._settings.timeout:g} s", again=True, mute=True)
        return _Trouble(Failure.OUTAGE, told, again=True)

    def _trouble(self, error: Any) -> _Trouble:
        status, text = error.status_code, self._told(error)
        if status in _DENIED or status < 400 or error.code == "insufficient_quota":
            if not self._answered:
                remedy = _DENIED.get(status, "check judge.base_url" if status < 400 else "check the account")
                raise JudgeError(f"the judge at {urlsplit(self._url).netloc} can't be asked: {text}; {remedy}")
            return _Trouble(Failure.DENIED, text)
        if error.code == "content_filter":
            return _Trouble(Failure.FILTERED, text)
        if status not in _MAY_PASS:
            return _Trouble(Failure.REJECTED, text)
        after = retry_after(error.response.headers, datetime.now(UTC))
        if after is not None and after > LONGEST_WAIT:
            return _Trouble(Failure.OUTAGE, f"{text}; {_alone(after)}", after=after)
        return _Trouble(Failure.OUTAGE, text, again=True, after=after)

    def _told(self, error: BaseException) -> str:
        """An error on one line, without the key, which some servers repeat."""
        return self._without_key(" ".join(f"{type(error).__name__}: {error}".split()))[:_SHOWN]

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, f"[{KEY}]") if self._key else text


def _alone(seconds: float) -> str:
    return f"it wants to be left alone for {seconds:.0f} s"


def _is_about_content(error: Any) -> bool:
    return error.code in ("content_filter", "context_length_exceeded")
