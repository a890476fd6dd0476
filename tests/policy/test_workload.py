import pytest
from hypothesis import given
from hypothesis import strategies as st

from rarl.policy.workload import Rows, Workload
from rarl.training.grouping import group_batches
from rarl.types import Example, Family, Finish, Group, Prompt, Rollout, Score, Shape, Template

TEMPLATE = Template("t", Family.SHORT, Shape.DIRECT, "")


def group(number: int, size: int, length: int) -> Group:
    prompt = Prompt(Example(f"{number}", f"{number}", (), "?", "yes"), TEMPLATE, ())
    rollouts = tuple(Rollout(prompt, (1,) * length, (0.0,) * length, "", Finish.LENGTH, 0) for _ in range(size))
    return Group(prompt, rollouts, (Score(1.0, {}),) * size, (1.0,) * size)


def test_rows_of_a_group_by_hand() -> None:
    """A prompt of 10 tokens and 3 completions of 5, of which 4 are fed."""
    rows = Rows.group(10, 3, 5)
    assert rows == Rows(groups=1, prompt=10, fed=12, targets=15, seen=3 * 14, masked=4 * 14)
    assert (rows.all, rows.read) == (22, 13)
    assert rows + rows == rows * 2 == Rows(2, 20, 24, 30, 84, 112)


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 30), st.integers(1, 12), st.integers(1, 200))
def test_no_micro_batch_of_training_is_larger(groups: int, size: int, prompt: int, new: int, budget: int) -> None:
    largest = Workload(groups, size, prompt, new, budget).micro_batch()
    made = list(group_batches([group(i, size, new) for i in range(groups)], budget, lambda _: prompt))
    tokens = [len(batch.prompts) * prompt + sum(length - 1 for length in batch.lengths) for batch in made]
    read = [len(batch.prompts) + sum(length - 1 for length in batch.lengths) for batch in made]
    assert (tokens[0], read[0]) == (max(tokens), max(read)) == (largest.all, largest.read)


def test_tokens_are_packed_into_whole_groups_and_what_is_left() -> None:
    load = Workload(groups=8, group_size=4, prompt_tokens=100, new_tokens=10, tokens_per_batch=1000)
    assert load.packed(2 * 140) == Rows.group(100, 4, 10) * 2
    assert load.packed(2 * 140 + 125) == Rows.group(100, 4, 10) * 2 + Rows.group(100, 2, 10)
    assert load.packed(2 * 140 + 50) == Rows.group(100, 4, 10) * 2 + Rows(0, 50)
    assert load.packed(7) == Rows.group(100, 1, 10)


@pytest.mark.parametrize(
    ("changed", "recorded"), [({}, True), ({"records": False}, False), ({"samples": False}, False)]
)
def test_what_one_micro_batch_takes_is_recorded(changed: dict[str, bool], recorded: bool) -> None:
    assert Workload(2, 4, 100, 10, 280, **changed).recorded is recorded
    assert not Workload(2, 4, 100, 10, 279, **changed).recorded
