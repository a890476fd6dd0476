from collections import Counter

from rarl.draws import Draws
from rarl.training.batches import Batches
from rarl.types import Example

EXAMPLES = [Example(f"e{i}", f"c{i}", (), "q", "a") for i in range(10)]


def ids(examples: list[Example]) -> list[str]:
    return [example.id for example in examples]


def test_every_example_is_seen_once_in_each_pass_whatever_the_step_size() -> None:
    batches = Batches(EXAMPLES, 4, Draws(0))
    seen = [name for _, examples in batches.steps(0, 10) for name in ids(examples)]
    passes = [seen[i : i + 10] for i in range(0, 40, 10)]
    assert all(sorted(one) == sorted(ids(EXAMPLES)) for one in passes)
    assert len({tuple(one) for one in passes}) == 4  # each in an order of its own


def test_a_step_is_a_function_of_the_seed_and_its_number() -> None:
    assert ids(Batches(EXAMPLES, 4, Draws(3)).at(7)) == ids(dict(Batches(EXAMPLES, 4, Draws(3)).steps(5, 9))[7])
    assert ids(Batches(EXAMPLES, 4, Draws(3)).at(7)) != ids(Batches(EXAMPLES, 4, Draws(4)).at(7))


def test_a_step_larger_than_the_data_goes_round() -> None:
    assert sorted(Counter(ids(Batches(EXAMPLES[:3], 7, Draws(0)).at(0))).values()) == [2, 2, 3]


def test_others_are_not_among_the_taken() -> None:
    batches = Batches(EXAMPLES, 4, Draws(0))
    others = ids(batches.others(EXAMPLES[:7], 5, Draws(0)))
    assert sorted(others) == ["e7", "e8", "e9"]
    assert len(batches.others(EXAMPLES[:2], 5, Draws(0))) == 5
