"""Sampling with fixed shapes, as a CUDA graph wants it, against sampling as it is on a CPU; on a CPU.

A tape stands in for the graph: it holds the operators of one step and the very tensors that they read and wrote, and
plays them again. As with a graph, a Python number is what it was when it was recorded, a new tensor is the old one's
memory, and a look at a value from the host is an error.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import small_model
from rarl.draws import Draws
from rarl.engines import NativeEngine
from rarl.engines.batch import DecodeBatch
from rarl.policy import Policy, decoding
from rarl.types import Rollout, Sampling

PROMPTS = [
    small_model.prompt("Is there a lesion?", images=1, seed=0),
    small_model.prompt("What is the diagnosis, in a question that is longer?", images=2, seed=1),
    small_model.prompt("Is it large?", images=0, seed=2),
]
LOOKS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::is_nonzero", "aten::unique2"}


class Tape(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.played: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        if name in LOOKS:
            raise AssertionError(f"{name}: the host waits for a value")
        result = func(*args, **(kwargs or {}))
        self.played.append((func, args, kwargs or {}, result))
        return result

    def play(self) -> None:
        for func, args, kwargs, result in self.played:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[DecodeBatch]:
    """Those that an engine makes."""
    made: list[DecodeBatch] = []
    make = DecodeBatch.__init__

    def keeping(self: DecodeBatch, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        made.append(self)

    monkeypatch.setattr(DecodeBatch, "__init__", keeping)
    return made


def state(batch: DecodeBatch) -> list[torch.Tensor]:
    """All that outlives a step."""
    own = [tensor for pair in batch._layout._own_NKGCd for tensor in pair]
    return [batch.tokens_BC, batch.logprobs_BC, batch._next_S, batch.done_S, batch._layout.step, *own]


def on_tape(batches: list[DecodeBatch], tapes: list[Tape]) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def record(step: Callable[[], None]) -> Callable[[], None]:
        """A graph is recorded without being run: what this run did is undone."""
        kept, before = state(batches[-1]), [tensor.clone() for tensor in state(batches[-1])]
        with Tape() as tape:
            step()
        for now, then, tensor in zip(state(batches[-1]), kept, before, strict=True):
            assert now.data_ptr() == then.data_ptr()  # or the next step would not find it
            then.copy_(tensor)
        tapes.append(tape)
        return tape.play

    return record


def policy(*, ends: bool) -> Policy:
    """Random weights hardly ever end a completion, so with `ends` a few common tokens do."""
    built = small_model.policy()
    built.end_ids = (*built.end_ids, *range(40, 60)) if ends else ()
    return built


def both(
    sampling: Sampling, batches: list[DecodeBatch], n: int = 4, *, ends: bool = True
) -> tuple[list[list[Rollout]], list[list[Rollout]], list[Tape]]:
    """Rollouts as on a CPU and from tapes, and the tapes."""
    tapes: list[Tape] = []
    dynamic, fixed = NativeEngine(policy(ends=ends)), NativeEngine(policy(ends=ends))
    fixed.record = on_tape(batches, tapes)
    expected, found = (engine.generate(PROMPTS, n, sampling, Draws(5)) for engine in (dynamic, fixed))
    if not ends:
        assert fixed.policy.language.tokens_computed == dynamic.policy.language.tokens_computed
    return expected, found, tapes


def same(expected: list[list[Rollout]], found: list[list[Rollout]]) -> None:
    for one, other in zip(expected, found, strict=True):
        for a, b in zip(one, other, strict=True):
            assert a.token_ids == b.token_ids
            torch.testing.assert_close(torch.tensor(a.logprobs), torch.tensor(b.logprobs), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "sampling",
    [Sampling(temperature=0.8, max_new_tokens=20), Sampling(top_p=0.9, max_new_tokens=20), Sampling(temperature=0.0)],
)
def test_recorded_steps_draw_the_same_tokens(
    sampling: Sampling, batches: list[DecodeBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "SEGMENT", 7)
    expected, found, tapes = both(sampling, batches, ends=False)
    same(expected, found)
    assert len(tapes) == -(-(sampling.max_new_tokens - 1) // 7)  # one a segment


def test_slots_are_given_up_where_that_halves_the_batch(batches: list[DecodeBatch]) -> None:
    expected, found, tapes = both(Sampling(max_new_tokens=40), batches, 8)
    lengths = [len(rollout.token_ids) for group in expected for rollout in group]
    assert len(set(lengths)) > 6
    same(expected, found)
    assert len(tapes) > 1
    assert batches[-1].shape[0] <= 12


def test_there_are_no_more_places_than_tokens_or_a_segment_ahead(
    batches: list[DecodeBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    both(Sampling(max_new_tokens=5), batches, ends=False)
    assert batches[-1].shape[1] == 5
    monkeypatch.setattr(decoding, "SEGMENT", 8)
    both(Sampling(max_new_tokens=18), batches, ends=False)
    assert batches[-1].shape[1] == 24


def test_a_look_at_a_value_while_recording_is_an_error() -> None:
    """Or the tape would show nothing."""
    with pytest.raises(AssertionError, match="host waits"), Tape():
        bool(torch.ones(1))


def test_an_adapter_that_has_moved_is_the_one_that_samples(batches: list[DecodeBatch]) -> None:
    engine, sampling = NativeEngine(policy(ends=False)), Sampling(max_new_tokens=6)
    engine.record = on_tape(batches, [])
    before = engine.generate(PROMPTS, 2, sampling, Draws(5))
    for parameter in engine.policy.trainable():
        parameter.data.mul_(-1.5)
    moved = NativeEngine(engine.policy)
    moved.record = None
    found = engine.generate(PROMPTS, 2, sampling, Draws(5))
    same(moved.generate(PROMPTS, 2, sampling, Draws(5)), found)
    assert before[0][0].logprobs != found[0][0].logprobs
