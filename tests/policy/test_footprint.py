from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import small_model
from rarl.config import Lora
from rarl.draws import Draws
from rarl.engines import NativeEngine
from rarl.policy.footprint import (
    GAPS,
    MOST,
    PROCESS_BYTES,
    footprint,
    held,
    largest,
    micro_batch_tokens,
    needed_bytes,
    recorded,
    tensor_bytes,
)
from rarl.policy.recording import Recording
from rarl.policy.sizes import Sizes, Tower, sizes_of
from rarl.policy.workload import Workload
from rarl.types import Sampling

# Round numbers, two bytes each, on CUDA: nothing is kept in RAM or made wide.
SIZES = Sizes(
    vocabulary=1000,
    hidden=100,
    intermediate=400,
    layers=10,
    heads=10,
    key_heads=2,
    head=10,
    tower=Tower(50, 200, 1176, 4),
    weights=1_000_000,
    trained=10_000,
    joint=20_000,
    low=(24, 8, 16, 8),
    element=2,
    cuda=True,
)
LOAD = Workload(groups=2, group_size=4, prompt_tokens=60, new_tokens=11, tokens_per_batch=1000, vision_tokens=50)


def test_what_is_always_there_by_hand() -> None:
    assert held(SIZES, LOAD) == {
        "weights": 2_000_000,
        "adapter": 10_000 * 4 + 20_000 * 2,
        "optimizer": 80_000,
        "image features": 0,
    }
    on_cpu = replace(SIZES, cuda=False)
    assert held(on_cpu, replace(LOAD, images=3))["image features"] == 3 * 50 * 100 * 2
    assert held(on_cpu, replace(LOAD, images=10**9))["image features"] == 2 * 2**30


def test_the_training_pass_by_hand() -> None:
    """T = 200 tokens, of which the last layer computes 82; log-probs of 88, in one chunk."""
    training = footprint(SIZES, replace(LOAD, records=False))["training"]
    T, N, seen, masked = 2 * (60 + 40), 2 * (1 + 40), 2 * 4 * 70, 2 * 10 * 70
    sums = 10 * 2  # of the softmax, a float for each head, in numbers of two bytes
    layer = T * (100 + 100 + 140 + 24) + T * (100 + 100 + 8) + T * (800 + 100 + 16 + 8)
    layer += (2 * 60 + 2 * 80) * 100 + 2 * seen * 20 + 5 * masked + T * sums
    last = T * (100 + 100 + 140 + 24) + N * (100 + 100 + 8) + N * (800 + 100 + 16 + 8)
    last += (2 + 2 * 80 + N) * 100 + 2 * seen * 20 + 5 * masked + N * sums
    kept = 2 * (9 * layer + last - T * 100)
    assert training["kept for backward"] == kept
    assert training["logits"] == 88 * 1000 * 3 * 4
    assert training["activations"] == 2 * (82 + 88) * 100 * 2
    assert training["gradients"] == 40_000


def test_checkpointing_keeps_what_comes_into_a_layer_and_one_layer() -> None:
    plain, load = footprint(SIZES, LOAD)["training"], replace(LOAD, records=False, checkpointing=True)
    training = footprint(SIZES, load)["training"]
    assert 10 * 200 * 100 * 2 < training["kept for backward"] < plain["kept for backward"] / 4


def test_the_parts_of_phases_that_a_run_does_not_have_are_not_there() -> None:
    given = footprint(SIZES, replace(LOAD, samples=False, reference=False))
    assert list(given) == ["vision", "training", "update"]
    assert list(footprint(SIZES, replace(LOAD, evaluated=7)))[-1] == "evaluation"


def test_what_is_recorded_is_what_a_recording_holds() -> None:
    policy = small_model.policy()
    policy.end_ids = ()
    prompts = [small_model.prompt(seed=0), small_model.prompt(seed=0)]
    policy.recording = recording = Recording(sum(len(policy.encode(prompt)) for prompt in prompts) + 2 * 3 * 4)
    NativeEngine(policy).generate(prompts, 3, Sampling(max_new_tokens=5), Draws(0))
    bytes_kept = sum(buffer.nbytes for buffer in recording.kept.values())
    sizes = sizes_of(policy.base.config, Lora(), torch.float32, torch.device("cpu"))
    load = Workload(2, 3, len(policy.encode(prompts[0])), 5, tokens_per_batch=10_000)
    assert bytes_kept == recorded(sizes, load.micro_batch())


def test_a_device_must_have_more_than_tensors() -> None:
    phases = footprint(SIZES, LOAD)
    graph = phases["update"]["decode graph"]  # its pool stays too
    lasting = sum(held(SIZES, LOAD).values()) + graph
    gaps = (tensor_bytes(phases) - lasting) * GAPS["cuda"]
    assert needed_bytes(SIZES, phases) == pytest.approx(tensor_bytes(phases) + gaps + PROCESS_BYTES["cuda"], abs=1)


LOADS: dict[str, Workload] = {
    "recorded": LOAD,
    "not recorded": replace(LOAD, records=False),
    "checkpointing": replace(LOAD, checkpointing=True),
    "without a reference": replace(LOAD, reference=False),
    "cut": replace(LOAD, groups=10),
}


def hungriest(load: Workload, budget: int) -> int:
    """What a step needs, and one of shorter prompts that is recorded."""
    needed = 0
    for prompt in range(1, load.prompt_tokens + 1):
        each = replace(load, prompt_tokens=prompt, tokens_per_batch=budget)
        if not each.recorded and prompt < load.prompt_tokens:
            continue
        phases = footprint(SIZES, each)
        wanted = {"training", "reference", *(("sampling",) if each.recorded else ())}
        needed = max(needed, needed_bytes(SIZES, {name: phases[name] for name in wanted & phases.keys()}))
    return needed


@pytest.mark.parametrize("name", LOADS)
@pytest.mark.parametrize("room", [6_000_000, 9_000_000, 16_000_000])
def test_a_budget_fits_and_not_much_more_does(name: str, room: int) -> None:
    load, memory = LOADS[name], PROCESS_BYTES["cuda"] + room
    budget = micro_batch_tokens(SIZES, load, memory)
    assert budget > load.prompt_tokens + load.new_tokens
    assert hungriest(load, budget) <= memory
    if budget < load.tokens:  # beyond that, no step is cut
        assert hungriest(load, round(budget * 1.2) + load.prompt_tokens + load.new_tokens) > memory


def test_no_budget_is_in_a_memory_that_the_weights_fill() -> None:
    assert micro_batch_tokens(SIZES, LOAD, PROCESS_BYTES["cuda"] + 2_000_000) == 0


def test_more_memory_is_never_a_smaller_budget() -> None:
    room = [PROCESS_BYTES["cuda"] + 2_000_000 + step * 250_000 for step in range(60)]
    for load in LOADS.values():
        budgets = [micro_batch_tokens(SIZES, load, memory) for memory in room]
        assert budgets == sorted(budgets)


@given(st.integers(0, 5000), st.integers(1, 4096))
def test_the_largest_is_found(bound: int, limit: int) -> None:
    found = largest(lambda value: value <= bound, limit)
    assert found == min(bound, limit)


def test_what_has_no_end_is_cut_off() -> None:
    assert largest(lambda value: True) == MOST
