import pytest
import torch

import small_model
from rarl.algo.batch import GroupBatch
from rarl.training.grouping import group_batches, scored_lengths, to_batch
from rarl.types import Finish, Group, Rollout, Score

PROMPT = small_model.prompt(images=0)


def group(lengths: list[int], totals: list[float | None] | None = None) -> Group:
    rollouts = tuple(
        Rollout(PROMPT, tuple(range(n)), (0.0,) * n, "", Finish.STOP, seed=i) for i, n in enumerate(lengths)
    )
    scores = tuple(Score(total, {}) for total in (totals or [1.0] * len(lengths)))
    return Group(PROMPT, rollouts, scores, tuple(float(i) for i in range(len(lengths))))


def test_a_batch_pads_to_the_longest_and_masks_the_rest() -> None:
    batch = to_batch([group([3, 1]), group([2])])
    assert batch.sizes == (2, 1)
    assert batch.mask_BT.tolist() == [[True, True, True], [True, False, False], [True, True, False]]
    assert batch.completion_ids_BT[0].tolist() == [0, 1, 2]
    assert batch.advantages_B.tolist() == [0.0, 1.0, 0.0]
    assert batch.lengths == [3, 1, 2]


def test_completions_that_could_not_be_scored_are_left_out() -> None:
    failed = group([3, 4, 5], [1.0, None, 0.0])
    assert scored_lengths([failed]) == [3, 5]
    batch = to_batch([failed])
    assert batch.lengths == [3, 5]
    assert batch.advantages_B.tolist() == [0.0, 2.0]
    assert list(group_batches([group([2], [None])], 100, lambda prompt: 1)) == []


@pytest.mark.parametrize(
    ("budget", "sizes"),
    [
        (1000, [(2, 2, 2)]),
        (40, [(2, 2), (2,)]),  # each group has 10 tokens of prompt and 6 of completions
        (20, [(2,), (2,), (2,)]),
        (15, [(1,)] * 6),  # a group beyond the budget is cut, its prompt in each part
        (1, [(1,)] * 6),  # one completion is the least
    ],
)
def test_batches_hold_whole_groups_up_to_the_budget_and_parts_beyond_it(
    budget: int, sizes: list[tuple[int, ...]]
) -> None:
    batches = group_batches([group([2, 4])] * 3, budget, lambda prompt: 10)
    batches = list(batches)
    assert [batch.sizes for batch in batches] == sizes
    assert [length for batch in batches for length in batch.lengths] == [2, 4] * 3
    assert all(len(batch.prompts) == len(batch.sizes) for batch in batches)


@pytest.mark.parametrize(
    ("mask", "sizes", "message"),
    [
        ([[True, False], [False, False]], (2,), "one run of True"),
        ([[True, True], [True, False]], (3,), "do not cover"),
        ([[True, True]], (2,), "does not fit"),
    ],
)
def test_a_batch_checks_its_shapes(mask: list[list[bool]], sizes: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GroupBatch(
            (PROMPT,), sizes, torch.zeros(2, 2, dtype=torch.long), torch.tensor(mask), torch.zeros(2), torch.zeros(2, 2)
        )
