"""The GRPO step on a network of random weights, with rewards made up by the tests."""

from collections.abc import Callable, Sequence

import pytest
import torch

import small_model
from rarl.config import RunConfig
from rarl.draws import Draws
from rarl.engines import NativeEngine
from rarl.policy.plain import plain_logprobs
from rarl.prompting import load_pool
from rarl.rewards import RewardLog
from rarl.training.batches import Batches
from rarl.training.grouping import to_batch
from rarl.training.grpo import Grpo
from rarl.training.learner import Learner
from rarl.training.loop import Clock
from rarl.types import Group, Rollout, Score

PROMPTS = [small_model.prompt(f"Question {i}?", images=1, seed=i) for i in range(3)]
EXAMPLES = [prompt.example for prompt in PROMPTS]
SMALL = ["rollout.group_size=4", "rollout.max_new_tokens=8", "rollout.prompts_per_step=3", "train.warmup_steps=0"]


class MadeUp:
    """Scores a completion by a function of it."""

    def __init__(self, total: Callable[[Rollout], float | None]) -> None:
        self._total = total

    def take_log(self) -> RewardLog:
        return RewardLog()

    def failed_on(self, score: Score) -> bool:
        return score.total is None

    def score(self, rollouts: Sequence[Rollout], step: int) -> list[Score]:
        return [Score(total, {"made_up": total}) for total in map(self._total, rollouts)]


def early_share(rollout: Rollout) -> float:
    """The share of tokens in the lower half of the vocabulary."""
    return sum(token < 160 for token in rollout.token_ids) / len(rollout.token_ids)


def grpo(total: Callable[[Rollout], float | None], *overrides: str) -> tuple[Grpo, list[Sequence[Group]]]:
    config = RunConfig().override([*SMALL, *overrides])
    policy = small_model.policy()
    written: list[Sequence[Group]] = []
    batches = Batches(EXAMPLES, config.rollout.prompts_per_step, Draws(0))
    learner = Learner(policy, config.train)
    pool = load_pool("default")
    engine = NativeEngine(policy)
    scorer = MadeUp(total)
    write = lambda step, groups: written.append(groups)  # noqa: E731
    return Grpo(policy, engine, learner, batches, pool, scorer, config, write), written  # type: ignore[arg-type]


def gradients_of_a_step(
    total: Callable[[Rollout], float | None], *overrides: str
) -> tuple[list, list[Sequence[Group]], Grpo]:
    method, written = grpo(total, "train.max_grad_norm=1e9", *overrides)
    taken: list[torch.Tensor] = []
    method.learner.update = lambda allowed: (
        taken.extend(p.grad.clone() for p in method.policy.trainable()) or (0.0, 0.0)
    )  # type: ignore[method-assign]
    method.step(0, EXAMPLES, Clock())
    return taken, written, method


def test_the_gradient_is_that_of_the_formula_computed_one_completion_at_a_time() -> None:
    """METHOD's loss with rho = 1: -sum_i A_i / |o_i| sum_t log pi + beta k3, over N completions."""
    beta = 0.3
    taken, (groups,), method = gradients_of_a_step(early_share, f"train.beta={beta}")
    policy = method.policy
    for parameter in policy.trainable():
        parameter.grad = None
    count = sum(len(group.rollouts) for group in groups)
    for group in groups:
        totals = torch.tensor([score.total for score in group.scores])
        advantages_G = (totals - totals.mean()) / (totals.std() + 1e-4)
        batch = to_batch([group])
        logprobs_GT = plain_logprobs(policy, batch, 1.0)
        with torch.no_grad(), policy.network.disable_adapter():
            reference_GT = plain_logprobs(policy, batch, 1.0)
        difference = reference_GT - logprobs_GT
        per_token = -(logprobs_GT - logprobs_GT.detach()).exp() * advantages_G[:, None]
        per_token = per_token + beta * (difference.exp() - difference - 1)
        lengths_G1 = batch.mask_BT.sum(1, keepdim=True)
        (per_token * batch.mask_BT / lengths_G1).sum().div(count).backward()
    for grad, parameter in zip(taken, policy.trainable(), strict=True):
        assert (grad - parameter.grad).norm() <= 1e-4 * parameter.grad.norm()


