"""The optimizer: AdamW on the adapter, a learning rate that is a function of the step, and both on disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from rarl.config import Train
from rarl.errors import RarlError
from rarl.files import read_json, write_json
from rarl.policy import Policy
from rarl.training.metrics import Values

STATE = "state.json"
BETAS = (0.9, 0.99)  # a second moment that forgets faster than AdamW's usual 0.999 suits runs of a few hundred steps


def learning_rate(step: int, config: Train) -> float:
    """Linear warm-up over the first steps, then constant, or down to 0 in a line or half a cosine."""
    warm_up = min(1.0, (step + 1) / (config.warmup_steps + 1))
    left = max(0.0, (config.steps - step) / max(1, config.steps - config.warmup_steps))
    decay = {"constant": 1.0, "linear": min(1.0, left), "cosine": 0.5 - 0.5 * math.cos(math.pi * min(1.0, left))}
    return config.lr * warm_up * decay[config.schedule]


@dataclass
class Standing:
    """What guards, and memory that ran out, leave for later steps; a step that is repeated adds nothing to it."""

    since: dict[str, int] = field(default_factory=dict)  # by guard the first of the steps in a row that it counts
    rolled_back: list[tuple[int, int]] = field(default_factory=list)  # (the step, that whose state was taken)
    cuts: list[tuple[int, str, int]] = field(default_factory=list)  # (the step, of what less is done at once, how much)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Standing:
        rolled_back = [(step, to) for step, to in value["rolled_back"]]
        return cls(dict(value["since"]), rolled_back, [(step, what, size) for step, what, size in value["cuts"]])

    @property
    def sizes(self) -> dict[str, int]:
        """What has been cut, to how much."""
        return {what: size for _, what, size in self.cuts}

    def changed_at(self, step: int) -> bool:
        """Whether that happened in this step which must be on disk before the next one builds on it."""
        return any(at == step for at, *_ in (*self.rolled_back, *self.cuts))


class Learner:
    """The trained parameters of a policy and their optimizer. `step` is the next step to take.

    `pending` has the metrics of the step before, as long as they are not written down.
    """

    def __init__(self, policy: Policy, config: Train) -> None:
        self._config = config
        self._network = policy.network
        self._named = {name: value for name, value in policy.network.named_parameters() if value.requires_grad}
        self._optimizer = torch.optim.AdamW(
            self._named.values(), lr=config.lr, betas=BETAS, weight_decay=config.weight_decay
        )
        self.step = 0
        self.pending: Values | None = None
        self.standing = Standing()
        self._updated = False

    @property
    def between_steps(self) -> bool:
        """Whether all updates of a step have been made, or none: what may be saved."""
        return not self._updated

    def finish(self, step: int, values: Values) -> None:
        """All updates of this step have been made; these are its metrics."""
        self.step, self.pending, self._updated = step + 1, values, False

    @property
    def device(self) -> torch.device:
        device: torch.device = next(iter(self._named.values())).device
        return device

    def update(self, allowed: Callable[[float], bool] = lambda norm: True) -> tuple[float, float | None]:
        """Apply the gradients that have gathered, if their norm, before clipping, is allowed; else drop them.

        The norm and the learning rate, None where they were dropped. What is not finite is never applied: RarlError.
        """
        norm = float(torch.nn.utils.clip_grad_norm_(self._named.values(), self._config.max_grad_norm))
        rate = None
        if allowed(norm):
            if not math.isfinite(norm):
                raise RarlError(
                    f"step {self.step + 1}: the gradient is {norm} and was not applied; "
                    "lower train.lr, or set model.dtype to float32 or bfloat16"
                )
            rate = learning_rate(self.step, self._config)
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            self._updated = True
            self._optimizer.step()
        self.drop()
        return norm, rate

    def drop(self) -> None:
        """Forget the gradients that have gathered."""
        self._optimizer.zero_grad(set_to_none=True)

    def save(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Adapter, in PEFT's format, optimizer, step and settings into a folder: all that cannot be computed again.

        The adapter counts on what the run began with: on the base, or on the base with another adapter.
        """
        self._network.save_pretrained(folder / "adapter", save_embedding_layers=False)
        moments = {
            f"{key}/{name}": self._optimizer.state[value][key].contiguous()
            for name, value in self._named.items()
            for key in self._optimizer.state[value]
        }
        save_file(moments, folder / "optimizer.safetensors")
        state = {"step": self.step, "pending": self.pending, "standing": asdict(self.standing), "config": settings}
        write_json(folder / STATE, state)

    def load(self, folder: Path) -> None:
        """Go on from what `save` wrote."""
        state = read_json(folder / STATE)
        self._restore(folder)
        self.step, self.pending = int(state["step"]), state["pending"]
        if "standing" in state:  # a checkpoint may be older than guards are
            self.standing = Standing.from_json(state["standing"])

    def go_back(self, folder: Path) -> None:
        """Take adapter and optimizer from what `save` wrote, and stay at this step, which counts as updated."""
        self._updated = True
        self._restore(folder)

    def _restore(self, folder: Path) -> None:
        from peft import set_peft_model_state_dict  # there since the policy has an adapter; evaluating does without

        set_peft_model_state_dict(self._network, load_file(folder / "adapter" / "adapter_model.safetensors"))
        self._optimizer.state.clear()
        for key, tensor in load_file(folder / "optimizer.safetensors").items():
            moment, _, name = key.partition("/")
            parameter = self._named[name]
            self._optimizer.state[parameter][moment] = tensor if moment == "step" else tensor.to(parameter.device)
