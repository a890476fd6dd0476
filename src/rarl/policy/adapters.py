"""A LoRA adapter in PEFT's format: whether it belongs to the base that it is put on, and both as one network."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import safe_open

from rarl.errors import ModelError, RunFolderError
from rarl.extras import needed_for
from rarl.files import read_json

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def merged(model: Any, adapter: str, base: str) -> Any:
    """The base with an adapter added to its weights: what follows starts from, and is compared with, both.

    Errors: ModelError, with both names, for what is no adapter, or was made for another base.
    """
    with needed_for("model.adapter"):
        from peft import PeftModel

    folder = Path(adapter).expanduser()
    refuse_pickle(folder, WEIGHTS, f"the adapter {adapter}")
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ModelError(f"{adapter} is no adapter: it has no {name}; give a folder in PEFT's format")
    _require_same_base(folder, adapter, base)
    try:
        with quiet_peft():
            # PEFT only warns of weights that it doesn't find, and goes on with zeros in their place.
            warnings.filterwarnings("error", message="Found missing adapter keys")
            network = PeftModel.from_pretrained(model, str(folder))
            _require_all_taken(network, folder)
            return network.merge_and_unload()
    except Exception as error:  # PEFT raises nearly anything on files that are edited or of another kind
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise ModelError(f"the adapter {adapter} does not fit the base model {base!r}: {reason}") from error


def refuse_pickle(folder: Path, wanted: str, what: str) -> None:
    """ModelError for weights that are there as a pickle alone: reading one may run any code."""
    pickles = [path.name for ending in ("bin", "pt", "pth") for path in folder.glob(f"*model*.{ending}")]
    if pickles and not any(folder.glob("*model*.safetensors")):
        raise ModelError(
            f"{what} has its weights as {min(pickles)}, a pickle, which may run code when it is read and is never "
            f"loaded; where you trust it, save it anew with save_pretrained, which writes {wanted}"
        )


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Without a warning that no user can heed: PEFT asks transformers by a name that is going out of use."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
        yield


def _require_same_base(folder: Path, adapter: str, base: str) -> None:
    """By the last part of the name: a copy of `org/Name` in a folder is called Name too."""
    try:
        made_for = read_json(folder / CONFIG).get("base_model_name_or_path")
    except RunFolderError as error:
        raise ModelError(f"the adapter {adapter} does not fit the base model {base!r}: {error}") from None
    if isinstance(made_for, str) and made_for and not _names(made_for) & _names(base):
        raise ModelError(
            f"the adapter {adapter} was trained for the base model {made_for!r}, not for {base!r}; if these are one "
            f"model, say so as base_model_name_or_path in its {CONFIG}"
        )


def _names(base: str) -> set[str]:
    """What a model may be called: a folder by its own name and what it is a link to, in the hub's cache by its id."""
    path = Path(base).expanduser()
    cached = [part.rpartition("--")[2] for part in path.parts if part.startswith("models--")]
    return {name.casefold() for name in (path.name, path.resolve().name, *cached)}


def _require_all_taken(network: Any, folder: Path) -> None:
    """PEFT drops what its configuration doesn't name without a word."""
    from peft import get_peft_model_state_dict

    taken = get_peft_model_state_dict(network, save_embedding_layers=False)
    with safe_open(folder / WEIGHTS, framework="pt") as file:
        held: Sequence[str] = list(file.keys())
    if len(held) > len(taken):
        raise ValueError(
            f"it holds {len(held)} tensors, of which its {CONFIG} and the base name {len(taken)} "
            f"(first: {min(set(held) - set(taken), default=held[0])})"
        )
