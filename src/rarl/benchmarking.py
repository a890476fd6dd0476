"""One GRPO step on random weights of a true shape: what it costs in seconds and memory, without any download."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import torch
from PIL import Image

from rarl.algo.losses import OBJECTIVES, normaliser, policy_loss
from rarl.config import Lora, RunConfig
from rarl.draws import Draws
from rarl.engines import NativeEngine
from rarl.errors import ConfigError
from rarl.policy import Policy
from rarl.policy.half import is_slow
from rarl.policy.loading import pick_device, pick_dtype, resolve_base
from rarl.policy.plain import plain_completion, plain_logprobs
from rarl.policy.processor import Processor
from rarl.prompting import ask, load_pool
from rarl.registry import nearest
from rarl.rewards import Scorer
from rarl.roofline import Lengths, device_rates, step_work
from rarl.training.batches import Batches
from rarl.training.grouping import to_batch
from rarl.training.grpo import Grpo
from rarl.training.learner import Learner
from rarl.training.metrics import peak_memory
from rarl.types import Example, Group, Prompt, Rollout, Score

PIXELS_PER_TOKEN = 28  # along each side of an image
MAX_VISION_TOKENS = 1280
PHASES = ("sampling", "reference", "forward", "backward", "optimizer")
LARGE = 1_000_000_000  # parameters with which, on a CPU, neither the plain path nor a warm-up is run unasked


def bench_step(
    shape: str = "tiny",
    dtype: str = "float32",
    device: str = "auto",
    *,
    vision_tokens: int = 256,
    group_size: int = 4,
    new_tokens: int = 16,
    groups: int = 1,
    plain: bool | None = None,
) -> dict[str, Any]:
    """A step after one that warmed up: seconds by phase, counters and peak memory in bytes.

    Beside it the same step on the plain path (each completion by itself through transformers' own forward and
    generate), and the least that it could take on this device. `shape` names a configuration in rarl/assets/shapes;
    the weights are random, the rewards made up. `plain` None leaves the plain path out of large shapes on a CPU.
    Seconds are the CPU's on the CPU, the wall's on CUDA. Errors: ConfigError for an unknown shape.
    """
    policy = random_policy(shape, dtype, device)
    policy.end_ids = ()  # every completion has `new_tokens` tokens
    prompts = [_prompt(i, vision_tokens) for i in range(groups)]
    settings = [f"rollout.group_size={group_size}", f"rollout.max_new_tokens={new_tokens}"]
    grpo = _grpo(policy, RunConfig().override(settings))
    parameters = sum(parameter.numel() for parameter in policy.base.parameters())
    slow = policy.device.type == "cpu" and parameters >= LARGE
    measured = {"rarl": _shared_step(policy, grpo, prompts, warm_up=not slow)}
    plain = not slow if plain is None else plain
    if plain:
        measured["plain"] = _plain_step(policy, grpo, prompts)
    prompt_tokens = [len(policy.encode(prompt)) for prompt in prompts]
    return {
        "shape": shape,
        "vision_tokens": vision_tokens,
        "group_size": group_size,
        "new_tokens": new_tokens,
        "groups": groups,
        "dtype": dtype,
        "device": str(policy.device),
        **measured,
        "ratio": _ratios(measured["plain"], measured["rarl"]) if plain else None,
        "floor": _floor(policy, [Lengths(tokens, (new_tokens,) * group_size) for tokens in prompt_tokens]),
        "weight_bytes": sum(p.numel() * p.element_size() for p in policy.base.parameters()),
    }


def _shared_step(policy: Policy, grpo: Grpo, prompts: Sequence[Prompt], *, warm_up: bool) -> dict[str, Any]:
    """Sampling and update as training does them, of a step that keeps what sampling computed."""
    meter = _Meter(policy.device)
    with meter.phase("vision"):
        for prompt in prompts:
            policy.encode(prompt)
    if warm_up:
        grpo.update([_made_up_scores(group) for group in grpo.sample(prompts, Draws(0), step=1)])
    reference, learn, backward = policy.reference_logprobs, grpo.learner.update, torch.Tensor.backward
    policy.reference_logprobs = meter.timed("reference", reference)  # type: ignore[method-assign]
    grpo.learner.update = meter.timed("optimizer", learn)  # type: ignore[method-assign]
    torch.Tensor.backward = meter.timed("backward", backward)  # type: ignore[method-assign]
    before = policy.language.tokens_computed
    try:
        with meter.phase("sampling"):
            rollouts = grpo.sample(prompts, Draws(1), step=1)
        with meter.phase("update"):
            grpo.update([_made_up_scores(group) for group in rollouts])
    finally:
        torch.Tensor.backward = backward  # type: ignore[method-assign]
        policy.reference_logprobs, grpo.learner.update = reference, learn  # type: ignore[method-assign]
    inside = sum(meter.seconds[name] for name in ("reference", "backward", "optimizer"))
    meter.seconds["forward"] = meter.seconds.pop("update") - inside
    return {
        "seconds": meter.report(),
        "vision_seconds": round(meter.seconds["vision"], 4),  # once a run and image, not in the step
        "image_encodes": policy.vision.encodes,
        "tokens": policy.language.tokens_computed - before,
        "peak_bytes": peak_memory(policy.device),
    }


def _plain_step(policy: Policy, grpo: Grpo, prompts: Sequence[Prompt]) -> dict[str, Any]:
    """The same step, each completion by itself: its prompt and its images computed every time."""
    rollout, train = grpo.config.rollout, grpo.config.train
    meter = _Meter(policy.device)
    with meter.phase("sampling"):
        groups = [
            _made_up_scores(
                [plain_completion(policy, prompt, rollout.max_new_tokens, seed) for seed in range(rollout.group_size)]
            )
            for prompt in prompts
        ]
    batch = to_batch(groups)
    with meter.phase("reference"), torch.no_grad(), policy.network.disable_adapter():
        reference_BT = plain_logprobs(policy, batch, rollout.temperature)
    objective = OBJECTIVES[train.loss]
    n = normaliser(objective, batch.lengths, rollout.max_new_tokens)
    with meter.phase("forward"):
        logprobs_BT = plain_logprobs(policy, batch, rollout.temperature)
        advantages_B, mask_BT = batch.advantages_B.to(policy.device), batch.mask_BT.to(policy.device)
        output = policy_loss(
            objective,
            logprobs_BT,
            logprobs_BT.detach(),
            advantages_B,
            mask_BT,
            reference_BT=reference_BT,
            beta=train.beta,
            n=n,
        )
    with meter.phase("backward"):
        output.loss.backward()
    with meter.phase("optimizer"):
        grpo.learner.update()
    asked = [rollout.prompt for group in groups for rollout in group.rollouts]
    return {
        "seconds": meter.report(),
        # In sampling, reference and forward; sampling does not feed the last token.
        "image_encodes": 3 * sum(len(prompt.example.images) for prompt in asked),
        "tokens": sum(3 * (len(policy.encode(prompt)) + n) - 1 for prompt, n in zip(asked, batch.lengths, strict=True)),
        "peak_bytes": peak_memory(policy.device),  # of the process: no less than that of the step before
    }


def _ratios(plain: dict[str, Any], shared: dict[str, Any]) -> dict[str, float]:
    """How many times less each phase, and the step, takes when what is shared is computed once."""
    return {name: round(plain["seconds"][name] / max(shared["seconds"][name], 1e-9), 2) for name in (*PHASES, "step")}


def _floor(policy: Policy, groups: Sequence[Lengths]) -> dict[str, Any]:
    """Seconds that the step's operations and bytes take at the rates measured on the device."""
    dtype = policy.head_VH.dtype
    slow = is_slow(policy.device.type, dtype)
    rates = device_rates(policy.device, torch.float32 if slow else dtype)
    work = step_work(
        policy.base.model.language_model.config,
        groups,
        policy.head_VH.element_size(),
        recorded=policy.device.type != "cuda",
    )
    seconds = {phase: rates.seconds(of) for phase, of in work.items()}
    return {
        "flops_per_second": rates.flops,
        "bytes_per_second": rates.bytes,
        "seconds": {
            "sampling": seconds["prefill"] + seconds["decode"],
            **{phase: seconds[phase] for phase in ("reference", "forward", "backward")},
            "step": sum(seconds.values()),
        },
    }


class _Meter:
    """Seconds by phase: of the CPU on a CPU, of the wall on CUDA."""

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        self._cuda = device.type == "cuda"

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = self._now()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + self._now() - start

    def timed(self, name: str, function: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            with self.phase(name):
                return function(*arguments, **named)

        return call

    def report(self) -> dict[str, float]:
        seconds = {name: self.seconds.get(name, 0.0) for name in PHASES}
        return {name: round(value, 4) for name, value in {**seconds, "step": sum(seconds.values())}.items()}

    def _now(self) -> float:
        if self._cuda:
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()


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
