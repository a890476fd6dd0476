"""From the configuration's [judge] to a judge, from an answered example to queries, and a warning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from rarl.config import JudgeSection
from rarl.draws import Draws
from rarl.errors import JudgeError
from rarl.judges.asking import FunctionJudge
from rarl.judges.cache import VerdictCache, cache_path
from rarl.judges.endpoint import Endpoint
from rarl.judges.language import LanguageJudge, Transport
from rarl.judges.local import LocalTransport
from rarl.judges.rules import rules
from rarl.registry import judges
from rarl.types import Engine, Example, JudgeQuery, Verdict

AXES = ("correctness", "explanation")


class MadeJudge(Protocol):
    """A Judge that also says what it is. `axes` are those worth asking it about; the others it leaves unscored."""

    @property
    def name(self) -> str: ...

    @property
    def axes(self) -> tuple[str, ...]: ...

    @property
    def sees_images(self) -> bool: ...

    def __call__(self, queries: Sequence[JudgeQuery]) -> list[Verdict]:
        """One verdict a query, in order, each in [0, 1] or None. Errors: JudgeError where nobody can be asked."""

    def sent(self) -> Mapping[str, Any]:
        """What it was asked and what left the machine for it, so far: host, requests, tokens, images, rubrics, ..."""

    def trouble(self) -> str:
        """Why it can't be asked, found without asking it anything; empty where nothing speaks against it."""


def make_judge(
    settings: JudgeSection, *, local: Engine | Callable[[str], str] | None = None, seed: int = 0
) -> MadeJudge:
    """The judge that the settings name. `local` answers for kind "local": an engine of judge.model, or a function.

    Errors: RarlError, one line: an unknown kind, no key, no package, a cache that can't be used.
    """
    if settings.kind == "rules":
        return rules
    if settings.kind not in ("openai", "local"):
        return FunctionJudge(settings.kind, judges.get(settings.kind), settings.timeout)
    transport: Transport
    if settings.kind == "openai":
        transport = Endpoint(settings, Draws(seed).at("judge"))
    elif local is None:
        raise JudgeError("judge.kind = local is not possible here: there is no engine to ask")
    else:
        transport = LocalTransport(local, settings, Draws(seed).at("judge"))
    path = cache_path(settings.cache)
    cache = VerdictCache(path) if path else None
    return LanguageJudge(settings.model, transport, cache, images=settings.send_images)


def query_about(example: Example, axis: str, *, answer: str | None, reasoning: str | None) -> JudgeQuery:
    """What to ask about one answer to an example. Gold answers go with correctness alone."""
    correctness = axis == "correctness"
    return JudgeQuery(
        axis=axis,
        id=example.id,
        question=example.question,
        reasoning=reasoning or "",
        answer=answer,
        gold=example.answer if correctness else None,
        options=example.options,
        modality=example.modality,
        rationale=None if correctness else example.rationale,
        facts=() if correctness else example.facts,
        images=example.images,
        references=example.references if correctness else (),
    )


def same_judge_warning(training: JudgeSection, evaluation: JudgeSection) -> str | None:
    """What a report must say where the judge that a model was trained with also evaluates it.

    Models are compared by name without a path, as one model bears several (`org/Name`, `name`).
    """
    ours, theirs = _model(evaluation), _model(training)
    if ours is None or theirs is None or ours.casefold() != theirs.casefold():
        return None
    return (
        f"The judge of this evaluation, {ours}, is also the judge of training: where it rewarded completions, its "
        "scores show how well the model learned to please it. Evaluate with another judge."
    )


def _model(judge: JudgeSection) -> str | None:
    if judge.kind == "rules":
        return None
    return judge.model.rstrip("/").rpartition("/")[2] if judge.model else judge.kind
