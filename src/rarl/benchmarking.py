"""One GRPO step on random weights of a true shape: what it costs in seconds and memory, without any download."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import torch
from PIL import Image

from rarl.config import Lora, RunConfig
from rarl.draws import Draws
from rarl.engines import NativeEngine
from rarl.errors import ConfigError
from rarl.policy import Policy
from rarl.policy.loading import pick_device, pick_dtype, resolve_base
from rarl.policy.processor import Processor
from rarl.prompting import ask, load_pool
from rarl.registry import nearest
from rarl.rewards import Scorer
from rarl.training.batches import Batches
from rarl.training.grpo import Grpo
from rarl.training.learner import Learner
from rarl.training.loop import Clock
from rarl.types import Example, Group, Prompt, Rollout, Score

PIXELS_PER_TOKEN = 28  # along each side of an image
MAX_VISION_TOKENS = 1280


def bench_step(
    shape: str = "tiny",
    dtype: str = "float32",
    device: str = "auto",
    *,
    vision_tokens: int = 256,
    group_size: int = 4,
    new_tokens: int = 16,
    groups: int = 1,
) -> dict[str, Any]:
    """Sample, forward, backward and update once; seconds by phase, counters, and peak memory in bytes.

    `shape` names a configuration in rarl/assets/shapes; the weights are random, the rewards made up.
    """
    config = RunConfig().override([f"rollout.group_size={group_size}", f"rollout.max_new_tokens={new_tokens}"])
    clock = Clock()
    with clock.phase("build"):
        policy = random_policy(shape, dtype, device)
    prompts = [_prompt(i, vision_tokens) for i in range(groups)]
    grpo = _grpo(policy, config)
    with clock.phase("vision"):
        for prompt in prompts:
            policy.encode(prompt)
    with clock.phase("sample"):
        rollouts = grpo.sample(prompts, Draws(0), step=1)
    with clock.phase("train"):
        grpo.update([_made_up_scores(group) for group in rollouts])
    return {
        "shape": shape,
        "vision_tokens": vision_tokens,
        "group_size": group_size,
        "new_tokens": new_tokens,
        "groups": groups,
        "dtype": dtype,
        "device": str(policy.device),
        **{f"{phase}_seconds": round(seconds, 3) for phase, seconds in clock.seconds.items()},
        "image_encodes": policy.vision.encodes,
        "tokens_computed": policy.language.tokens_computed,
        "weight_bytes": sum(p.numel() * p.element_size() for p in policy.base.parameters()),
        "peak_bytes": peak_memory(policy.device),
    }


def random_policy(shape: str, dtype: str, device: str) -> Policy:
    """Random weights of a named configuration behind the embedded tokenizer, a LoRA adapter of random B on top.

    Built in `dtype` at once: nothing ever holds the weights twice. Errors: ConfigError for an unknown shape.
    """
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    folder = files("rarl.assets").joinpath("shapes")
    known = sorted(path.name.removesuffix(".json") for path in folder.iterdir())
    if shape not in known:
        raise ConfigError(f"unknown shape {shape!r}{nearest(shape, known)} Known: {', '.join(known)}")
    tokenizer = Processor.load(resolve_base("tiny"), MAX_VISION_TOKENS).tokenizer
    processor = Processor(tokenizer, Qwen2VLImageProcessorPil(), MAX_VISION_TOKENS)
    values = json.loads(folder.joinpath(f"{shape}.json").read_text(encoding="utf-8"))
    values["image_token_id"] = processor.image_token_id
    end = tokenizer.eos_token_id
    values["text_config"] |= {"eos_token_id": end, "bos_token_id": None, "pad_token_id": end}
    place = pick_device(device)
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(pick_dtype(dtype, place))
    try:
        with place:
            network = Qwen2VLForConditionalGeneration(Qwen2VLConfig(**values))
    finally:
        torch.set_default_dtype(before)
    policy = Policy(network.requires_grad_(False).eval(), processor, Lora())
    for name, parameter in policy.network.named_parameters():
        if "lora_B" in name:  # zeros would make half of the backward trivial
            torch.nn.init.normal_(parameter.data, std=0.02)
    return policy


def peak_memory(device: torch.device) -> int:
    """Bytes: of the device's allocator, or the process's largest resident set on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@dataclass(frozen=True)
class _Pattern:
    """A square image of `tokens` vision tokens; its pixels don't matter."""

    number: int
    tokens: int
    name: str = field(default="pattern", compare=False)

    def read(self) -> Image.Image:
        side = round(self.tokens**0.5) * PIXELS_PER_TOKEN
        return Image.linear_gradient("L").rotate(self.number).resize((side, side)).convert("RGB")


def _prompt(number: int, vision_tokens: int) -> Prompt:
    example = Example(f"{number}", f"{number}", (_Pattern(number, vision_tokens),), "Is there a lesion?", "yes")
    return ask(example, load_pool("default").reasoning)


def _made_up_scores(rollouts: Sequence[Rollout]) -> Group:
    scores = tuple(Score(float(place % 2), {}) for place in range(len(rollouts)))
    advantages = tuple(1.0 if place % 2 else -1.0 for place in range(len(rollouts)))
    return Group(rollouts[0].prompt, tuple(rollouts), scores, advantages)


def _grpo(policy: Policy, config: RunConfig) -> Grpo:
    batches = Batches((), config.rollout.prompts_per_step, Draws(0))
    learner = Learner(policy, config.train)
    pool = load_pool(config.prompt.pool)
    scorer = Scorer(config.reward.weights, config.reward.gates)
    return Grpo(policy, NativeEngine(policy), learner, batches, pool, scorer, config, lambda step, groups: None)
