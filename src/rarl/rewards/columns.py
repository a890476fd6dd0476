"""What a reward sees: TRL's lists of prompts, completions and columns, and the row of each completion in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any

from rarl.prompting.shapes import Parsed, parse
from rarl.types import Example, Fact, Prompt, QuestionKind, Reward, Shape

_parse = lru_cache(maxsize=4096)(parse)  # every reward reads the same completions
COLUMNS = (
    *("id", "question", "answer", "references", "options", "kind", "shape", "rationale", "facts", "modality", "task"),
)


def columns(prompts: Sequence[Prompt]) -> dict[str, list[Any]]:
    """The columns that rewards read, one entry a prompt, of JSON's types.

    A TRL data set with these beside its `prompt` runs the same rewards. `answer` is the gold answer; `facts` are
    tables with name, value and alternatives; the rest is as in Example.
    """
    tables = {id(prompt): row_columns(prompt.example, prompt.shape) for prompt in prompts}  # once for a whole group
    return {name: [tables[id(prompt)][name] for prompt in prompts] for name in COLUMNS}


def row_columns(example: Example, shape: Shape) -> dict[str, Any]:
    """The columns of one example that is asked for in this shape."""
    return {
        "id": example.id,
        "question": example.question,
        "answer": example.answer,
        "references": list(example.references),
        "options": list(example.options),
        "kind": example.kind.value,
        "shape": shape.value,
        "rationale": example.rationale,
        "facts": [{"name": f.name, "value": f.value, "alternatives": list(f.alternatives)} for f in example.facts],
        "modality": example.modality,
        "task": example.task,
    }


@dataclass(frozen=True, slots=True)
class Row:
    """One completion and what is known about its question; what the data lacks is None or empty."""

    completion: str
    parsed: Parsed
    shape: Shape
    messages: Any  # the prompt, as a string or as messages
    columns: Mapping[str, Any]

    @property
    def prompt(self) -> str:
        """All that the prompt says: question, options and instruction."""
        return text_of(self.messages)

    @property
    def question(self) -> str:
        return self.columns.get("question") or ""

    @property
    def gold(self) -> str | None:
        """The gold answer."""
        return _text_or_none(self.columns.get("answer"))

    @property
    def references(self) -> tuple[str, ...]:
        """What is right beside the gold answer."""
        return tuple(str(right) for right in self.columns.get("references") or ())

    @property
    def options(self) -> tuple[str, ...]:
        return tuple(str(option) for option in self.columns.get("options") or ())

    @property
    def kind(self) -> QuestionKind | None:
        return QuestionKind(self.columns["kind"]) if self.columns.get("kind") else None

    @property
    def rationale(self) -> str | None:
        """The reference reasoning."""
        return _text_or_none(self.columns.get("rationale"))

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The records behind the column `facts`."""
        tables = self.columns.get("facts") or ()
        return tuple(Fact(t["name"], t.get("value"), tuple(t.get("alternatives") or ())) for t in tables)


def rowwise(
    applies: Callable[..., bool] | None = None, needs: str = ""
) -> Callable[[Callable[[Row], float | None]], Reward]:
    """Turns a function of one Row into a reward of TRL's convention.

    `applies(**columns of one row)` says whether the reward applies to a prompt at all; where it does not, the value is
    None and a Scorer leaves the part out. `needs` says in words what it takes, for the warning that it never applies.
    """

    def decorate(score: Callable[[Row], float | None]) -> Reward:
        @wraps(score)
        def reward(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:
            return [
                score(row) if applies is None or applies(**row.columns) else None
                for row in rows(prompts, completions, columns)
            ]

        del reward.__wrapped__  # or its signature would be that of `score`
        reward.applies, reward.needs = applies, needs  # type: ignore[attr-defined]
        return reward

    return decorate


def asks_for_reasoning(**row: Any) -> bool:
    """Whether the prompt's shape has a place for reasoning; without a shape column, it has."""
    return _shape(row).reasons


def rows(prompts: Sequence[Any], completions: Sequence[Any], columns: Mapping[str, Any]) -> list[Row]:
    """The row of each completion, from the arguments that TRL gives to a reward."""
    known = {name: columns[name] for name in COLUMNS if columns.get(name) is not None}
    tables = [{name: values[i] for name, values in known.items()} for i in range(len(completions))]
    return [_row(*each) for each in zip(prompts, completions, tables, strict=True)]


def _row(prompt: Any, completion: Any, table: Mapping[str, Any]) -> Row:
    text, shape = text_of(completion), _shape(table)
    return Row(text, _parse(text, shape), shape, prompt, table)


def text_of(messages: Any) -> str:
    """The text of a prompt or completion: a string, or messages whose content is a string or a list of parts."""
    if isinstance(messages, str):
        return messages
    return "\n".join(_contents(messages or ()))


def _contents(messages: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for message in messages:
        content = message.get("content") or ""
        if isinstance(content, str):
            yield content
        else:
            yield from (part["text"] for part in content if part.get("text"))


def _shape(row: Mapping[str, Any]) -> Shape:
    return Shape(row.get("shape") or Shape.THINK)


def _text_or_none(value: Any) -> str | None:
    return None if value is None or not str(value).strip() else str(value)
