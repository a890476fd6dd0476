"""A local model as a judge's transport: any engine, or any function from a text to a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rarl.config import JudgeSection
from rarl.draws import Draws
from rarl.errors import RarlError
from rarl.judges.failures import Failure
from rarl.judges.limits import Budget, estimated_tokens
from rarl.judges.replies import Reply
from rarl.judges.sheets import Sheet
from rarl.registry import told
from rarl.types import Engine, Example, Family, Finish, Prompt, Rollout, Sampling, Shape, Template

_FAILURES = (Exception, SystemExit)  # what somebody's function may raise without ending a run


class LocalTransport:
    """Asks a model on this machine, in text alone. judge.concurrency is how many prompts an engine gets at once."""

    def __init__(self, model: Engine | Callable[[str], str], settings: JudgeSection, draws: Draws) -> None:
        self._model = model
        self._batch = settings.concurrency
        self._sampling = Sampling(temperature=settings.temperature, max_new_tokens=settings.max_tokens)
        self._draws = draws
        self._name = settings.model
        self._budget = Budget(settings.max_requests, settings.max_tokens_total)

    @property
    def identity(self) -> Mapping[str, Any]:
        return {
            "kind": "local",
            "model": self._name,
            "files": _files(self._name),
            "temperature": self._sampling.temperature,
            "max_tokens": self._sampling.max_new_tokens,
            "draws": [self._draws.seed, *self._draws.path] if self._sampling.temperature else None,
        }

    def ask(self, sheets: Sequence[Sheet], counted: Callable[[], None]) -> Iterator[tuple[int, Reply]]:
        """In order, a batch at a time; a batch that an engine refuses is asked one by one."""
        for start in range(0, len(sheets), self._batch):
            batch = range(start, min(start + self._batch, len(sheets)))
            spent = {i: self._budget.take() for i in batch}
            granted = [i for i in batch if not spent[i]]
            if granted:
                counted()
                replies = self._replies([sheets[i] for i in granted])
                counted()
                yield from zip(granted, replies, strict=True)
            yield from ((i, Reply(why, Failure.BUDGET)) for i, why in spent.items() if why)

    def sent(self) -> Mapping[str, Any]:
        return {"kind": "local", "host": None, "model": self._name, **self._budget.spent()}

    def trouble(self) -> str:
        return ""

    def _replies(self, sheets: Sequence[Sheet]) -> list[Reply]:
        if not hasattr(self._model, "generate"):
            return [self._said(f"{sheet.system}\n\n{sheet.user}") for sheet in sheets]
        try:
            groups = self._model.generate([_prompt(sheet) for sheet in sheets], 1, self._sampling, self._draws)
        except RarlError as error:
            if len(sheets) > 1:
                return [reply for sheet in sheets for reply in self._replies([sheet])]
            return [Reply(str(error), Failure.REJECTED)]
        return [self._replied(sheet, rollout) for sheet, [rollout] in zip(sheets, groups, strict=True)]

    def _replied(self, sheet: Sheet, rollout: Rollout) -> Reply:
        """An engine doesn't say how many tokens a prompt has: they are estimated."""
        self._budget.spend(estimated_tokens(sheet.system + sheet.user), len(rollout.token_ids))
        if rollout.finish is Finish.LENGTH:
            return Reply("cut off at judge.max_tokens", Failure.TRUNCATED)
        return Reply(rollout.text)

    def _said(self, text: str) -> Reply:
        assert callable(self._model)
        try:
            reply = self._model(text)
        except _FAILURES as error:
            return Reply(told(error), Failure.RAISED)
        if not isinstance(reply, str):
            return Reply(f"no text: {reply!r:.100}", Failure.RAISED)
        self._budget.spend(estimated_tokens(text), estimated_tokens(reply))
        return Reply(reply)


def _prompt(sheet: Sheet) -> Prompt:
    """The sheet as engines take prompts: a system and a user message of text alone."""
    name = sheet.digest()  # what is drawn depends on what is asked
    example = Example(id=name, cluster=name, images=(), question=sheet.user, answer="")
    template = Template("judge", Family.EXPLANATION, Shape.DIRECT, sheet.system)
    texts = (("system", sheet.system), ("user", sheet.user))
    messages = tuple({"role": role, "content": [{"type": "text", "text": text}]} for role, text in texts)
    return Prompt(example, template, messages)


def _files(model: str) -> list[Any] | None:
    """Name, size and time of a checkpoint's files, where the model is a folder: trained anew, it is another judge."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return None
    found = sorted(file for file in folder.iterdir() if file.is_file())
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in found]
