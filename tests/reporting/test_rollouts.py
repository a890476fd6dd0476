import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fake_run
import fake_training
from rarl.errors import RunFolderError
from rarl.reporting.rollouts import SAMPLED, distributions, read_rollouts


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_parts_by_fifths_of_the_steps(tmp_path):
    folder = fake_run.make(tmp_path / "run", evaluated=False)
    fake_training.rollouts(folder, steps=10)
    found = read_rollouts(folder.path / "rollouts.jsonl", 10, seed=0)
    assert (found.completions, found.tokens, found.questions) == (40, 400, 2)
    assert list(found.parts) == ["format", "accuracy", "grounding", "total"]
    assert [(each.first, each.last) for each in found.parts["accuracy"]] == [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10)]
    assert [each.mean for each in found.parts["accuracy"]] == [0.5] * 5
    first = found.parts["grounding"][0]  # of 8 completions the first of each group could not be scored
    assert (len(first.values), first.failed, first.mean) == (6, 2, 0.5)
    assert first.shares(0, 1) == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert found.parts["total"][0].shares(0.5, 1.5) == [0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0.5]


@pytest.mark.parametrize(
    ("steps", "slices"), [(1, [(1, 1)]), (3, [(1, 1), (2, 2), (3, 3)]), (7, [(1, 2), (3, 3), (4, 5), (6, 6), (7, 7)])]
)
def test_every_step_is_in_its_slice(tmp_path, steps, slices):
    rows = [fake_training.rollout(step, "q", 0, total=float(step)) for step in range(1, steps + 1)]
    found = read_rollouts(written(tmp_path / "rollouts.jsonl", rows), steps, seed=0)
    assert [(each.first, each.last) for each in found.parts["total"]] == slices
    for each in found.parts["total"]:
        assert list(each.values) == list(range(each.first, each.last + 1))


def test_distributions_start_with_the_total_over_its_own_range(tmp_path):
    folder = fake_run.make(tmp_path / "run", evaluated=False)
    fake_training.rollouts(folder)
    found = distributions(read_rollouts(folder.path / "rollouts.jsonl", 10, seed=0))
    assert [(each.part, each.low, each.high) for each in found] == [
        ("total", 0.5, 1.5),
        ("format", 0.0, 1.0),
        ("accuracy", 0.0, 1.0),
        ("grounding", 0.0, 1.0),
    ]


def test_a_part_beyond_0_to_1_and_one_that_was_never_scored(tmp_path):
    rows = [fake_training.rollout(1, "q", 0, parts={"mine": -1.7, "lost": None})]
    mine = {each.part: each for each in distributions(read_rollouts(written(tmp_path / "r", rows), 1, seed=0))}
    assert (mine["mine"].low, mine["mine"].high) == (-2.0, 1.0)
    [(lost, _)] = mine["lost"].rows
    assert (lost.mean, lost.failed) == (None, 1)


def test_the_first_and_the_last_group_of_a_question_are_kept(tmp_path):
    rows = [fake_training.rollout(step, "q", i) for step in (1, 4, 9) for i in range(2)]
    found = read_rollouts(written(tmp_path / "r", rows), 9, seed=0)
    assert [[row["step"] for row in group] for group in found.groups["q"]] == [[1, 1], [9, 9]]


@given(st.permutations(range(3 * SAMPLED)), st.integers(0, 5))
def test_which_questions_are_kept_does_not_depend_on_their_order(tmp_path_factory, order, seed):
    path = tmp_path_factory.getbasetemp() / "order.jsonl"
    kept = []
    for names in (order, range(3 * SAMPLED)):
        rows = [fake_training.rollout(step, f"q{name}", 0) for step, name in enumerate(names, start=1)]
        kept.append(set(read_rollouts(written(path, rows), 72, seed).groups))
    assert kept[0] == kept[1]
    assert len(kept[0]) == SAMPLED


def test_no_file_and_a_damaged_one(tmp_path):
    assert read_rollouts(tmp_path / "none.jsonl", 5, seed=0).completions == 0
    rows = [fake_training.rollout(1, "q", 0), {"step": 1, "id": "q"}]
    with pytest.raises(RunFolderError, match=r"r, line 2, is no completion \('parts'\)"):
        read_rollouts(written(tmp_path / "r", rows), 1, seed=0)
