"""Images when they are needed: what was sound as the run began may be gone, or damaged, days later."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from rarl.errors import DataError
from rarl.policy import Policy
from rarl.runlog import RunFolder
from rarl.training.learner import Learner
from rarl.training.memory import IMAGES, Memory
from rarl.types import Example, ImageSource

logger = logging.getLogger("rarl")


@dataclass(frozen=True)
class Reading:
    """Of one run's examples; `skip` says whether it goes on without those whose images can't be read."""

    policy: Policy
    learner: Learner
    folder: RunFolder
    skip: bool

    def begin(self, examples: Sequence[Example]) -> None:
        """Read their images meanwhile: they are next."""
        self.policy.vision.begin(image for example in examples for image in example.images)

    def waited(self) -> float:
        """Seconds, so far, that nothing was done but read images."""
        return self.policy.vision.waited

    def usable(self, example: Example) -> bool:
        """Whether each of its images is encoded, which it is from here on; one that isn't gets a row in guards.jsonl.

        DataError instead, where the run does not go on without it.
        """
        try:
            for image in example.images:
                self._encode(image)
        except DataError as error:
            self._told(example, str(error))
            return False
        return True

    def _encode(self, image: ImageSource) -> None:
        Memory(self.policy, self.learner).fitting(IMAGES, 1, lambda _: self.policy.vision.of(image), lambda _: 0)

    def _told(self, example: Example, why: str) -> None:
        step = self.learner.step + 1
        if not self.skip:
            raise DataError(
                f"step {step}: example {example.id!r}: {why}; put it back and go on with rarl train --resume "
                f'{self.folder.path}, or begin a run with data.on_error = "skip"'
            )
        logger.warning("step %d: example %s is replaced by another: %s", step, example.id, why)
        row = {"guard": "unreadable", "action": "replaced", "says": why, "rows": [{"id": example.id}]}
        self.folder.append_firing(step, row)
