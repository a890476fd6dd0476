"""The tensors of one forward and backward: some groups, their completions padded to the longest."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from rarl.types import Prompt


@dataclass(frozen=True, slots=True)
class GroupBatch:
    """B completions of a few prompts. `sizes[g]` of them, in order, answer prompt g; sum(sizes) = B.

    completion_ids_BT: int64, right-padded with anything; mask_BT: bool, True on real tokens, the end token included;
    advantages_B: float32; sampled_BT: float32, the sampler's log-probs. Completions that could not be scored are not in
    here.
    """

    prompts: tuple[Prompt, ...]
    sizes: tuple[int, ...]
    completion_ids_BT: Tensor
    mask_BT: Tensor
    advantages_B: Tensor
    sampled_BT: Tensor

    def __post_init__(self) -> None:
        B, T = self.completion_ids_BT.shape
        for name, shape in {"mask_BT": (B, T), "advantages_B": (B,), "sampled_BT": (B, T)}.items():
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"{name} of shape {tuple(getattr(self, name).shape)} does not fit completions ({B}, {T})"
                )
        if len(self.prompts) != len(self.sizes) or sum(self.sizes) != B:
            raise ValueError(f"{len(self.prompts)} prompts of sizes {self.sizes} do not cover {B} completions")
        if not bool(self.mask_BT[:, 0].all()) or bool((self.mask_BT[:, 1:] & ~self.mask_BT[:, :-1]).any()):
            raise ValueError("every mask row must be one run of True from its first column on")

    @property
    def lengths(self) -> list[int]:
        """Tokens of each completion [B]."""
        lengths: list[int] = self.mask_BT.sum(1).tolist()
        return lengths
