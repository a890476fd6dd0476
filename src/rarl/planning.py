"""What a run will need, and what fits, before anything is loaded."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rarl.config import Model, RunConfig
from rarl.errors import ConfigError, ModelError
from rarl.policy.footprint import (
    GAPS,
    MOST,
    PROCESS_BYTES,
    feature_bytes,
    footprint,
    largest,
    micro_batch_tokens,
    needed_bytes,
)
from rarl.policy.loading import pick_device, pick_dtype, require_supported
from rarl.policy.sizes import Sizes, sizes_of
from rarl.policy.workload import Workload
from rarl.terminal import plain_table

if TYPE_CHECKING:
    from rich.table import Table

logger = logging.getLogger("rarl")

TEXT_TOKENS = 128  # of a prompt, beside its image: chat template, question, instruction
SHIPPED = {"Qwen/Qwen2-VL-2B-Instruct": "qwen2-vl-2b.json"}  # in rarl/assets/shapes
IMAGES = 1000  # of a split of evaluation that is not limited
UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container


@dataclass(frozen=True, slots=True)
class Limit:
    """A setting as it is, and the largest that fits beside the others; 0: none does, MOST: that or more."""

    name: str
    value: int
    largest: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Bytes by phase and part, what the device must have, what it has, and how far each setting may go."""

    config: RunConfig
    sizes: Sizes
    load: Workload
    device: str
    dtype: str
    memory: int
    phases: dict[str, dict[str, int]]
    needed: int
    limits: tuple[Limit, ...]

    @property
    def fits(self) -> bool:
        return self.needed <= self.memory


def plan(config: RunConfig, *, memory: str = "", prompt_tokens: int | None = None) -> Plan:
    """From the base's config.json alone. `memory` as "40GB"; by default the device's own, or the machine's.

    A prompt is taken to have model.max_vision_tokens and TEXT_TOKENS, or `prompt_tokens`. Errors: ConfigError for a
    memory that is none, ModelError for a base that can't be read or a device that isn't there.
    """
    if prompt_tokens is not None and prompt_tokens < 1:
        raise ConfigError(f"--prompt-tokens {prompt_tokens} must be at least 1")
    given = parse_memory(memory) if memory else None
    device = _device(config.model, given)
    dtype = pick_dtype(config.model.dtype, device)
    base = _base(config.model.base, config.model.trust_remote_code)
    sizes = sizes_of(base, config.lora, dtype, device, quantised=config.model.quantization == "4bit")
    load = workload(config, prompt_tokens)
    phases = footprint(sizes, load)
    room = given or _memory_of(device)
    return Plan(
        config=config,
        sizes=sizes,
        load=load,
        device=str(device),
        dtype=str(dtype).removeprefix("torch."),
        memory=room,
        phases=phases,
        needed=needed_bytes(sizes, phases),
        limits=tuple(_limits(sizes, load, room)),
    )


def _base(name: str, trust_remote_code: bool) -> Any:
    """The base's configuration; where it can't be had, the shape that ships with the package. Errors: ModelError."""
    from transformers import Qwen2VLConfig

    try:
        return require_supported(name, trust_remote_code)
    except ModelError:
        if name not in SHIPPED:
            raise
    shape = files("rarl.assets").joinpath("shapes", SHIPPED[name])
    return Qwen2VLConfig(**json.loads(shape.read_text(encoding="utf-8")))


def settled(config: RunConfig) -> RunConfig:
    """The config with micro-batches that fit the device; it is written down, so a run that is resumed has the same."""
    found = plan(config)
    if not found.fits:
        needed, room = found.needed / 1e9, found.memory / 1e9
        logger.warning("by `rarl plan` this run needs %.1f GB, and %s has %.1f", needed, found.device, room)
    asked, fits = config.train.tokens_per_batch, found.limits[0].largest
    if not fits or fits >= asked:  # where not a single completion fits, no smaller number helps
        return config
    logger.warning("train.tokens_per_batch is %d in this run: %d would take more memory than there is", fits, asked)
    return config.override([f"train.tokens_per_batch={fits}"])


def advice(config: RunConfig) -> str:
    """What makes a config smaller whose steps do not fit however they are cut, as `plan` sees it."""
    found = plan(config)
    changes = [f"{limit.name}={limit.largest}" for limit in found.limits[1:] if 0 < limit.largest < limit.value]
    if not found.load.checkpointing:
        changes.insert(0, "model.gradient_checkpointing=true")
    changes.append(f"a smaller model.max_vision_tokens or rollout.max_new_tokens than {config.rollout.max_new_tokens}")
    return (
        f"by rarl plan the run needs {found.needed / 1e9:.1f} GB, and {found.device} has {found.memory / 1e9:.1f}: "
        f"start a new one with {', or '.join(changes)}"
    )


def workload(config: RunConfig, prompt_tokens: int | None = None) -> Workload:
    """What a config asks for, with prompts of one image each."""
    model, rollout, train, evaluation = config.model, config.rollout, config.train, config.eval
    sft = config.run.method == "sft"
    prompt = prompt_tokens or model.max_vision_tokens + TEXT_TOKENS
    return Workload(
        groups=rollout.prompts_per_step,
        group_size=1 if sft else rollout.group_size,
        prompt_tokens=prompt,
        new_tokens=rollout.max_new_tokens,
        tokens_per_batch=train.tokens_per_batch,
        vision_tokens=min(prompt, model.max_vision_tokens),
        images=_images(config),
        samples=not sft,
        records=not train.resample,
        reference=bool(train.beta) and not sft,
        checkpointing=model.gradient_checkpointing,
        top_p=rollout.top_p < 1,
        evaluated=min(evaluation.prompts_per_batch, evaluation.limit or evaluation.prompts_per_batch)
        * evaluation.enabled,
        votes=evaluation.samples,
    )


