import dataclasses
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from evaluation.scripted import Named
from rarl.config import Control
from rarl.draws import Draws
from rarl.evaluation.controls import GREY, Blank, majority_grades, swap_images, under
from rarl.prompting import ask, load_pool
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


@pytest.mark.parametrize("control", list(Control))
def test_a_control_changes_the_images_alone(control: Control) -> None:
    examples = [example(number, f"c{number}") for number in range(6)]
    asked = under(control, examples, Draws(0))
    assert asked is not None
    assert [dataclasses.replace(item, images=()) for item in asked] == [
        dataclasses.replace(item, images=()) for item in examples
    ]
    same = [item.images == own.images for item, own in zip(asked, examples, strict=True)]
    assert same == [control is Control.NONE] * 6


def test_a_blank_image_has_the_size_of_the_one_it_stands_for() -> None:
    @dataclasses.dataclass(frozen=True)
    class Wide:
        name: str

        def read(self) -> Image.Image:
            return Image.new("RGB", (60, 20), (7, 8, 9))

    [blank] = under(Control.BLANK, [dataclasses.replace(example(0, "c"), images=(Wide("scan"),))], Draws(0))
    [image] = blank.images
    assert (image.name, image.read().size, image.read().getcolors()) == ("blank for scan", (60, 20), [(1200, GREY)])
    assert hash(image) == hash(Blank(Wide("scan")))


def test_without_any_image_the_prompt_has_no_place_for_one() -> None:
    [asked] = under(Control.QUESTION_ONLY, [example(0, "c")], Draws(0))
    [message] = ask(asked, load_pool("default").direct).messages
    assert [part["type"] for part in message["content"]] == ["text"]
