"""What every kind of training does around its steps: log, save, evaluate, time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from rarl.config import RunConfig
from rarl.runlog import RunFolder
from rarl.terminal import progress
from rarl.training.batches import Batches
from rarl.training.learner import Learner
from rarl.training.metrics import Values, peak_memory
from rarl.types import Example, StepMetrics


@dataclass
class Clock:
    """Wall seconds by phase."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - start


Step = Callable[[int, list[Example], Clock], Values]  # one optimizer step: its number and examples to its metrics
Evaluate = Callable[[str], Values]  # a stage's name to the evaluation's metrics
Track = Callable[[int, Values], None]  # a step's metrics to where they are watched


def train_steps(
    step: Step,
    learner: Learner,
    batches: Batches,
    config: RunConfig,
    folder: RunFolder,
    evaluate: Evaluate,
    track: Track,
) -> None:
    """Take the steps that are left, and after each write down what happened."""
    steps = progress(
        batches.steps(learner.step, config.train.steps), "training", total=config.train.steps - learner.step
    )
    for number, examples in steps:
        clock = Clock()
        with clock.phase("whole"):
            values = step(number, examples, clock)
        learner.step = number + 1
        is_last = learner.step == config.train.steps  # what follows the last step is the run's own evaluation
        if config.eval.enabled and not is_last and _due(learner.step, config.eval.every_steps):
            with clock.phase("evaluate"):
                values |= evaluate(f"step-{learner.step:06d}")
        folder.append_metrics(StepMetrics(learner.step, values))
        folder.append_timings(learner.step, {**clock.seconds, "peak_bytes": peak_memory(learner.device)})
        track(learner.step, values)
        if _due(learner.step, config.checkpoint.every_steps) or (is_last and config.checkpoint.every_steps):
            with folder.checkpoint(learner.step) as path:
                learner.save(path, config.digest())
            folder.drop_checkpoints(config.checkpoint.keep)


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
