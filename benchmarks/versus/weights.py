"""The weights that both sides start from: a random checkpoint, and beside it a random adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from versus.case import Case

ADAPTER = "adapter.safetensors"


def build(case: Case, folder: Path) -> None:
    """Random weights as a plain checkpoint, and beside it an adapter whose B is random too: zeros are too easy."""
    from rarl.benchmarking import random_policy

    policy = random_policy(case.model, case.dtype, case.device)
    adapter = {name: value.detach().cpu().contiguous() for name, value in trained(policy.network)}
    policy.network.unload().save_pretrained(folder)
    policy.processor.save(folder)
    save_file(adapter, folder / ADAPTER)


def trained(network: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    """The adapter's parameters by PEFT's names."""
    return [(name, value) for name, value in network.named_parameters() if value.requires_grad]


def load_adapter(network: torch.nn.Module, folder: Path) -> None:
    """Copy the saved adapter into a fresh one, in place."""
    parameters, saved = dict(trained(network)), load_file(folder / ADAPTER)
    if parameters.keys() != saved.keys():
        raise SystemExit(f"the two sides train different parameters: {sorted(parameters.keys() ^ saved.keys())[:4]}")
    for name, value in saved.items():
        parameters[name].data.copy_(value)


@torch.no_grad()
def tiny_forward(network: Any) -> None:
    """One forward over two tokens: what is loaded lazily is loaded, and nothing of the step's size is."""
    network(input_ids=torch.zeros(1, 2, dtype=torch.long, device=next(network.parameters()).device))