def parse_memory(text: str) -> int:
    """Bytes of "40GB" or "39.5 GiB". ConfigError for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text, re.IGNORECASE)
    units = {unit.casefold(): size for unit, size in UNITS.items()}
    if not found or found[2].casefold() not in units or not float(found[1]):
        raise ConfigError(
            f"--memory {text!r} is no amount of memory: write a number and one of {', '.join(UNITS)}, as in 40GB"
        )
    return round(float(found[1]) * units[found[2].casefold()])


def _device(model: Model, memory: int | None) -> torch.device:
    """The config's; a CUDA device that isn't here can be planned for when its memory is given."""
    if memory and model.device.startswith("cuda") and not torch.cuda.is_available():
        return torch.device("cuda")
    return pick_device(model.device)


def _memory_of(device: torch.device) -> int:
    """In all, so that a plan is the same on every day."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        raise ConfigError("this machine does not tell its memory: say it, as --memory 16GB") from None
    limit = CGROUP_LIMIT.read_text().strip() if CGROUP_LIMIT.is_file() else ""
    return min(machine, int(limit)) if limit.isdigit() else machine


def _images(config: RunConfig) -> int:
    """How many images the run may see: one an example."""
    train, evaluation = config.train, config.eval
    seen = train.steps * config.rollout.prompts_per_step * (1 + train.resample)
    evaluated = (evaluation.limit or IMAGES) * len(evaluation.splits) * evaluation.enabled
    return min(seen, config.data.limit or seen) + evaluated


def _limits(sizes: Sizes, load: Workload, memory: int) -> Iterator[Limit]:
    """How far each setting may go by itself; beside a budget of training that fits, where the config's own does not."""
    budget = micro_batch_tokens(sizes, load, memory)
    yield Limit("train.tokens_per_batch", load.tokens_per_batch, budget)
    load = replace(load, tokens_per_batch=max(1, min(load.tokens_per_batch, budget)))

    def limit(setting: str, name: str) -> Limit:
        def fits(value: int) -> bool:
            changed: dict[str, Any] = {name: value}
            return needed_bytes(sizes, footprint(sizes, replace(load, **changed))) <= memory

        return Limit(setting, getattr(load, name), largest(fits))

    yield limit("rollout.prompts_per_step", "groups")
    if load.samples:
        yield limit("rollout.group_size", "group_size")
    yield limit("rollout.max_new_tokens", "new_tokens")
    if load.evaluated:
        yield limit("eval.prompts_per_batch", "evaluated")


def plan_tables(plan: Plan) -> list[Table]:
    """What is held, by part and phase; then how far each setting may go."""
    size, unit = (10**9, "GB") if plan.needed >= 10**9 else (10**6, "MB")
    title = f"{plan.config.model.base}, {plan.dtype} on {plan.device}: {unit} at the peak of each phase"
    held = plain_table(title, "")
    for phase in plan.phases:
        held.add_column(phase, justify="right")
    for part in dict.fromkeys(part for parts in plan.phases.values() for part, count in parts.items() if count):
        counts = (parts.get(part, 0) for parts in plan.phases.values())
        held.add_row(part, *(f"{count / size:,.2f}" if count else "" for count in counts))
    held.add_row("tensors", *(f"{sum(parts.values()) / size:,.2f}" for parts in plan.phases.values()), style="bold")
    limits = plain_table("How far each setting may go by itself", "")
    for column in ("config", "largest that fits"):
        limits.add_column(column, justify="right")
    for limit in plan.limits:
        most = f"{limit.largest:,}{' or more' * (limit.largest == MOST)}" if limit.largest else "none"
        limits.add_row(limit.name, f"{limit.value:,}", most, style="red" if limit.largest < limit.value else "")
    return [held, limits]


def plan_notes(plan: Plan) -> list[str]:
    """The verdict, and what was assumed."""
    load, kind = plan.load, "cuda" if plan.sizes.cuda else "cpu"
    room = f"{plan.needed / 1e9:.2f} of {plan.memory / 1e9:.2f} GB"
    notes = [
        f"{'Fits' if plan.fits else 'DOES NOT FIT'}: {room}, with {PROCESS_BYTES[kind] / 1e9:.1f} GB for the process "
        f"and {GAPS[kind]:.0%} for gaps between what comes and goes."
    ]
    if not plan.fits and not load.checkpointing:
        other = needed_bytes(plan.sizes, footprint(plan.sizes, replace(load, checkpointing=True)))
        if other < plan.needed:
            notes.append(f"With model.gradient_checkpointing=true: {other / 1e9:.2f} GB.")
    budget = plan.limits[0]
    if 0 < budget.largest < budget.value:
        notes.append(f"A run takes {budget.name}={budget.largest}; the other settings are beside that.")
    if not plan.sizes.cuda:
        notes.append(
            "Planned for the CPU; for a CUDA device say --set model.device=cuda --memory 40GB, or what it has."
        )
    notes.append(
        f"Prompts are taken to have {load.prompt_tokens:,} tokens, up to {load.vision_tokens:,} of them of one image "
        f"(--prompt-tokens N for others), and completions {load.new_tokens:,}."
    )
    features = feature_bytes(plan.sizes, load)
    notes.append(f"In RAM are the features of up to {load.images:,} images: {features / 1e9:.2f} GB.")
    return notes
