"""Where a run is watched besides its own files: TensorBoard, W&B or trackio, through accelerate's trackers."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rarl.config import RunConfig
from rarl.extras import needed_for
from rarl.runlog import RunFolder
from rarl.training.loop import Track
from rarl.training.metrics import Values


def require_trackers(names: Sequence[str]) -> None:
    """MissingExtraError unless every tracker's package is there: accelerate itself would go on without it."""
    for name in names:
        with needed_for(f"tracking.trackers = [{name!r}]"):
            importlib.import_module("accelerate")
            importlib.import_module(name)


@contextmanager
def tracking(config: RunConfig, folder: RunFolder) -> Iterator[Track]:
    """A function that passes a step's numbers on to the configured trackers; only numbers leave the run."""
    if not config.tracking.trackers:
        yield lambda step, values: None
        return
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True, log_with=list(config.tracking.trackers), project_dir=str(folder.path))
    accelerator.init_trackers(config.run.name or "rarl", config={"config": config.digest(), "seed": config.run.seed})

    def track(step: int, values: Values) -> None:
        accelerator.log({name: value for name, value in values.items() if value is not None}, step=step)

    try:
        yield track
    finally:
        accelerator.end_training()
