"""Where a run is watched besides its own files: TensorBoard, W&B or trackio, through accelerate's trackers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rarl.config import RunConfig
from rarl.errors import MissingExtraError
from rarl.extras import needed_for
from rarl.runlog import RunFolder
from rarl.training.loop import Track
from rarl.training.metrics import Values


@contextmanager
def tracking(config: RunConfig, folder: RunFolder) -> Iterator[Track]:
    """A function that passes a step's numbers on to the configured trackers; only numbers leave the run."""
    if not config.tracking.trackers:
        yield lambda step, values: None
        return
    with needed_for("tracking.trackers"):
        from accelerate import Accelerator

    try:
        accelerator = Accelerator(cpu=True, log_with=list(config.tracking.trackers), project_dir=str(folder.path))
        accelerator.init_trackers(config.run.name, config={"config": config.digest(), "seed": config.run.seed})
    except (ImportError, ValueError) as error:
        names = " ".join(config.tracking.trackers)
        raise MissingExtraError(
            f"tracking.trackers: {error}; install it with `pip install {names}`, or leave it out: metrics.jsonl has all"
        ) from None

    def track(step: int, values: Values) -> None:
        accelerator.log({name: value for name, value in values.items() if value is not None}, step=step)

    try:
        yield track
    finally:
        accelerator.end_training()
