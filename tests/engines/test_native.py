import pytest
import torch

import small_model
from rarl.draws import Draws
from rarl.engines import NativeEngine
from rarl.training.grouping import to_batch
from rarl.types import Group, Rollout, Sampling, Score

SAMPLING = Sampling(temperature=0.8, max_new_tokens=24)


@pytest.fixture(scope="module")
def engine() -> NativeEngine:
    """Random weights hardly ever end a completion, so a few common tokens count as end tokens as well."""
    policy = small_model.policy()
    policy.end_ids = (*policy.end_ids, *range(40, 50))
    return NativeEngine(policy)


PROMPTS = [
    small_model.prompt("Is there a lesion?", images=1, seed=0),
    small_model.prompt("What is the diagnosis, in a question that is longer?", images=2, seed=1),
    small_model.prompt("Is it large?", images=0, seed=2),
]


def flat(groups):
    return [item for group in groups for item in group]


def tokens(groups: list[list[Rollout]]) -> list[list[tuple[int, ...]]]:
    return [[rollout.token_ids for rollout in group] for group in groups]


def test_sampler_and_trainer_agree_on_logprobs(engine: NativeEngine) -> None:
    groups = engine.generate(PROMPTS, 6, SAMPLING, Draws(0))
    assert len({len(ids) for ids in flat(tokens(groups))}) > 3  # ragged, so that slots are given up
    for group in groups:
        scored = Group(group[0].prompt, tuple(group), (Score(1.0, {}),) * 6, (0.0,) * 6)
        batch = to_batch([scored])
        trained_BT = engine.policy.logprobs(batch, SAMPLING.temperature).logprobs.detach()
        for rollout, row_T in zip(group, trained_BT, strict=True):
            sampled_T = torch.tensor(rollout.logprobs)
            torch.testing.assert_close(sampled_T, row_T[: len(sampled_T)], atol=1e-4, rtol=0)


def test_greedy_decoding_equals_transformers_generate() -> None:
    policy = small_model.policy()
    greedy = NativeEngine(policy).generate(PROMPTS[:2], 1, Sampling(temperature=0.0, max_new_tokens=12), Draws(0))
    for prompt, (rollout,) in zip(PROMPTS[:2], greedy, strict=True):
        pixels = [policy.processor.pixels(source.read(), source.name) for source in prompt.example.images]
        ids_1P = torch.tensor([policy.processor.prompt_ids(prompt, [image.tokens for image in pixels])])
        output_1L = policy.network.generate(
            input_ids=ids_1P,
            attention_mask=torch.ones_like(ids_1P),
            mm_token_type_ids=(ids_1P == policy.processor.image_token_id).int(),
            pixel_values=torch.cat([image.patches for image in pixels]),
            image_grid_thw=torch.stack([image.grid_3 for image in pixels]),
            do_sample=False,
            max_new_tokens=12,
            suppress_tokens=policy.suppressed_V.nonzero()[:, 0].tolist(),
        )
        assert tuple(output_1L[0, ids_1P.shape[1] :].tolist()) == rollout.token_ids


def test_suppressed_tokens_are_never_drawn_even_when_they_are_likeliest() -> None:
    policy = small_model.policy()
    image_token = policy.processor.image_token_id
    with torch.no_grad():
        policy.head_VH[image_token] = policy.head_VH.abs().sum(0)
        policy.head_VH[300:] = -policy.head_VH[image_token]  # rows without a token
    assert policy.suppressed_V[[image_token, 319]].all()
    drawn = flat(tokens(NativeEngine(policy).generate(PROMPTS, 8, SAMPLING, Draws(0))))
    assert not {int(token) for ids in drawn for token in ids} & set(policy.suppressed_V.nonzero()[:, 0].tolist())


def test_prompt_batches_do_not_change_what_is_drawn(engine: NativeEngine) -> None:
    small = NativeEngine(engine.policy, prompts_per_batch=1)
    assert tokens(small.generate(PROMPTS, 3, SAMPLING, Draws(0))) == tokens(
        engine.generate(PROMPTS, 3, SAMPLING, Draws(0))
    )
