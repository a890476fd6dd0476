"""Supervised fine-tuning: the arm that RARL is compared with. Same adapter, same data order, same evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rarl.config import RunConfig
from rarl.draws import Draws
from rarl.errors import DataError
from rarl.policy import Policy
from rarl.prompting import Pool, ask, render
from rarl.training.findings import Pass, Rows
from rarl.training.grouping import group_batches, halved, scored_lengths, scored_rollouts
from rarl.training.learner import Learner
from rarl.training.loop import Clock
from rarl.training.memory import TOKENS, Memory
from rarl.training.metrics import LossSums, Values, finite
from rarl.types import Example, Finish, Group, Prompt, Rollout, Score


@dataclass(frozen=True)
class Supervised:
    """One optimizer step on reference answers, or on reference rationales and answers."""

    policy: Policy
    learner: Learner
    pool: Pool
    config: RunConfig
    allow: Callable[[Pass], bool] = lambda seen: True  # the guards' word, before the update

    def step(self, step: int, examples: list[Example], clock: Clock) -> Values:
        """The mean negative log-likelihood of the target tokens, lowered by one step."""
        draws = Draws(self.config.run.seed).at("step", step)
        groups = [self._demonstration(example, draws) for example in examples]
        memory, asked = Memory(self.policy, self.learner), self.config.train.tokens_per_batch
        with clock.phase("train"):
            sums, rows = memory.fitting(TOKENS, asked, partial(self._pass, groups), partial(self._smaller, groups))
            seen = Pass(scored_rollouts(groups), rows, sums.loss)
            sums.grad_norm, sums.lr = self.learner.update(lambda norm: self.allow(replace(seen, norm=norm)))
        values = sums.means(with_kl=False)
        kept = {name: values[name] for name in ("loss", "entropy", "grad_norm", "lr")}
        return finite(kept | {"completion/tokens": sums.tokens} | memory.values())

    def _pass(self, groups: Sequence[Group], budget: int) -> tuple[LossSums, Rows]:
        """The gradients of all targets, in micro-batches of at most so many tokens."""
        sums, rows, tokens = LossSums(passes=1), Rows(), sum(scored_lengths(groups))
        for batch in group_batches(groups, budget, self._prompt_length):
            logprobs_BT, entropy_BT = self.policy.logprobs(batch, temperature=1.0)
            loss = -logprobs_BT.sum() / tokens
            loss.backward()
            sums.loss += float(loss.detach())
            sums.entropy += float(entropy_BT.detach().sum())
            sums.tokens += sum(batch.lengths)
            rows.add(batch, logprobs_BT, entropy_BT)
        return sums, rows

    def _smaller(self, groups: Sequence[Group], budget: int) -> int:
        return halved(group_batches(groups, budget, self._prompt_length), self._prompt_length)

    def _prompt_length(self, prompt: Prompt) -> int:
        return len(self.policy.encode(prompt))

    def _demonstration(self, example: Example, draws: Draws) -> Group:
        """The example's target as the one completion of a group."""
        prompt = self._prompt(example, draws)
        rationale = example.rationale if prompt.shape.reasons else None
        text = render(prompt.shape, rationale, example.answer)
        token_ids = tuple(self.policy.processor.completion_ids(text))
        rollout = Rollout(prompt, token_ids, (0.0,) * len(token_ids), text, Finish.STOP, seed=0)
        return Group(prompt, (rollout,), (Score(1.0, {}),), (1.0,))

    def _prompt(self, example: Example, draws: Draws) -> Prompt:
        """An instruction whose shape fits the target, drawn among all of the pool that do under diversity prompting."""
        reasons = self.config.sft.target == "rationale"
        if not self.config.prompt.diversity:
            return ask(example, self.pool.inference(reasons))
        fitting = [template for template in self.pool.templates if template.shape.reasons is reasons]
        return ask(example, draws.at("template", example.id).stream().choice(fitting))


def check_targets(examples: Sequence[Example], target: str) -> None:
    """DataError unless every example has what the target needs."""
    lacking = [example.id for example in examples if target == "rationale" and not example.rationale]
    if lacking:
        raise DataError(
            f"sft.target is rationale, but {len(lacking)} of {len(examples)} examples have none (first: {lacking[0]}); "
            "set sft.target=answer, or bring data with rationales"
        )
