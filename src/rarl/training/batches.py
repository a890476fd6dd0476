"""Which examples each step sees: a pure function of the seed and the step, so a resumed run goes on exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import islice

from rarl.draws import Draws
from rarl.errors import DataError
from rarl.types import Example


class Batches:
    """Passes over the examples, each in an order of its own, cut into steps of `size` without regard to the seams.

    `usable` is asked of every example before it is given away; another is drawn in the place of one that is not.
    `begin` is told of those of the step after, which will be asked about.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        size: int,
        draws: Draws,
        usable: Callable[[Example], bool] = lambda example: True,
        begin: Callable[[Sequence[Example]], None] = lambda examples: None,
    ) -> None:
        self._examples, self.size, self._draws, self._usable = examples, size, draws, usable
        self._begin = begin
        self._order = lru_cache(maxsize=2)(lambda epoch: shuffled(len(examples), draws.at("order", epoch)))

    def at(self, step: int) -> list[Example]:
        """The examples of one step: `size` of them, unless there are not so many that are usable.

        DataError if there is none.
        """
        planned = self._planned(step)
        found = [example for example in planned if self._usable(example)]
        if missing := len(planned) - len(found):
            found += self.others(planned, missing, self._draws.at("instead", step))
        if not found:
            count = len(self._examples)
            raise DataError(f"step {step + 1}: none of the {count} examples to train on can be used any more")
        self._begin(self._planned(step + 1))
        return found

    def _planned(self, step: int) -> list[Example]:
        places = range(step * self.size, (step + 1) * self.size)
        count = len(self._examples)
        return [self._examples[self._order(place // count)[place % count]] for place in places]

    def others(self, taken: Sequence[Example], count: int, draws: Draws) -> list[Example]:
        """Up to `count` further examples that are not among the taken ones, drawn at random."""
        ids = {example.id for example in taken}
        order = (self._examples[place] for place in shuffled(len(self._examples), draws))
        return list(islice((each for each in order if each.id not in ids and self._usable(each)), count))


def shuffled(count: int, draws: Draws) -> list[int]:
    """The numbers below `count` in random order."""
    order = list(range(count))
    draws.stream().shuffle(order)
    return order
