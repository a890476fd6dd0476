"""One example as the page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rarl.judges.rules import NAME as RULES
from rarl.reporting.rollouts import Row
from rarl.reporting.words import words
from rarl.types import EvalRecord, Example


@dataclass(frozen=True, slots=True)
class Answer:
    """What one run said, before or after training."""

    label: str
    record: EvalRecord

    @property
    def judged(self) -> list[tuple[str, float | None, str]]:
        """(axis, value, the judge's words), of judges other than the rules."""
        found = self.record.verdicts.items()
        return [(axis, each.value, each.raw) for axis, each in found if each.judge != RULES]

    @property
    def disputed(self) -> bool:
        """The judge gave 2 or 3 of 3 to what the rules call wrong, or 0 or 1 to what they call right."""
        values = [value for axis, value, _ in self.judged if axis == "correctness"]
        return any(value is not None and (value > 0.5) != self.record.grade.correct for value in values)


@dataclass(frozen=True, slots=True)
class Visit:
    """A group of completions in training: `rows` of rollouts.jsonl."""

    step: int
    instruction: str
    rows: Sequence[Row]

    @property
    def parts(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows for name in row["parts"]))

    @property
    def teaches(self) -> bool:
        return any(row["advantage"] for row in self.rows)


@dataclass(frozen=True, slots=True)
class Card:
    """One example in the browser: answers to a held-out question, or visits of a question in training."""

    id: str
    source: str  # the data set and split, and of several runs which
    question: str
    gold: str | None
    options: Sequence[str]
    about: Sequence[str]  # modality, task, kind
    tags: Sequence[str]
    instruction: str = ""
    answers: Sequence[Answer] = ()
    visits: Sequence[Visit] = ()
    pictures: Sequence[str] = ()  # data URIs
    missing: int = 0  # images that are not in the page


def about(item: EvalRecord | Example) -> list[str]:
    """What the data set says of a question: modality, task and kind."""
    return [*(value for value in (item.modality, item.task) if value), words("kind", item.kind)]
