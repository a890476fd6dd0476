"""From a configuration to its judge."""

from __future__ import annotations

from rarl.config import RunConfig
from rarl.engines import NativeEngine
from rarl.judges import MadeJudge, make_judge
from rarl.policy import Policy
from rarl.policy.features import OFF


def judge_of(config: RunConfig) -> MadeJudge | None:
    """Whom rewards may ask: nobody for "rules", the default; a local judge is loaded on the run's own device."""
    return None if config.judge.kind == "rules" else evaluation_judge(config)


def evaluation_judge(config: RunConfig) -> MadeJudge:
    """The judge that a config names, the rules by default, which judge correctness alone."""
    settings = config.judge
    same_machine = config.model.model_copy(update={"base": settings.model, "adapter": "", "cache_dir": OFF})
    local = NativeEngine(Policy.load(same_machine)) if settings.kind == "local" else None
    return make_judge(settings, local=local, seed=config.run.seed)
