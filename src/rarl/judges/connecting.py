"""The connection to a judge's server, through the `openai` client; and what it means if there is none."""

from __future__ import annotations

from functools import cache
from typing import Any

CONNECT = 5.0  # seconds at most for a connection, and to see whether a server is there


def connect(url: str, key: str, seconds: float) -> Any:
    """An `openai` client whose own retries are off, and that follows no redirect. `seconds` are those of a request."""
    import openai

    timeout = openai.Timeout(seconds, connect=min(CONNECT, seconds))
    return openai.OpenAI(
        api_key=key or "none",  # servers of one's own often want none, but the client does
        base_url=url,
        timeout=timeout,
        max_retries=0,
        http_client=openai.DefaultHttpxClient(follow_redirects=False, timeout=timeout, verify=_certificates()),
    )


def is_nobody(error: BaseException) -> bool:
    """Whether the client raised this because no connection could be made at all."""
    import httpx2

    return isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)


def is_late(error: BaseException) -> bool:
    """Whether it was raised because no reply, or not the whole of it, came in time."""
    import httpx2
    import openai

    return isinstance(error, openai.APITimeoutError | httpx2.TimeoutException | TimeoutError)


@cache
def _certificates() -> Any:
    """The client's own default, read once: that takes longer than the rest of making a client."""
    import httpx2

    return httpx2.create_ssl_context()
