"""Settings of the guards: when a run's numbers count as gone bad, and what is done then (docs/reliability.md)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rarl.sections import Section

# Leave the step out; end the run; go on from an earlier state; look away.
Action = Literal["skip", "stop", "roll-back", "off"]


class Nonfinite(Section):
    action: Action = "skip"


class Kl(Section):
    action: Action = "stop"
    limit: float = Field(10.0, gt=0)  # a step's mean KL to the reference, in nats a token; looked at if train.beta > 0


class Entropy(Section):
    action: Action = "stop"
    limit: float = Field(0.01, gt=0)  # a step's mean entropy, in nats a token
    steps: int = Field(20, ge=1)  # so many in a row below it


class NoSignal(Section):
    action: Action = "stop"
    steps: int = Field(50, ge=1)  # so many in a row in which no group's rewards differ


class Unscored(Section):
    action: Action = "skip"
    limit: float = Field(0.5, ge=0, le=1)  # share of a step's completions that could not be scored


class Guards(Section):
    nonfinite: Nonfinite = Nonfinite()
    kl: Kl = Kl()
    entropy: Entropy = Entropy()
    no_signal: NoSignal = NoSignal()
    unscored: Unscored = Unscored()
    skips: int = Field(3, ge=0)  # steps left out one after the other; where one more should be, the run stops
    roll_backs: int = Field(3, ge=0)  # of a run; where one more should be, it stops

    def action(self, guard: str) -> Action:
        """What is done where this guard fires."""
        chosen: Action = getattr(self, guard).action
        return chosen

    @property
    def roll_back(self) -> bool:
        """Whether any of them would go back to an earlier state."""
        return any(self.action(guard) == "roll-back" for guard in GUARDS)


GUARDS = tuple(name for name, field in Guards.model_fields.items() if isinstance(field.default, Section))
