"""Which examples each step sees: a pure function of the seed and the step, so a resumed run goes on exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from rarl.draws import Draws
from rarl.types import Example


class Batches:
    """Passes over the examples, each in an order of its own, cut into steps of `size` without regard to the seams."""

    def __init__(self, examples: Sequence[Example], size: int, draws: Draws) -> None:
        self._examples, self.size = examples, size
        self._order = lru_cache(maxsize=2)(lambda epoch: shuffled(len(examples), draws.at("order", epoch)))

    def at(self, step: int) -> list[Example]:
        """The examples of one step."""
        places = range(step * self.size, (step + 1) * self.size)
        count = len(self._examples)
        return [self._examples[self._order(place // count)[place % count]] for place in places]

    def steps(self, start: int, stop: int) -> Iterator[tuple[int, list[Example]]]:
        """(step, its examples) from `start` up to `stop`."""
        for step in range(start, stop):
            yield step, self.at(step)

    def others(self, taken: Sequence[Example], count: int, draws: Draws) -> list[Example]:
        """Up to `count` further examples that are not among the taken ones, drawn at random."""
        ids = {example.id for example in taken}
        places = shuffled(len(self._examples), draws)
        return [self._examples[place] for place in places if self._examples[place].id not in ids][:count]


def shuffled(count: int, draws: Draws) -> list[int]:
    """The numbers below `count` in random order."""
    order = list(range(count))
    draws.stream().shuffle(order)
    return order
