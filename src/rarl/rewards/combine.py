"""One total a completion, from parts, weights and gates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from rarl.config import RunConfig
from rarl.errors import RewardError
from rarl.registry import rewards as registry
from rarl.rewards.calling import Batch, RewardFunction, RewardLog, applying, call_all, in_range
from rarl.rewards.columns import COLUMNS, columns, row_columns
from rarl.rewards.judging import AskedJudge
from rarl.types import Example, Judge, Rollout, Score, Shape

Parts = Mapping[str, float | None]


class Scorer:
    """Scores completions: total = sum over parts k of w_k r_k x the product of the parts that gate k.

    A part that does not apply to a prompt is absent from its completions' parts and from their totals, also as a gate.
    A part of weight 0 is computed and shown but counts for nothing.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        gates: Mapping[str, Sequence[str]] | None = None,
        extra: Sequence[str] = (),
        judge: Judge | None = None,
        on_error: str = "none",
        timeout: float = 0.0,
    ) -> None:
        """`extra` are paths as "file.py:function"; `weights` has them by the function's name, else they weigh 1.

        `judge` is there for rewards that name it; what it fails on is not scored, counted, and warned of once. What a
        reward raises on is not scored either, or with `on_error` "stop" a RewardError that names reward and example.
        So is a call of one of `extra` that takes longer than `timeout` seconds; 0: it may take any time.

        Errors: RarlError for a reward that is unknown, or two of one name.
        """
        own: dict[str, str] = {}
        for path in extra:
            name = path.rpartition(":")[2]
            if name in own or (path != name and name in registry.names()):
                raise RewardError(f"reward.extra: {path!r} bears the name of another reward; rename the function")
            own[name] = path
        self.weights = {**weights, **{name: 1.0 for name in own if name not in weights}}
        self.gates = {part: tuple(names) for part, names in (gates or {}).items() if part in self.weights}
        self.log = RewardLog(stops=on_error == "stop")
        asked = AskedJudge(judge, lambda count: self.log.fail("judge", count)) if judge is not None else None
        self._functions = [
            RewardFunction(name, registry.get(own.get(name, name)), asked, timeout if name in own else 0.0)
            for name in self.weights
        ]

    @classmethod
    def of(cls, config: RunConfig, judge: Judge | None = None) -> Scorer:
        """The scorer of a run's configuration; `judge` is what its judge.kind names."""
        reward = config.reward
        return cls(reward.weights, reward.gates, reward.extra, judge, reward.on_error, reward.timeout)

    def score(self, rollouts: Sequence[Rollout], step: int = 0) -> list[Score]:
        """The scores of completions of any prompts, in order; rewards see `step` as trainer_state.global_step."""
        return [Score(self.total(parts), parts) for parts in self.parts(rollouts, step)]

    def parts(self, rollouts: Sequence[Rollout], step: int = 0) -> list[dict[str, float | None]]:
        """Each completion's parts: None where scoring failed, absent where the reward does not apply to the prompt."""
        if not rollouts:
            return []
        lists = columns([rollout.prompt for rollout in rollouts])
        batch = Batch(
            {
                "prompts": [[dict(message) for message in rollout.prompt.messages] for rollout in rollouts],
                "completions": [[{"role": "assistant", "content": rollout.text}] for rollout in rollouts],
                "completion_ids": [list(rollout.token_ids) for rollout in rollouts],
                **lists,
            },
            self.log.hooks(step),
        )
        values = call_all(self._functions, batch, self.log)
        rows = [{name: lists[name][i] for name in COLUMNS} for i in range(len(rollouts))]
        applies = {function.name: applying(function, rows, self.log) for function in self._functions}
        return [
            {name: values[name][i] if applies[name][i] else None for name in values if applies[name][i] is not False}
            for i in range(len(rollouts))
        ]

    def total(self, parts: Parts) -> float | None:
        """The weighted sum; None if no weighted part is there, or one or its gate could not be scored.

        None too, and counted as a failure of "total", where weights or gates bring a part beyond the range of values.
        """
        terms = self.gated(parts)
        weighted = [self.weights[name] * value for name, value in terms.items()] if terms else []
        if not all(map(in_range, weighted)):
            self.log.fail("total")
            return None
        return math.fsum(weighted) if weighted else None

    def failed_on(self, score: Score) -> bool:
        """Whether a part with weight applies, and yet there is no total."""
        return score.total is None and any(self.weights[name] for name in score.parts)

    def gated(self, parts: Parts) -> dict[str, float] | None:
        """Each part that is there and has weight, times its gates: what the total adds up by weight.

        None if one of them or its gate could not be scored.
        """
        gated: dict[str, float] = {}
        for name, weight in self.weights.items():
            if weight and name in parts:
                factors = [parts[name], *(parts[gate] for gate in self.gates.get(name, ()) if gate in parts)]
                if None in factors:
                    return None
                gated[name] = math.prod(factor for factor in factors if factor is not None)
        return gated

    def unused(self, examples: Iterable[Example], shapes: Iterable[Shape]) -> list[tuple[str, str]]:
        """Rewards that have weight but apply to none of the examples in any of the shapes, each with the reason."""
        waiting = {f.name: f for f in self._functions if self.weights[f.name] and f.applies is not None}
        shapes = tuple(shapes)
        count = 0
        for example in examples:
            count += 1
            rows = [row_columns(example, shape) for shape in shapes]
            # Whether one that raises applies is not known; that it raised is a warning of its own.
            used = [name for name, f in waiting.items() if set(applying(f, rows, RewardLog())) != {False}]
            for name in used:
                del waiting[name]
            if not waiting:
                break
        return [(name, f"applies to none of {count} examples: it needs {f.needs}") for name, f in waiting.items()]

    @property
    def asks_judge(self) -> bool:
        """Whether there is a judge and a reward with weight that asks it."""
        return any(f.asks_judge and self.weights[f.name] for f in self._functions)

    def take_log(self) -> RewardLog:
        """What was logged and failed since the last call."""
        taken, self.log = self.log, RewardLog(stops=self.log.stops)
        return taken