@pytest.mark.parametrize("loss", ["grpo", "dapo", "dr_grpo", "gspo", "cispo"])
def test_cutting_into_micro_batches_changes_nothing(loss: str) -> None:
    whole, _, _ = gradients_of_a_step(early_share, f"train.loss={loss}")
    cut, _, _ = gradients_of_a_step(early_share, f"train.loss={loss}", "train.tokens_per_batch=1")
    assert any(grad.norm() > 0 for grad in whole)
    for a, b in zip(whole, cut, strict=True):
        assert (a - b).norm() <= 1e-4 * a.norm()


def test_the_reward_rises() -> None:
    method, _ = grpo(early_share, "train.lr=0.02", "train.schedule=constant", "train.beta=0", "rollout.group_size=8")
    rewards = [method.step(step, EXAMPLES, Clock())["reward/mean"] for step in range(24)]
    assert sum(rewards[-3:]) / 3 > sum(rewards[:3]) / 3 + 0.1  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_bytes() -> None:
    runs = []
    for _ in range(2):
        method, written = grpo(early_share, "train.updates_per_batch=2")
        values = [method.step(step, EXAMPLES, Clock()) for step in range(2)]
        runs.append((values, written, [parameter.detach().clone() for parameter in method.policy.trainable()]))
    assert runs[0][0] == runs[1][0]
    assert runs[0][1] == runs[1][1]
    assert all(torch.equal(a, b) for a, b in zip(runs[0][2], runs[1][2], strict=True))


def test_nothing_is_recorded_beyond_the_update() -> None:
    """Or the next evaluation would keep all that it computes."""
    method, _ = grpo(lambda rollout: 1.0, "train.beta=0")
    for step in (0, 1):
        method.step(step, EXAMPLES, Clock())
        assert method.policy.recording is None


@pytest.mark.parametrize(
    ("step", "overrides", "records"),
    [
        (1, [], True),
        (20, [], False),  # parity is looked at between two computations
        (1, ["train.resample=1"], False),
        (1, ["train.tokens_per_batch=100"], False),  # more than a micro-batch
    ],
)
def test_sampling_is_recorded_where_training_can_hold_it(step: int, overrides: list[str], records: bool) -> None:
    method, _ = grpo(early_share, *overrides)
    method.sample(PROMPTS, Draws(0), step)
    assert (method.policy.recording is not None) is records


def test_equal_rewards_are_counted_and_teach_nothing() -> None:
    method, (written) = grpo(lambda rollout: 1.0, "train.beta=0")
    before = [parameter.detach().clone() for parameter in method.policy.trainable()]
    values = method.step(0, EXAMPLES, Clock())
    assert values["groups/zero_variance"] == 1.0
    assert values["kl"] is None
    assert all(torch.equal(a, b) for a, b in zip(before, method.policy.trainable(), strict=True))
    assert len(written[0]) == 3


def test_resampling_replaces_groups_without_signal() -> None:
    def total(rollout: Rollout) -> float:
        return 1.0 if rollout.prompt.example.id == "e0" else early_share(rollout)

    method, written = grpo(total, "train.resample=2", "rollout.prompts_per_step=1")
    values = method.step(0, EXAMPLES[:1], Clock())
    assert values["groups/replaced"] == 1.0
    assert values["groups/zero_variance"] == 0.0
    assert [group.prompt.example.id for group in written[0]] in (["e1"], ["e2"])


def test_a_completion_that_could_not_be_scored_is_left_out_and_counted() -> None:
    def total(rollout: Rollout) -> float | None:
        return None if rollout.seed % 4 == 0 else early_share(rollout)

    method, written = grpo(total)
    values = method.step(0, EXAMPLES, Clock())
    scores = [score for group in written[0] for score in group.scores]
    missing = [score for score in scores if score.total is None]
    assert 0 < len(missing) < len(scores)
    assert values["rollouts/unscored"] == len(missing)
    scored = [score.total for score in scores if score.total is not None]
    assert values["reward/mean"] == pytest.approx(sum(scored) / len(scored))


def test_diversity_draws_an_instruction_for_each_prompt_and_shares_it_in_the_group() -> None:
    method, written = grpo(early_share)
    for step in range(3):
        method.step(step, EXAMPLES, Clock())
    templates = [group.prompt.template.id for groups in written for group in groups]
    assert len(set(templates)) > 3
    assert all(rollout.prompt is group.prompt for groups in written for group in groups for rollout in group.rollouts)
    method, written = grpo(early_share, "prompt.diversity=false")
    method.step(0, EXAMPLES, Clock())
    assert {group.prompt.template.id for group in written[0]} == {load_pool("default").reasoning.id}
