"""What a run leaves behind for others: a PEFT adapter with its processor and a card, or a merged checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from rarl.config import Model, RunConfig
from rarl.errors import ModelError
from rarl.files import folder_aside, read_json, require_free, write_json, write_text
from rarl.policy import Policy
from rarl.policy.adapters import CONFIG, WEIGHTS
from rarl.policy.loading import load_base, require_supported, resolve_base
from rarl.policy.processor import Processor

RUN_CARD = "run_card.json"


def save_adapter(policy: Policy, config: RunConfig, folder: Path, results: Sequence[Mapping[str, Any]]) -> None:
    """The trained adapter as plain transformers + PEFT load it, with processor and run card.

    Where the run started from another adapter, both are written as one of the summed rank: it belongs to the base
    alone. Errors: ModelError if the two can't be joined.
    """
    with folder_aside(folder) as aside:
        policy.network.save_pretrained(aside, save_embedding_layers=False)  # "auto" would ask the hub about the base
        if config.model.adapter:
            _join(Path(config.model.adapter), aside)
        policy.processor.save(aside)
        trained = sum(value.numel() for value in policy.network.parameters() if value.requires_grad)
        write_json(aside / RUN_CARD, {**_card(config, results), "trainable_parameters": trained})
        write_text(aside / "README.md", _readme(config))


def export_merged(base: str, adapter: str, out: Path) -> Path:
    """Base + adapter as one plain transformers checkpoint in `out`, which must be new or empty."""
    if not adapter:
        raise ModelError("no adapter to merge; give the folder of one in PEFT's format")
    out = require_free(out)
    require_supported(base)
    model = load_base(Model(base=base, adapter=adapter, device="cpu"))
    processor = Processor.load(resolve_base(base), Model().max_vision_tokens)
    with folder_aside(out) as aside:
        model.save_pretrained(aside)
        processor.save(aside)
    return out


def _join(first: Path, folder: Path) -> None:
    """Make the adapter in `folder` the sum of `first` and itself: A stacked by rows, scaled B by columns."""
    configs = [json.loads((path / CONFIG).read_text()) for path in (first, folder)]
    weights = [load_file(path / WEIGHTS) for path in (first, folder)]
    scales = [_scale(config, path) for config, path in zip(configs, (first, folder), strict=True)]
    ranks: dict[str, int] = {}
    joined: dict[str, torch.Tensor] = {}
    for module in sorted({name.partition(".lora_")[0] for tensors in weights for name in tensors}):
        a, b = f"{module}.lora_A.weight", f"{module}.lora_B.weight"
        parts = [
            (tensors[a], scale * tensors[b]) for tensors, scale in zip(weights, scales, strict=True) if a in tensors
        ]
        joined[a] = torch.cat([part[0] for part in parts]).contiguous()
        joined[b] = torch.cat([part[1] for part in parts], dim=1).contiguous()
        ranks[module.removeprefix("base_model.model.")] = len(joined[a])
    save_file(joined, folder / WEIGHTS, metadata={"format": "pt"})
    # The scales are in B already: alpha = rank everywhere. Targets by their full names, as the two may differ.
    config = configs[1] | {"target_modules": sorted(ranks), "rank_pattern": ranks, "alpha_pattern": ranks}
    write_json(folder / CONFIG, config)


def require_joinable(adapter: str) -> None:
    """ModelError unless what is trained on top of this adapter can be saved with it; told before the training."""
    path = Path(adapter)
    if (path / CONFIG).is_file():
        _scale(read_json(path / CONFIG), path)


def _scale(config: Mapping[str, Any], path: Path) -> float:
    numbers = all(isinstance(config.get(key), int | float) for key in ("lora_alpha", "r"))
    plain = numbers and not any(
        config.get(key) for key in ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "modules_to_save")
    )
    if config.get("peft_type") != "LORA" or not plain or config.get("bias", "none") != "none":
        raise ModelError(
            f"the adapter {path} is no plain LoRA, so it can't be joined; export it with --merge and start from that"
        )
    return float(config["lora_alpha"]) / float(config["r"])


def _card(config: RunConfig, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "base": config.model.base,
        "trust_remote_code": config.model.trust_remote_code,
        "started_from_adapter": config.model.adapter or None,
        "method": config.run.method,
        "data": {"name": config.data.name, "split": config.data.split, "limit": config.data.limit},
        "steps": config.train.steps,
        "seed": config.run.seed,
        "config_digest": config.digest(),
        "results": list(results),
    }


def _readme(config: RunConfig) -> str:
    return f"""---
library_name: peft
base_model: {config.model.base}
---
# LoRA adapter trained with rarl ({config.run.method})

Base model `{config.model.base}`, data set `{config.data.name}` ({config.data.split}), {config.train.steps} steps, seed
{config.run.seed}. What it was measured at is in `run_card.json`. For research only: not for clinical use.

```python
from peft import PeftModel
from transformers import AutoModelForImageTextToText

base = AutoModelForImageTextToText.from_pretrained("{config.model.base}")
model = PeftModel.from_pretrained(base, "path/to/this/folder")
```
"""
