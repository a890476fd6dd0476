"""Guards: a step whose numbers went bad is left out, ends the run, or sends it back to a state from before."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence

from rarl.checkpoints import Checkpoint
from rarl.config import RunConfig
from rarl.errors import GuardError
from rarl.guarding import Action
from rarl.runlog import RunFolder
from rarl.training.findings import Finding, Found, Pass, look
from rarl.training.learner import Learner, Standing
from rarl.types import Rollout

logger = logging.getLogger("rarl")

SKIPPED = "skipped"  # in a Standing's `since`, beside the names of guards
_GRAVITY: tuple[Action, ...] = ("skip", "roll-back", "stop")
_REMEDIES = {
    "nonfinite": "set guards.nonfinite.action=roll-back, or start a new run with a lower train.lr",
    "kl": "raise guards.kl.limit",
    "entropy": "lower guards.entropy.limit",
    "no_signal": "raise guards.no_signal.steps",
    "unscored": "mend what leaves them unscored, or raise guards.unscored.limit",
}


class Guards:
    """Those of one run, between each gradient and the optimizer."""

    def __init__(self, config: RunConfig, learner: Learner, folder: RunFolder) -> None:
        self._settings, self._every = config.guards, config.checkpoint.every_steps
        self._learner, self._folder = learner, folder

    def allow(self, seen: Pass) -> bool:
        """Whether the optimizer may take the gradient; logged where not. GuardError where a guard stops the run.

        Where it says no the learner is as it was, or stands where a roll-back has led.
        """
        standing, step = self._learner.standing, self._learner.step + 1
        firing = _counted(standing.since, look(seen, self._settings), step)
        if not firing:
            standing.since.pop(SKIPPED, None)
            return True
        gravest = max(firing, key=lambda finding: _GRAVITY.index(self._settings.action(finding.guard)))
        before = self._before(firing, step)
        action, because = self._action(gravest, before, step)
        to = before if action == "roll-back" else None
        for finding in firing:
            self._folder.append_firing(step, _row(finding, action, to))
        if action == "stop":
            raise GuardError(f"step {step}: {gravest.says}{because}; {self._told(gravest, before, step)}")
        logger.warning("step %d: %s; %s", step, gravest.says, f"back to step {to.step}" if to else "skipped")
        if to:
            self._learner.go_back(to.path)
            standing.rolled_back.append((step, to.step))
            standing.since.clear()
        return False

    def _action(self, gravest: Finding, before: Checkpoint | None, step: int) -> tuple[Action, str]:
        """What is to be done; and why, where that is more than was asked for."""
        settings, standing = self._settings, self._learner.standing
        action = settings.action(gravest.guard)
        if action == "skip" and step - standing.since.setdefault(SKIPPED, step) >= settings.skips:
            return "stop", f", after {settings.skips} steps skipped in a row (guards.skips)"
        if action == "roll-back" and len(standing.rolled_back) >= settings.roll_backs:
            return "stop", f", after {settings.roll_backs} roll-backs (guards.roll_backs)"
        if action == "roll-back" and before is None:
            return "stop", ", and no sound checkpoint is there to go back to"
        return action, ""

    def _before(self, firing: Sequence[Finding], step: int) -> Checkpoint | None:
        """The newest sound checkpoint from before any of what fires began."""
        standing, known = self._learner.standing, {each.step: each for each in self._folder.checkpoints.all()}
        begin = min(standing.since.get(finding.guard, step) for finding in firing)
        found = (known[step] for step in anchors(known, self._every, standing, begin))
        return next((checkpoint for checkpoint in found if not checkpoint.damage), None)

    def _told(self, gravest: Finding, before: Checkpoint | None, step: int) -> str:
        """Where to look, and how to go on."""
        back = f", from step {before.step} with guards.{gravest.guard}.action=roll-back" if before else ""
        stands = f"from step {step - 1}" if self._learner.between_steps else "from the checkpoint before"
        path = self._folder.path
        return (
            f"the completions are in {path}/guards.jsonl; {_REMEDIES[gravest.guard]} (--set), and go on {stands} "
            f"with rarl train --resume {path}{back}"
        )


def anchors(steps: Collection[int], every: int, standing: Standing, begin: int) -> Iterator[int]:
    """Those of the checkpoints' steps to which a guard may go back that counts from step `begin`, newest first.

    What step `begin` found bad are the weights of the step before, so it must be one earlier; or the start. Of one
    that was written by the clock or on a signal another run of the same configuration knows nothing, and what a
    roll-back has left behind it was left for a reason.
    """
    for step in sorted(steps, reverse=True):
        early = step == 0 or step < begin - 1
        planned = step == 0 or (every > 0 and step % every == 0) or any(step == at for at, _ in standing.rolled_back)
        if early and planned and not any(to < step < at for at, to in standing.rolled_back):
            yield step


def worth_keeping(steps: Collection[int], every: int, standing: Standing, step: int) -> set[int]:
    """Those to which some guard may yet go back, after `step` steps."""
    begins = {step + 1, *standing.since.values()}
    return {found for begin in begins if (found := next(anchors(steps, every, standing, begin), None)) is not None}


def _counted(since: dict[str, int], found: Mapping[str, Found], step: int) -> list[Finding]:
    """Those that fire, as they have been found for as many steps in a row as it takes. What was not looked at stays."""
    for guard, finding in found.items():
        if finding is None:
            since.pop(guard, None)
        else:
            since.setdefault(guard, step)
    return [each for each in found.values() if each and step - since[each.guard] + 1 >= each.steps]


def _row(finding: Finding, action: Action, to: Checkpoint | None) -> dict[str, object]:
    row: dict[str, object] = {"guard": finding.guard, "action": action, "says": finding.says}
    row |= {"value": finding.value, "limit": finding.limit, "rows": [_named(each) for each in finding.rollouts]}
    return row | {"to": to.step} if to else row


def _named(rollout: Rollout) -> dict[str, object]:
    """What finds a completion in rollouts.jsonl."""
    prompt = rollout.prompt
    return {
        "id": prompt.example.id,
        "template": prompt.template.id,
        "seed": rollout.seed,
        "tokens": len(rollout.token_ids),
    }
