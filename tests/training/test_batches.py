from collections import Counter

import pytest

from rarl.draws import Draws
from rarl.errors import DataError
from rarl.training.batches import Batches
from rarl.types import Example

EXAMPLES = [Example(f"e{i}", f"c{i}", (), "q", "a") for i in range(10)]


def ids(examples: list[Example]) -> list[str]:
    return [example.id for example in examples]


def test_every_example_is_seen_once_in_each_pass_whatever_the_step_size() -> None:
    batches = Batches(EXAMPLES, 4, Draws(0))
    seen = [name for step in range(10) for name in ids(batches.at(step))]
    passes = [seen[i : i + 10] for i in range(0, 40, 10)]
    assert all(sorted(one) == sorted(ids(EXAMPLES)) for one in passes)
    assert len({tuple(one) for one in passes}) == 4  # each in an order of its own


def test_a_step_is_a_function_of_the_seed_and_its_number() -> None:
    assert ids(Batches(EXAMPLES, 4, Draws(3)).at(7)) == ids(Batches(EXAMPLES, 4, Draws(3)).at(7))
    assert ids(Batches(EXAMPLES, 4, Draws(3)).at(7)) != ids(Batches(EXAMPLES, 4, Draws(4)).at(7))


def test_a_step_larger_than_the_data_goes_round() -> None:
    assert sorted(Counter(ids(Batches(EXAMPLES[:3], 7, Draws(0)).at(0))).values()) == [2, 2, 3]


def test_others_stand_in_for_those_that_are_not_usable_and_a_step_stays_whole() -> None:
    gone = {"e1", "e4", "e5"}
    batches = Batches(EXAMPLES, 4, Draws(0), lambda example: example.id not in gone)
    whole = Batches(EXAMPLES, 4, Draws(0))
    for step in range(20):
        found, planned = ids(batches.at(step)), ids(whole.at(step))
        sound = [each for each in planned if each not in gone]
        assert found[: len(sound)] == sound
        assert len(found) == 4
        assert not gone & set(found)
        assert ids(batches.at(step)) == found
    few = Batches(EXAMPLES[:5], 4, Draws(0), lambda example: example.id == "e2")
    assert {tuple(ids(few.at(step))) for step in range(9)} == {("e2",)}


def test_a_step_without_any_usable_example_is_one_line() -> None:
    with pytest.raises(DataError, match=r"^step 4: none of the 10 examples to train on can be used any more$"):
        Batches(EXAMPLES, 4, Draws(0), lambda example: False).at(3)


def test_others_are_not_among_the_taken() -> None:
    batches = Batches(EXAMPLES, 4, Draws(0))
    others = ids(batches.others(EXAMPLES[:7], 5, Draws(0)))
    assert sorted(others) == ["e7", "e8", "e9"]
    assert len(batches.others(EXAMPLES[:2], 5, Draws(0))) == 5


def test_the_next_step_is_announced() -> None:
    told: list[list[str]] = []
    batches = Batches(EXAMPLES, 4, Draws(0), begin=lambda examples: told.append([each.id for each in examples]))
    first, second = batches.at(0), batches.at(1)
    assert told[0] == ids(second)
    assert told[1] == ids(Batches(EXAMPLES, 4, Draws(0)).at(2))
    assert ids(first) == ids(Batches(EXAMPLES, 4, Draws(0)).at(0))
