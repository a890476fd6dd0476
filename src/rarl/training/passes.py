"""What the passes over a step's completions add up to, and what a later one needs of those before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from rarl.algo.batch import GroupBatch
from rarl.training.findings import Rows
from rarl.training.metrics import LossSums
from rarl.training.parity import Parity


@dataclass
class Progress:
    """After some passes. Log-probs are a row for each completion, so that batches may be cut anew between passes."""

    sums: LossSums = field(default_factory=LossSums)
    parity: Parity = field(default_factory=Parity)
    rows: Rows = field(default_factory=Rows)  # of the last pass
    olds: list[Tensor] = field(default_factory=list)  # under the policy that sampled: its own first forward
    references: list[Tensor] = field(default_factory=list)  # under the reference; none without a KL

    def begun(self) -> Progress:
        """The same before one more pass, of which this one will know nothing: it may have to be repeated."""
        sums = replace(self.sums, passes=self.sums.passes + 1)
        return Progress(sums, replace(self.parity), Rows(), list(self.olds), self.references)


def to_rows(batch: GroupBatch, values_BT: Tensor) -> list[Tensor]:
    """Each completion's values without its padding."""
    return [row_T[:length] for row_T, length in zip(values_BT, batch.lengths, strict=True)]


def to_padded(rows: Sequence[Tensor]) -> Tensor:
    """Completions' values as a batch holds them [B, T], 0 on padding."""
    return pad_sequence(list(rows), batch_first=True)
