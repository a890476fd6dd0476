"""What every kind of training does around its steps: log, save, evaluate, time, and stop where it can go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import fmean
from time import monotonic, perf_counter
from typing import Any

from rarl.config import RunConfig
from rarl.errors import DataError, GuardError, MemoryShortError
from rarl.runlog import RunFolder
from rarl.stopping import Stop, TimeUpError
from rarl.terminal import progress
from rarl.training.batches import Batches
from rarl.training.guards import worth_keeping
from rarl.training.learner import Learner
from rarl.training.metrics import Values, peak_memory
from rarl.types import Example, StepMetrics

WINDOW = 20  # steps over which a training metric is averaged to tell which checkpoint is the best


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


@dataclass
class Training:
    """A run's steps from wherever its learner stands."""

    step: Step
    learner: Learner
    batches: Batches
    config: RunConfig
    folder: RunFolder
    evaluate: Evaluate
    track: Track
    stop: Stop
    waited: Callable[[], float]  # seconds, so far, in which images were waited for
    _saved_at: float = field(default=0.0, init=False)  # by the clock
    _saved: int = field(default=0, init=False)  # the step

    def run(self) -> None:
        """Take the steps that are left, and after each write down what happened.

        Asked to stop, it finishes the step and saves. When the time for that is up, a guard stops the run, memory is
        short, or an image can't be read any more, the step is given up, and what was before it is saved, unless some of
        its updates were made: then the last checkpoint stands.
        """
        self._saved_at, self._saved = monotonic(), self.learner.step
        try:
            with self.stop.later():
                if self.config.guards.roll_back and not self.folder.checkpoints.all():
                    self._write()  # the start, to which a roll-back may lead
                self._run()
        except (TimeUpError, GuardError, MemoryShortError, DataError):
            if self.learner.between_steps:
                self._save()
            raise

    def _run(self) -> None:
        if self.learner.pending is not None:
            self._complete(Clock())
        start, end = self.learner.step, self.config.train.steps
        for number in progress(range(start, end), "training", total=end - start):
            clock, waited = Clock(), self.waited()
            with clock.phase("whole"):
                with clock.phase("encode"):
                    examples = self.batches.at(number)
                clock.seconds["wait"] = self.waited() - waited
                clock.seconds["encode"] -= clock.seconds["wait"]
                self.learner.finish(number, self.step(number, examples, clock))
            self._complete(clock)
            if self.stop.signal is not None:
                self._save()
                self.stop.now()

    def _complete(self, clock: Clock) -> None:
        """What follows a step's updates: evaluate, log, save."""
        learner, config = self.learner, self.config
        assert learner.pending is not None
        values = learner.pending
        is_last = learner.step == config.train.steps  # what follows the last step is the run's own evaluation
        if config.eval.enabled and not is_last and _due(learner.step, config.eval.every_steps):
            with clock.phase("evaluate"):
                values = values | self.evaluate(f"step-{learner.step:06d}")
        self.folder.append_metrics(StepMetrics(learner.step, values))
        learner.pending = None
        self.track(learner.step, values)
        if self._save_due(is_last):
            with clock.phase("save"):
                self._save()
        self.folder.append_timings(learner.step, {**clock.seconds, "peak_bytes": peak_memory(learner.device)})

    def _save_due(self, is_last: bool) -> bool:
        steps, minutes = self.config.checkpoint.every_steps, self.config.checkpoint.every_minutes
        late = minutes > 0 and monotonic() - self._saved_at >= 60 * minutes
        changed = self.learner.standing.changed_at(self.learner.step)
        return _due(self.learner.step, steps) or late or changed or (is_last and steps > 0)

    def _save(self) -> None:
        """A checkpoint of where the learner stands, unless there is one."""
        if self._saved == self.learner.step:
            return
        self._write()
        settings, checkpoints = self.config.checkpoint, self.folder.checkpoints
        steps = [step for step, _ in checkpoints.all()]
        best = best_step(steps, self.folder.metrics(), settings.best or _best_metric(self.config))
        guarded = worth_keeping(steps, settings.every_steps, self.learner.standing, self.learner.step)
        checkpoints.keep(settings.keep, {best, *guarded})
        self._saved_at, self._saved = monotonic(), self.learner.step

    def _write(self) -> None:
        with self.folder.checkpoints.write(self.learner.step) as path:
            self.learner.save(path, self.config.fixed())


def best_step(steps: Sequence[int], rows: Sequence[Mapping[str, Any]], metric: str) -> int | None:
    """Of these steps the earliest at which the metric stood highest, "-loss" the loss lowest; None where it never was.

    It stands at its last value if an evaluation gave it, and else at the mean over the last WINDOW steps.
    """
    sign, name = (-1.0, metric[1:]) if metric.startswith("-") else (1.0, metric)
    known = [(row["step"], sign * row[name]) for row in rows if row.get(name) is not None]
    standing = {}
    for step in steps:
        values = [value for at, value in known if at <= step]
        if values:
            standing[step] = values[-1] if name.startswith("eval/") else fmean(values[-WINDOW:])
    return max(standing, key=standing.__getitem__, default=None)


def _best_metric(config: RunConfig) -> str:
    if config.eval.enabled and config.eval.every_steps:
        return f"eval/{config.eval.splits[0]}/accuracy"
    return "-loss" if config.run.method == "sft" else "reward/mean"


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
