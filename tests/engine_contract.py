"""What every engine promises, as checks of the factory that makes it: `check(make)`, with make(policy) -> Engine."""

from collections.abc import Callable

import pytest

import small_model
from rarl.draws import Draws
from rarl.policy import Policy
from rarl.training.grouping import to_batch
from rarl.types import Engine, Finish, Group, Rollout, Sampling, Score

Make = Callable[[Policy], Engine]
SAMPLING = Sampling(temperature=0.8, max_new_tokens=16)
GREEDY = Sampling(temperature=0.0, max_new_tokens=8)
DRAWS = Draws(0).at("contract")
PROMPTS = [
    small_model.prompt("Is there a lesion?", images=1, seed=0),
    small_model.prompt("What is the diagnosis, in a question that is longer?", images=2, seed=1),
    small_model.prompt("Is it large?", images=0, seed=2),
]


def policy() -> Policy:
    """Random weights hardly ever end a completion, so a few common tokens count as end tokens as well."""
    built = small_model.policy()
    built.end_ids = (*built.end_ids, *range(40, 50))
    return built


def flat(groups: list[list[Rollout]]) -> list[Rollout]:
    return [rollout for group in groups for rollout in group]


def tokens(groups: list[list[Rollout]]) -> list[list[tuple[int, ...]]]:
    return [[rollout.token_ids for rollout in group] for group in groups]


def order_count_and_seeds(make: Make) -> None:
    engine = make(policy())
    groups = engine.generate(PROMPTS, 3, SAMPLING, DRAWS)
    engine.close()
    assert [len(group) for group in groups] == [3, 3, 3]
    for prompt, group in zip(PROMPTS, groups, strict=True):
        assert all(rollout.prompt == prompt for rollout in group)
        assert [rollout.seed for rollout in group] == [DRAWS.at(prompt.example.id, i).integer() for i in range(3)]


def nothing_asked_is_nothing_answered(make: Make) -> None:
    engine = make(policy())
    assert engine.generate([], 3, SAMPLING, DRAWS) == []
    engine.close()


def completions_end_as_they_say(make: Make) -> None:
    sampler = policy()
    engine = make(sampler)
    rollouts = flat(engine.generate(PROMPTS, 6, SAMPLING, DRAWS))
    engine.close()
    assert {rollout.finish for rollout in rollouts} == set(Finish)
    for rollout in rollouts:
        assert rollout.finish is (Finish.STOP if rollout.token_ids[-1] in sampler.end_ids else Finish.LENGTH)
        assert rollout.finish is Finish.STOP or len(rollout.token_ids) == SAMPLING.max_new_tokens
        assert not set(rollout.token_ids[:-1]) & set(sampler.end_ids)
        assert "<|" not in rollout.text


def logprobs_are_those_of_the_policy(make: Make) -> None:
    """One a token, under the full distribution at the sampling temperature: checked by a plain forward pass."""
    sampler = policy()
    engine = make(sampler)
    groups = engine.generate(PROMPTS, 2, SAMPLING, DRAWS)
    engine.close()
    for group in groups:
        scored = Group(group[0].prompt, tuple(group), (Score(1.0, {}),) * 2, (0.0,) * 2)
        rows = sampler.logprobs(to_batch([scored]), SAMPLING.temperature).logprobs.tolist()
        for rollout, row in zip(group, rows, strict=True):
            assert len(rollout.logprobs) == len(rollout.token_ids)
            assert list(rollout.logprobs) == pytest.approx(row[: len(rollout.logprobs)], abs=1e-4)


def draws_do_not_depend_on_the_batch(make: Make) -> None:
    engine = make(policy())
    together = tokens(engine.generate(PROMPTS, 4, SAMPLING, DRAWS))
    alone = [tokens(engine.generate([prompt], 4, SAMPLING, DRAWS))[0] for prompt in PROMPTS]
    fewer = tokens(engine.generate(PROMPTS[::-1], 2, SAMPLING, DRAWS))[::-1]
    others = tokens(engine.generate(PROMPTS, 4, SAMPLING, Draws(1)))
    engine.close()
    assert together == alone
    assert [group[:2] for group in together] == fewer
    assert together != others


def temperature_zero_is_greedy(make: Make) -> None:
    engine = make(policy())
    first, second = (tokens(engine.generate(PROMPTS, 2, GREEDY, Draws(seed))) for seed in (0, 1))
    engine.close()
    assert first == second
    assert all(a == b for a, b in first)


CHECKS = (
    order_count_and_seeds,
    nothing_asked_is_nothing_answered,
    completions_end_as_they_say,
    logprobs_are_those_of_the_policy,
    draws_do_not_depend_on_the_batch,
    temperature_zero_is_greedy,
)
