"""What a run's rewards would pay for, looked at before it starts."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from rarl.config import RunConfig
from rarl.errors import RewardError
from rarl.prompting import Pool
from rarl.rewards import Probe, Scorer, probe
from rarl.types import Example, Shape

logger = logging.getLogger("rarl")

PROBED = 4  # examples that rewards are probed on at the start of a run


def probe_at_start(examples: Sequence[Example], config: RunConfig, pool: Pool) -> Probe | None:
    """A short look, without the judge, at whether a known way of gaming pays: a warning, or a RewardError.

    None where reward.probe is "off". It has a scorer of its own, so nothing of it is in what the run logs.
    """
    if config.reward.probe == "off":
        return None
    probed = probe(examples, Scorer.of(config), pool, count=PROBED)
    if probed.paying:
        worst = max(probed.paying, key=lambda outcome: outcome.margin or 0.0)
        by = f", by {' and '.join(worst.paid_by)}" if worst.paid_by else ""
        share = f"{len(probed.paying)} of {len(probed.outcomes)} known ways of gaming"
        told = f"{share} would pay, {worst.name!r} the most{by}"
        if config.reward.probe == "stop":
            raise RewardError(f'{told}; see them with rarl probe, or set reward.probe = "warn"')
        logger.warning("%s; rarl probe shows them all", told)
    return probed


def warn_of_unused(scorer: Scorer, examples: Sequence[Example], config: RunConfig, pool: Pool) -> None:
    """Name the rewards that can apply to no example, and a judge that no reward asks."""
    for reward, why in scorer.unused(examples, _shapes(config, pool)):
        logger.warning("reward %s %s; it will pay for nothing", reward, why)
    if config.judge.kind != "rules" and not scorer.asks_judge:
        logger.warning("no reward asks the judge %s; grounding does, if it has a weight", config.judge.kind)


def _shapes(config: RunConfig, pool: Pool) -> set[Shape]:
    """The shapes that training prompts may have."""
    templates = pool.templates if config.prompt.diversity else (pool.inference(config.prompt.reasoning),)
    return {template.shape for template in templates}
