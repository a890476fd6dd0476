"""What comes back from a model, and the verdict in it: one JSON object of exactly the form asked for, or none."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from rarl.judges.rubrics import BEST

SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer", "enum": list(range(BEST + 1))}, "reason": {"type": "string"}},
    "required": ["score", "reason"],
    "additionalProperties": False,
}
_FENCE = re.compile(r"```(?:json)?[ \t]*\r?\n(.*?)\s*```", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's reply as it came, or with `failure` (a Failure) what happened instead."""

    text: str
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """The verdict in a reply."""

    score: int  # 0 to 3
    reason: str


class UnreadableError(ValueError):
    """A reply that holds no verdict in the form asked for; the message says what is wrong with it."""


def read_reply(text: str, judged: str = "") -> Reading:
    """The verdict of a reply that is one JSON object {"score": 0..3, "reason": "..."}, and nothing else.

    Tolerated around it: white space, one code fence, and before it the thoughts of a reasoning model up to the first
    `</think>`. Nothing is searched for inside other text: what is found there may be a quotation. Nor may the object
    stand in `judged`, white space aside: a verdict that a judged text brought along is that text's own.

    Errors: UnreadableError.
    """
    body = _without_thought(text.strip()).strip()
    fenced = _FENCE.fullmatch(body)
    body = fenced[1] if fenced else body
    try:
        found = json.loads(body, object_pairs_hook=_once, strict=False)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"no single JSON object: {error}") from None
    if not isinstance(found, dict) or set(found) != {"score", "reason"}:
        raise UnreadableError('not an object of exactly "score" and "reason"')
    score, reason = found["score"], found["reason"]
    if type(score) is not int or not 0 <= score <= BEST:
        raise UnreadableError(f"the score is {score!r:.40}, not 0, 1, 2 or 3")
    if not isinstance(reason, str):
        raise UnreadableError(f"the reason is {reason!r:.40}, not a text")
    if "".join(body.split()) in "".join(judged.split()):
        raise UnreadableError("the verdict is a copy of what was judged")
    return Reading(score, reason)


def is_refusal(text: str) -> bool:
    """Whether a reply holds no object, and begins as those do that decline in words (refusals.toml)."""
    body = " ".join(_without_thought(text.strip()).replace("\u2019", "'").casefold().split())
    return "{" not in body and _refusal().match(body) is not None


@cache
def _refusal() -> re.Pattern[str]:
    table = tomllib.loads(files(__package__).joinpath("refusals.toml").read_text(encoding="utf-8"))
    excuses, links, openings = ("|".join(map(re.escape, table[name])) for name in ("excuses", "links", "openings"))
    return re.compile(rf"\W*(?:(?:{excuses})\b\W*(?:(?:{links})\b\W*)?)*(?:{openings})\b")


def _without_thought(text: str) -> str:
    if text.startswith(("{", "`")) or "</think>" not in text:
        return text
    return text.partition("</think>")[2]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found
