"""From a configuration to its judge."""

from __future__ import annotations

from rarl.config import RunConfig
from rarl.engines import NativeEngine
from rarl.judges import MadeJudge, make_judge
from rarl.policy import Policy
from rarl.policy.features import OFF


def judge_of(config: RunConfig) -> MadeJudge | None:
    """The judge that a config names, a local one loaded on the run's own device; none for "rules"."""
    settings = config.judge
    if settings.kind == "rules":
        return None
    same_machine = config.model.model_copy(update={"base": settings.model, "adapter": "", "cache_dir": OFF})
    local = NativeEngine(Policy.load(same_machine)) if settings.kind == "local" else None
    return make_judge(settings, local=local, seed=config.run.seed)
