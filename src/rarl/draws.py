"""Named, seeded draws: every random choice is a pure function of (seed, name of the choice).

Nothing here has a state that moves, so a resumed run and a run cut into other batches draw the same.
"""

import hashlib
import random
from dataclasses import dataclass

Name = str | int


@dataclass(frozen=True, slots=True)
class Draws:
    """A point in a tree of named seeds: `Draws(0).at("rollout", step, row)` is one stream."""

    seed: int
    path: tuple[Name, ...] = ()

    def at(self, *names: Name) -> "Draws":
        """The draws one or more names further down."""
        return Draws(self.seed, (*self.path, *names))

    def integer(self) -> int:
        """The stream's own seed, uniform in [0, 2**63)."""
        text = repr((self.seed, *self.path)).encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1

    def stream(self) -> random.Random:
        """A fresh generator for this name; asking twice gives the same numbers twice."""
        return random.Random(self.integer())
