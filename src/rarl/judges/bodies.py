"""The body of a chat completion, read with care: servers that speak the protocol still send all sorts of things."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rarl.judges.failures import Failure
from rarl.judges.limits import estimated_tokens
from rarl.judges.replies import Reply

_FINISHES = {
    "length": Reply("cut off at judge.max_tokens", Failure.TRUNCATED),
    "content_filter": Reply("a content filter stopped the reply", Failure.FILTERED),
}


class BrokenError(ValueError):
    """A body that is no chat completion: the server, or something before it, failed."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a body says: the reply, what it cost, and which model wrote it ("" where that isn't said)."""

    reply: Reply
    prompt_tokens: int
    completion_tokens: int
    model: str


def read_body(body: bytes, prompt: str) -> Completion:
    """A completion of `prompt`, which its cost is estimated by where the server doesn't say.

    Errors: BrokenError for what isn't JSON, or is an error in spite of its status; another try may do better.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise BrokenError(f"no JSON: {body[:100]!r}") from None
    if not isinstance(found, dict) or found.get("error"):
        raise BrokenError(f"no completion: {body[:200]!r}")
    reply = _reply(found)
    usage, model = found.get("usage"), found.get("model")
    usage = usage if isinstance(usage, dict) else {}
    return Completion(
        reply,
        _count(usage, "prompt_tokens", prompt),
        _count(usage, "completion_tokens", reply.text),
        model if isinstance(model, str) else "",
    )


def _reply(found: Mapping[str, Any]) -> Reply:
    choices = found.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        return Reply("the completion has no choices", Failure.UNREADABLE)
    if refusal := message.get("refusal"):
        return Reply(f"the model refused: {refusal}", Failure.REFUSED)
    finish = choice.get("finish_reason")
    if isinstance(finish, str) and finish in _FINISHES:
        return _FINISHES[finish]
    content = message.get("content")
    if not isinstance(content, str) or not content.strip():
        return Reply(f"the message has no text (finish_reason {finish!r:.40})", Failure.UNREADABLE)
    return Reply(content)


def _count(usage: Mapping[str, Any], name: str, text: str) -> int:
    given = usage.get(name)
    return given if type(given) is int and given >= 0 else estimated_tokens(text)
