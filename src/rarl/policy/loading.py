"""From a name to a network: the base model, on a device, with errors that say how to get it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from rarl.config import Lora, Model
from rarl.errors import ModelError
from rarl.hub import go_offline_if_unreachable
from rarl.policy.adapters import merged, refuse_pickle
from rarl.policy.quantised import four_bit_config

logger = logging.getLogger("rarl")

TINY = "tiny"  # the embedded checkpoint's name
SUPPORTED = ("qwen2_vl", "qwen2_5_vl")
MOMENT_BYTES = 100_000_000  # weights that need no progress bar
DTYPES = ("float32", "bfloat16", "float16")


def resolve_base(base: str) -> str:
    """A folder or hub id that transformers can load. "tiny" is the embedded checkpoint."""
    if base == TINY:
        return str(files("rarl.assets").joinpath("tiny"))
    folder = Path(base).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelError(f"{folder} is no checkpoint: it has no config.json")
        return str(folder)
    if folder.is_absolute() or base.startswith((".", "~")) or base.count("/") != 1:
        raise ModelError(
            f'base model {base!r} does not exist; give a folder, a hub id like "Qwen/Qwen2-VL-2B-Instruct", or "tiny"'
        )
    go_offline_if_unreachable()
    return base


def pick_device(name: str) -> torch.device:
    """The named device, or with "auto" a CUDA device where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ModelError(f"model.device {name!r} is no device; use auto, cpu, cuda or cuda:0") from None
    if device.type not in ("cpu", "cuda"):
        raise ModelError(f"model.device {name!r} is not supported; use auto, cpu, cuda or cuda:0")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelError(
            "model.device is cuda, but torch sees no CUDA device; set model.device=cpu or install a CUDA build"
        )
    try:
        torch.empty(1, device=device)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"model.device {name!r} cannot be used: {reason} Use auto, cpu, cuda or cuda:0") from None
    return device


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """The named dtype, or with "auto" bfloat16 on CUDA and float32 elsewhere."""
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if name not in DTYPES:
        raise ModelError(f"model.dtype {name!r} is none of auto, {', '.join(DTYPES)}")
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def require_supported(base: str, trust_remote_code: bool = False) -> Any:
    """The base's configuration; reads its config.json alone. ModelError if it isn't there, or can't be trained, or
    brings code of its own that is not trusted."""
    from transformers import AutoConfig, PreTrainedConfig

    path = resolve_base(base)
    with _told_if_unfit(base):
        values, _ = PreTrainedConfig.get_config_dict(path)
        brings_code = bool(values.get("auto_map"))
    if brings_code and not trust_remote_code:
        raise ModelError(
            f"base model {base!r} brings Python code of its own (auto_map in its config.json), which is not run; where "
            "you have read and trust it, set model.trust_remote_code = true"
        )
    with _told_if_unfit(base):
        config = AutoConfig.from_pretrained(path, trust_remote_code=trust_remote_code)
    if config.model_type not in SUPPORTED:
        raise ModelError(f"base model {base!r} is a {config.model_type}; supported are {', '.join(SUPPORTED)}")
    return config


def load_base(config: Model) -> Any:
    """The frozen Qwen2-VL or Qwen2.5-VL network of a config, a `config.adapter` merged in."""
    from transformers import AutoModelForImageTextToText
    from transformers.utils import logging as transformers_logging

    repeatable(config.deterministic)
    base, device = resolve_base(config.base), pick_device(config.device)
    if _loads_in_a_moment(base):
        transformers_logging.disable_progress_bar()
    refuse_pickle(Path(base), "model.safetensors", f"base model {config.base!r}")
    if config.trust_remote_code:
        logger.warning("model.trust_remote_code is on: Python code that comes with %s may run", config.base)
    options: dict[str, Any] = {
        "dtype": pick_dtype(config.dtype, device),
        "trust_remote_code": config.trust_remote_code,
        "use_safetensors": True,  # never a pickle, from the hub neither
    }
    if config.quantization == "4bit":
        if config.adapter:
            raise ModelError(
                "model.adapter is merged into the base, and 4-bit weights would round it away: "
                "merge it with `rarl export --merge` and give that folder as model.base"
            )
        options |= {"quantization_config": four_bit_config(options["dtype"]), "device_map": {"": device}}
    with _told_if_unfit(config.base):
        model: Any = AutoModelForImageTextToText.from_pretrained(base, **options)
    if config.adapter:
        model = merged(model, config.adapter, config.base)
    model.requires_grad_(False)
    model.eval()
    return model if config.quantization == "4bit" else model.to(device)


def repeatable(deterministic: bool) -> None:
    """For the whole process: whether CUDA gives the same bytes each time. torch warns of an operation that can't.

    https://docs.pytorch.org/docs/stable/notes/randomness.html
    """
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is first used
    torch.use_deterministic_algorithms(deterministic, warn_only=True)


@contextmanager
def threads_for(base: str) -> Iterator[None]:
    """One thread of torch for the embedded checkpoint, whose products are too small to share: it is faster, and any
    number of cores gives the same bytes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if base == TINY else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _loads_in_a_moment(base: str) -> bool:
    weights = [file.stat().st_size for file in Path(base).glob("*.safetensors")]
    return bool(weights) and sum(weights) < MOMENT_BYTES


@contextmanager
def _told_if_unfit(base: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # files cut short, edited or of another model: transformers raises nearly anything
        remedy = (
            "The folder is incomplete or damaged; get the model anew, or give another folder."
            if Path(base).expanduser().is_dir()
            else f"Get it with `hf download {base}` where there is a network, or give a local folder."
        )
        raise ModelError(f"base model {base!r} could not be loaded: {first_line(error)} {remedy}") from error


def first_line(error: Exception) -> str:
    """What an error says, on one line: its first, unless that only leads to the second."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1])
    return text if text and not isinstance(error, LookupError) else f"{type(error).__name__}: {text}"


def lora_target(model: Any, lora: Lora) -> str:
    """A pattern of the language model's linears: the vision tower and the merger stay frozen."""
    linears = {
        name.rpartition(".")[2]
        for name, module in model.model.language_model.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    missing = [name for name in lora.targets if name not in linears]
    if missing or not lora.targets:
        raise ModelError(
            f"lora.targets {missing or '()'}: the language model's linears are {', '.join(sorted(linears))}"
        )
    return rf".*language_model.*\.({'|'.join(lora.targets)})"
