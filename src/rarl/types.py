"""The records that flow, from an example to a metric, and the protocols that may be replaced.

Everywhere None means "not scored": left out, counted and shown, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from rarl.draws import Draws

if TYPE_CHECKING:
    from PIL.Image import Image


class QuestionKind(StrEnum):
    """What an answer may look like; it decides how two answers are compared."""

    YESNO = "yesno"
    MCQ = "mcq"
    NUMBER = "number"
    MULTI = "multi"
    OPEN = "open"


class Shape(StrEnum):
    """What a completion is asked to look like."""

    THINK = "think"  # <think>..</think> <answer>..</answer>
    DIRECT = "direct"  # <answer>..</answer>
    THINK_AFTER = "think-after"  # <answer>..</answer> <think>..</think>

    @property
    def reasons(self) -> bool:
        """Whether the shape asks for reasoning at all."""
        return self is not Shape.DIRECT


class Family(StrEnum):
    """The three families of instructions of diversity prompting."""

    EXPLANATION = "explanation-required"
    SHORT = "short-form"
    OPEN_ENDED = "open-ended"


class Finish(StrEnum):
    """Why a completion ended."""

    STOP = "stop"  # the model said it was done
    LENGTH = "length"  # cut off at max_new_tokens


class ImageSource(Protocol):
    """Where an image comes from. Hashable: equal sources give equal pixels."""

    @property
    def name(self) -> str:
        """What errors and reports call the image."""

    def read(self) -> Image:
        """The image as 8-bit RGB; a DataError where that is impossible."""

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing the image shows, so that stated findings can be checked by rule.

    `alternatives` are the values the fact could have had, in the words a text would use for them ("left",
    "two lesions"). A `value` of None says that none of them is there to be seen: stating one is an invention.
    Several facts may share a name (the zones of two lesions).
    """

    name: str
    value: str | None
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """One question about one or more images. `cluster` is the patient if known, else the image."""

    id: str
    cluster: str
    images: tuple[ImageSource, ...]
    question: str
    answer: str
    options: tuple[str, ...] = ()
    kind: QuestionKind = QuestionKind.OPEN
    modality: str | None = None
    task: str | None = None
    rationale: str | None = None
    facts: tuple[Fact, ...] = ()
    references: tuple[str, ...] = ()  # as right as the answer, which is what is taught; none for a choice, or yes or no


@dataclass(frozen=True, slots=True)
class Template:
    """One instruction of a pool, and the shape it asks for."""

    id: str
    family: Family
    shape: Shape
    text: str


Message = Mapping[str, Any]  # {"role": ..., "content": [{"type": "image"} | {"type": "text", "text": ...}, ...]}


@dataclass(frozen=True, slots=True)
class Prompt:
    """An example under an instruction: what the whole group of completions answers."""

    example: Example
    template: Template
    messages: tuple[Message, ...]

    @property
    def shape(self) -> Shape:
        return self.template.shape


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn. Temperature 0 is greedy."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 256


@dataclass(frozen=True, slots=True)
class Rollout:
    """One completion. `token_ids` end with the end token when `finish` is STOP.

    `logprobs` are the sampler's, one a token, under its temperature and its suppressed tokens; `text` has no
    special tokens. `seed` is the completion's own stream: alone in a batch or among others, it draws the same.
    """

    prompt: Prompt
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    text: str
    finish: Finish
    seed: int


@dataclass(frozen=True, slots=True)
class Score:
    """What a completion earned. A part is absent when it does not apply, None when scoring it failed.

    A total of None (a weighted part failed) keeps the completion out of mean, std, loss and N.
    """

    total: float | None
    parts: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Group:
    """The G completions of one prompt, scored. Advantages are fixed here, before any cutting into batches."""

    prompt: Prompt
    rollouts: tuple[Rollout, ...]
    scores: tuple[Score, ...]
    advantages: tuple[float, ...]

    @property
    def informative(self) -> bool:
        """Whether any completion differs in reward from the others."""
        return any(self.advantages)


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """The numbers of one optimizer step; None where there was nothing to measure."""

    step: int
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Grade:
    """What the rules say of one answer: strict verdict, graded score, why, and the two texts as they were compared."""

    correct: bool
    score: float
    kind: QuestionKind
    rule: str
    gold: str
    prediction: str
    relaxed: float | None = None  # by the lenient protocol; None in records from before it was kept
    matched: str = ""  # of several right answers the nearest, as the data has it


@dataclass(frozen=True, slots=True)
class JudgeQuery:
    """What a judge is asked about one completion.

    `axis` is what is judged: "correctness", is the answer the gold one? or "explanation", is the reasoning sound, and
    does it state what the image shows? Everything here but the completion's own `reasoning` and `answer` is as in
    Example; what the data lacks is None or empty. A judge of explanations is not shown the gold answer: it judges
    reasoning, not agreement. `images` are for judges that may see them (judge.send_images).
    """

    axis: str
    id: str
    question: str
    reasoning: str
    answer: str | None
    gold: str | None = None
    options: tuple[str, ...] = ()
    modality: str | None = None
    rationale: str | None = None
    facts: tuple[Fact, ...] = ()
    images: tuple[ImageSource, ...] = ()
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge says on one axis. `value` is in [0, 1]; None: it could not be scored, which is never 0."""

    value: float | None
    axis: str
    raw: str  # the judge's own words; without a value, what happened
    judge: str  # which judge, say the model's name
    rubric: str  # by which rubric: a name, version or hash
    failure: str = ""  # without a value, why: a rarl.judges.Failure


@dataclass(frozen=True, slots=True)
class EvalRecord:
    """One question of an evaluation, with everything needed to regrade it. One row of records.jsonl."""

    id: str
    cluster: str
    question: str
    gold: str
    kind: QuestionKind
    modality: str | None
    task: str | None
    template: str
    shape: Shape
    completions: tuple[str, ...]
    finishes: tuple[Finish, ...]
    answer: str | None  # the vote over the completions; None: no answer could be parsed
    reasoning: str | None  # that of the first completion which gave the voted answer
    grade: Grade
    parts: Mapping[str, float | None] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    votes: int | None = None  # how many completions gave the answer; None in records from before it was kept
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)  # a judge's, by axis
    likeness: Mapping[str, float] = field(default_factory=dict)  # to the nearest right answer, where asked for
    references: tuple[str, ...] = ()  # as right as the gold; grade.matched is the one that the answer was held against


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval over clusters; `unscored` items are in neither."""

    mean: float | None
    low: float | None
    high: float | None
    n: int
    clusters: int
    unscored: int = 0


class Engine(Protocol):
    """Anything that answers prompts; made by a factory that is called with the policy.

    The prompts of one call are a batch that the configuration has bounded. What a completion draws depends on its seed
    and the weights alone, whatever is asked beside it.
    """

    def generate(self, prompts: Sequence[Prompt], n: int, sampling: Sampling, draws: Draws) -> list[list[Rollout]]:
        """`n` completions for each prompt, in order; completion i draws from draws.at(prompt.example.id, i)."""

    def close(self) -> None:
        """Give back what the engine holds."""


class Judge(Protocol):
    """One verdict a query, in order. Retries are its own business; what it raises leaves all its queries unscored."""

    def __call__(self, queries: Sequence[JudgeQuery]) -> list[Verdict]: ...


class Reward(Protocol):
    """TRL's convention: lists in, one value in [0, 1] or None (could not be scored) a completion out."""

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]: ...
