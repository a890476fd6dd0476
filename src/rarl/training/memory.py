"""Memory that runs out within a step: less is computed at once, from there on, and what failed is repeated."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from rarl.errors import MemoryShortError
from rarl.policy import Policy
from rarl.training.learner import Learner
from rarl.training.metrics import Values

logger = logging.getLogger("rarl")

# Of a micro-batch of training; sampled together; encoded at once.
TOKENS, PROMPTS, IMAGES = "tokens_per_batch", "prompts_per_batch", "images_per_batch"
_WHERE = {
    TOKENS: "in training on one completion at a time",
    PROMPTS: "in sampling for one prompt at a time",
    IMAGES: "in encoding one image",
}
_OF_THE_HOST = ("not enough memory", "can't allocate memory")  # as torch says it, in a RuntimeError

Result = TypeVar("Result")


class Memory:
    """How much is computed at once in one run; what has been cut is in the learner's `standing`, and so on disk."""

    def __init__(self, policy: Policy, learner: Learner) -> None:
        self._policy, self._learner = policy, learner

    def fitting(self, what: str, asked: int, attempt: Callable[[int], Result], smaller: Callable[[int], int]) -> Result:
        """The attempt's result with as much at once as was asked for, or with what `smaller` makes of it.

        The attempt begins without gradients each time. Errors: MemoryShortError where `smaller` gives 0.
        """
        while True:
            size = min(asked, self._learner.standing.sizes.get(what, asked))
            try:
                return attempt(size)
            except (MemoryError, RuntimeError) as error:
                if not ran_out(error):
                    raise
            self._release()  # after the except, where what the failed attempt held is free
            self._cut(what, smaller(size))

    def values(self) -> Values:
        """For the metrics of a step: what has been cut, to how much."""
        return {f"memory/{what}": float(size) for what, size in self._learner.standing.sizes.items()}

    @property
    def short(self) -> bool:
        """Whether it has run out before."""
        return bool(self._learner.standing.cuts)

    def _cut(self, what: str, size: int) -> None:
        standing, step = self._learner.standing, self._learner.step + 1
        if not size:
            standing.cuts = [cut for cut in standing.cuts if cut[0] < step]  # of no use: more memory is needed
            raise MemoryShortError(f"step {step}: memory ran out {_WHERE[what]}")
        standing.cuts.append((step, what, size))
        logger.warning("step %d: memory ran out; %s is %d from here on", step, what, size)

    def _release(self) -> None:
        self._learner.drop()
        self._policy.recording = None
        gc.collect()
        if self._policy.device.type == "cuda":
            torch.cuda.empty_cache()


def ran_out(error: BaseException) -> bool:
    """Whether it says that memory, the device's or the host's, is at its end."""
    said = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in said for words in _OF_THE_HOST)
