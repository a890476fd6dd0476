from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from evaluation.scripted import Named
from rarl.draws import Draws
from rarl.evaluation.controls import majority_grades, swap_images
from rarl.types import Example, QuestionKind


def example(number: int, cluster: str, answer: str = "yes", task: str | None = "presence") -> Example:
    return Example(f"q{number}", cluster, (Named(cluster),), "Is it there?", answer, (), QuestionKind.YESNO, None, task)


def test_the_commonest_answer_of_each_task() -> None:
    golds = [
        ("presence", "yes"),
        ("presence", "No"),
        ("presence", "no"),
        ("size", "yes"),
        ("size", "Yes"),
        (None, "no"),
    ]
    examples = [example(number, f"c{number}", answer, task) for number, (task, answer) in enumerate(golds)]
    right = [grade.correct for grade in majority_grades(examples).values()]
    assert right == [False, True, True, True, True, True]


def test_kinds_of_one_task_have_their_own_commonest_answer() -> None:
    names = ["left", "left", "right"]
    open_ = [Example(f"o{n}", "c", (), "Where is it?", name, task="presence") for n, name in enumerate(names)]
    grades = majority_grades([*open_, *(example(number, "c", "no") for number in range(5))])
    assert [grades[item.id].correct for item in open_] == [True, True, False]


@given(st.lists(st.integers(0, 6), max_size=30), st.integers(0, 3))
def test_swapped_images_come_from_another_cluster_each_once(clusters: list[int], seed: int) -> None:
    examples = [example(number, f"c{cluster}") for number, cluster in enumerate(clusters)]
    swapped = swap_images(examples, Draws(seed))
    largest = max(Counter(clusters).values(), default=0)
    if swapped is None:
        assert 2 * largest > len(examples)  # impossible by counting
        return
    assert [item.id for item in swapped] == [item.id for item in examples]
    assert [item.question for item in swapped] == [item.question for item in examples]
    assert all(item.images[0].name != item.cluster for item in swapped)
    assert Counter(item.images for item in swapped) == Counter(item.images for item in examples)


def test_the_swap_is_seeded() -> None:
    examples = [example(number, f"c{number}") for number in range(20)]
    assert swap_images(examples, Draws(0)) == swap_images(examples, Draws(0))
    assert swap_images(examples, Draws(0)) != swap_images(examples, Draws(1))
