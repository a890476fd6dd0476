"""The loopback server, judges that ask it without long pauses, and queries to ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

import judge_server
from rarl.config import JudgeSection
from rarl.data.images import BytesImage
from rarl.judges import MadeJudge, limits, make_judge
from rarl.types import JudgeQuery

QUERY = JudgeQuery(
    axis="correctness",
    id="q-1",
    question="What does the chest X-ray show?",
    reasoning="There is a cavity with a thick wall in the left upper lobe.",
    answer="tuberculosis",
    gold="pulmonary tuberculosis",
    modality="chest X-ray",
)


@pytest.fixture
def query() -> JudgeQuery:
    return QUERY


@pytest.fixture
def several() -> Callable[[int], list[JudgeQuery]]:
    """several(n) -> n queries that differ."""
    return lambda n: [replace(QUERY, id=f"q-{i}", answer=f"answer {i}") for i in range(n)]


@pytest.fixture
def server() -> Iterator[judge_server.JudgeServer]:
    with judge_server.running() as running:
        yield running


@pytest.fixture
def remote(server: judge_server.JudgeServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., MadeJudge]:
    """remote(**settings) -> a judge of kind openai at the server, with pauses of hundredths of seconds."""
    monkeypatch.setattr(limits, "FIRST_PAUSE", 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def make(**settings: Any) -> MadeJudge:
        section = {"kind": "openai", "base_url": server.url, "model": "m", "cache": "off", "timeout": 5.0, **settings}
        return make_judge(JudgeSection(**section))

    return make


@pytest.fixture
def broken_image() -> BytesImage:
    return BytesImage(b"no image", "broken.png")
