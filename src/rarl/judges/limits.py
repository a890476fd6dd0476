"""When to ask again, and when to stop: Retry-After, pauses that grow, a gate for all workers, and budgets."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event, Lock

from rarl.draws import Draws

FIRST_PAUSE = 1.0  # seconds before the first retry; each further one waits twice as long
LONGEST_PAUSE = 60.0
CHARACTERS_PER_TOKEN = 4
LONGEST_WAIT = 300.0  # a server that wants to be left alone for longer is taken to be out


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until the server wants to be asked again, from Retry-After as seconds or as a date (RFC 9110, 10.2.3).

    None where the header is absent or says nothing that can be understood.
    """
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = parsedate_to_datetime(text)
        except (ValueError, TypeError):
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    return max(0.0, seconds) if not math.isnan(seconds) else None


def pause(attempt: int, draws: Draws) -> float:
    """Seconds before retry number `attempt` (0 is the first): doubling, times a seeded factor between 0.5 and 1."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**attempt) * (0.5 + 0.5 * draws.stream().random())


def estimated_tokens(text: str) -> int:
    """What a text costs, where nobody says."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


class Gate:
    """What a rate limit is to all workers: none asks before the server wants to be asked again."""

    def __init__(self) -> None:
        self._opens = 0.0

    def hold(self, seconds: float) -> None:
        """Keep everyone for so long from now, unless they are kept longer already."""
        self._opens = max(self._opens, time.monotonic() + seconds)

    def left(self) -> float:
        """Seconds until it opens; 0 where it is open."""
        return max(0.0, self._opens - time.monotonic())

    def wait(self, stop: Event) -> None:
        """Until the gate is open, or `stop` is set."""
        while (left := self.left()) > 0 and not stop.wait(min(left, LONGEST_WAIT)):  # no event waits forever
            pass


@dataclass
class Budget:
    """What was asked and what it cost, over the life of a judge, and the limits of it. Safe to share."""

    max_requests: int | None = None
    max_tokens: int | None = None
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    images: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def take(self, images: int = 0) -> str:
        """Counts a request; or says, and counts nothing, which limit is spent.

        Tokens are known when a reply is there, so requests that are under way may go beyond the limit of tokens.
        """
        with self._lock:
            if self.max_requests is not None and self.requests >= self.max_requests:
                return f"judge.max_requests = {self.max_requests} is spent"
            if self.max_tokens is not None and self.prompt_tokens + self.completion_tokens >= self.max_tokens:
                return f"judge.max_tokens_total = {self.max_tokens} is spent"
            self.requests += 1
            self.images += images
            return ""

    def spend(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Counts what a reply cost."""
        with self._lock:
            self.prompt_tokens += prompt_tokens
            self.completion_tokens += completion_tokens

    def spent(self) -> dict[str, int]:
        """The counts, for the record of what was sent."""
        return {
            "requests": self.requests,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "images": self.images,
        }
