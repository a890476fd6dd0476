"""The tensors of one forward and backward: some groups, their completions padded to the longest."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from rarl.types import Prompt


@dataclass(frozen=True, slots=True)
class GroupBatch:
    """B completions of a few prompts. `sizes[g]` of them, in order, answer prompt g; sum(sizes) = B.

    completion_ids_BT: int64, right-padded with anything; mask_BT: bool, True on real tokens, the end token included;
    advantages_B: float32. Completions that could not be scored are not in here.
    """

    prompts: tuple[Prompt, ...]
    sizes: tuple[int, ...]
    completion_ids_BT: Tensor
    mask_BT: Tensor
    advantages_B: Tensor

    def __post_init__(self) -> None:
        B, T = self.completion_ids_BT.shape
        if self.mask_BT.shape != (B, T) or self.advantages_B.shape != (B,):
            raise ValueError(f"mask {self.mask_BT.shape} or advantages {self.advantages_B.shape} do not fit ({B}, {T})")
        if len(self.prompts) != len(self.sizes) or sum(self.sizes) != B:
            raise ValueError(f"{len(self.prompts)} prompts of sizes {self.sizes} do not cover {B} completions")
        if not bool(self.mask_BT[:, 0].all()) or bool((self.mask_BT[:, 1:] & ~self.mask_BT[:, :-1]).any()):
            raise ValueError("every mask row must be one run of True from its first column on")

    @property
    def lengths(self) -> list[int]:
        """Tokens of each completion [B]."""
        lengths: list[int] = self.mask_BT.sum(1).tolist()
        return lengths
