"""From a configuration to its judge: who it is, whether it can be asked, and whether it rewarded the training."""

from __future__ import annotations

from collections.abc import Sequence

from rarl.config import JudgeSection, RunConfig
from rarl.engines import NativeEngine
from rarl.errors import JudgeError, RarlError
from rarl.judges import MadeJudge, make_judge
from rarl.policy import Policy
from rarl.policy.features import OFF
from rarl.rewards import Scorer
from rarl.types import JudgeQuery, Verdict


def evaluation_judge(config: RunConfig) -> MadeJudge:
    """The judge that a config names, the rules by default; a local one is loaded on the run's own device."""
    settings = config.judge
    own = {"base": settings.model, "adapter": "", "cache_dir": OFF, "trust_remote_code": False}
    same_machine = config.model.model_copy(update=own)
    local = NativeEngine(Policy.load(same_machine)) if settings.kind == "local" else None
    return make_judge(settings, local=local, seed=config.run.seed)


def judge_of(config: RunConfig) -> MadeJudge | None:
    """Whom rewards may ask: nobody for "rules", the default. JudgeError where nobody can be asked."""
    return rewarding(config, evaluation_judge(config))


def rewarding(config: RunConfig, judge: MadeJudge) -> MadeJudge | None:
    """The config's judge as rewards may ask it. Errors: JudgeError, told before there is anything to lose."""
    if config.judge.kind == "rules":
        return None
    if trouble := judge.trouble():
        raise JudgeError(trouble)
    return judge


def trained_with(config: RunConfig) -> JudgeSection | None:
    """The judge that rewards the training of this config; None where no reward asks one."""
    if config.run.method != "grpo":
        return None
    try:
        asked = Scorer.of(config, _nobody).asks_judge
    except RarlError:  # a reward of one's own that isn't there any more may have asked it
        asked = True
    return config.judge if asked else None


def _nobody(queries: Sequence[JudgeQuery]) -> list[Verdict]:
    raise AssertionError("this judge is only there to be named")
