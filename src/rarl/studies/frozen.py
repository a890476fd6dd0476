"""What a study's file pins besides settings: the embedded checkpoint, the benchmark's words, the instructions."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from importlib.resources import files

from rarl.errors import ConfigError
from rarl.prompting import load_pool
from rarl.studies.design import Study


def fingerprints(study: Study) -> dict[str, str]:
    """A short hash of each."""
    checkpoint = (files("rarl") / "assets" / "tiny" / "model.safetensors").read_bytes()
    words = files("rarl.data.phantom")
    pools = sorted({study.config(arm, study.seeds[0]).prompt.pool for arm in study.arms})
    instructions = [dataclasses.asdict(load_pool(pool)) for pool in pools]
    return {
        "checkpoint": _short(checkpoint),
        "wordings": _short(b"".join((words / name).read_bytes() for name in ("wordings.toml", "words.toml"))),
        "instructions": _short(json.dumps(instructions, sort_keys=True).encode()),
    }


def require_frozen(study: Study) -> None:
    """ConfigError where one is not what the study's file says."""
    for wrong in _wrong(study):
        raise ConfigError(wrong)


def _wrong(study: Study) -> Iterator[str]:
    found = fingerprints(study)
    for name, wanted in study.frozen.items():
        if wanted != found[name]:
            yield (
                f"frozen.{name} is {wanted}, but here it is {found[name]}: results could not be set beside those of "
                "the study's file; for a study of your own, change it there"
            )


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]
