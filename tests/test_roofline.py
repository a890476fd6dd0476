"""The work of a step against a count of what its passes really multiply."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import small_model
from rarl.draws import Draws
from rarl.engines import NativeEngine
from rarl.roofline import Lengths, Rates, Work, device_rates, step_work
from rarl.training.grouping import to_batch
from rarl.types import Group, Sampling, Score


def test_the_reference_is_counted_as_it_is_computed() -> None:
    policy = small_model.policy()
    prompts = [small_model.prompt(images=1), small_model.prompt("Is it large, small or neither?", images=2, seed=1)]
    policy.end_ids = (*policy.end_ids, *range(40, 60))
    sampled = NativeEngine(policy).generate(prompts, 3, Sampling(max_new_tokens=9), Draws(1))
    scores = (Score(1.0, {}),) * 3
    batch = to_batch([Group(rollouts[0].prompt, tuple(rollouts), scores, (1.0,) * 3) for rollouts in sampled])
    with FlopCounterMode(display=False) as counter:
        policy.reference_logprobs(batch, 1.0)
    products = sum(
        flops for operator, flops in counter.get_flop_counts()["Global"].items() if "attention" not in str(operator)
    )
    lengths = [
        Lengths(len(policy.encode(prompt)), [len(rollout.token_ids) for rollout in rollouts])
        for prompt, rollouts in zip(prompts, sampled, strict=True)
    ]
    config = policy.base.model.language_model.config
    work = step_work(config, lengths, element=4)["reference"]
    pairs = 0
    for group in lengths:
        pairs += sum(range(1, group.prompt + 1))
        pairs += sum(sum(range(group.prompt + 1, group.prompt + n)) for n in group.completions)
    attention = 4 * config.num_hidden_layers * config.hidden_size * pairs
    assert work.flops - attention == products


def test_decoding_reads_the_weights_at_every_step_and_the_prompt_once_for_the_group() -> None:
    config = small_model.network().model.language_model.config
    weights = sum(
        parameter.numel()
        for name, parameter in small_model.network().model.language_model.named_parameters()
        if parameter.ndim > 1
    )  # the embedding is the head, too
    one, two = (step_work(config, [Lengths(10, (5,) * n)], element=2)["decode"].bytes for n in (1, 2))
    keys_and_values = 2 * 2 * config.num_hidden_layers * 32  # bytes of a token: 2 key heads of 16, keys and values
    assert one == 2 * 5 * weights + keys_and_values * (4 * 10 + (1 + 2 + 3 + 4))
    assert two - one == keys_and_values * (1 + 2 + 3 + 4)


def test_the_slower_of_multiplying_and_reading_decides() -> None:
    rates = Rates(flops=10.0, bytes=2.0)
    assert rates.seconds(Work(flops=100.0, bytes=4.0)) == 10.0
    assert rates.seconds(Work(flops=100.0, bytes=40.0)) == 20.0


def test_the_rates_of_this_machine_are_those_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rarl.roofline.MEASURE_SECONDS", 0.03)
    monkeypatch.setattr("rarl.roofline.COPY_BYTES", 1 << 24)
    rates = device_rates(torch.device("cpu"), torch.float32)
    assert 1e8 < rates.flops < 1e14
    assert 1e7 < rates.bytes < 1e13
