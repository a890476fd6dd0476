"""An engine that says what a test tells it to, images that are only names, and a record."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from PIL import Image

from rarl.draws import Draws
from rarl.types import EvalRecord, Finish, Grade, Prompt, QuestionKind, Rollout, Sampling, Shape


@dataclass(frozen=True)
class Named:
    name: str

    def read(self) -> Image.Image:
        return Image.new("RGB", (28, 28))


@dataclass
class Scripted:
    """Completion i is `say(prompt, i)`, cut off if it ends with "..."; after `stop_after` batches a kill comes."""

    say: Callable[[Prompt, int], str]
    stop_after: int | None = None
    asked: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)

    def generate(self, prompts: Sequence[Prompt], n: int, sampling: Sampling, draws: Draws) -> list[list[Rollout]]:
        if len(self.batches) == self.stop_after:
            raise KeyboardInterrupt
        self.batches.append(len(prompts))
        self.asked += [prompt.example.id for prompt in prompts]
        return [[self._rollout(prompt, i, draws) for i in range(n)] for prompt in prompts]

    def _rollout(self, prompt: Prompt, i: int, draws: Draws) -> Rollout:
        text = self.say(prompt, i)
        finish = Finish.LENGTH if text.endswith("...") else Finish.STOP
        return Rollout(prompt, (1,), (0.0,), text, finish, draws.at(prompt.example.id, i).integer())

    def close(self) -> None: ...


def record(item: str = "q1", **changes: object) -> EvalRecord:
    base = EvalRecord(
        id=item,
        cluster="image-1",
        question="Wo liegt der Herd? 在哪里",
        gold="left",
        kind=QuestionKind.OPEN,
        modality=None,
        task="side",
        template="t",
        shape=Shape.THINK,
        completions=("<think> a </think> <answer> right </answer>", "<think> b </think> <answer> left </answer>"),
        finishes=(Finish.STOP, Finish.LENGTH),
        answer="left",
        reasoning="b",
        grade=Grade(True, 1.0, QuestionKind.OPEN, "exact", "left", "left"),
        parts={"grounding": None, "substance": 0.25},
    )
    return replace(base, **changes)
