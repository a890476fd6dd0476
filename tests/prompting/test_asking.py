from collections import Counter

import pytest

from rarl.draws import Draws
from rarl.errors import DataError
from rarl.prompting import ask, instruct, load_pool
from rarl.types import Example, Family

POOL = load_pool("default")


class NoImage:
    name = "none.png"

    def read(self) -> None:
        raise AssertionError("asking must not read pixels")


def example(number: int = 0, **fields: object) -> Example:
    return Example(
        **{"id": f"e{number}", "cluster": "c", "images": (NoImage(),), "question": "Side? ", "answer": "left"} | fields
    )


def test_one_user_message_images_first_then_question_options_instruction() -> None:
    images = (NoImage(), NoImage())
    prompt = ask(example(images=images, options=("left", "right")), POOL.direct)
    text = f"Side?\nOptions: A) left B) right\n{POOL.direct.text}"
    content = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": text}]
    assert prompt.messages == ({"role": "user", "content": content},)
    assert prompt.shape is POOL.direct.shape


def test_without_options_there_is_no_options_line() -> None:
    [message] = ask(example(), POOL.direct).messages
    assert message["content"][-1]["text"] == f"Side?\n{POOL.direct.text}"


def test_more_options_than_letters_is_an_error() -> None:
    with pytest.raises(DataError, match="e7: 27 options"):
        ask(example(7, options=tuple(map(str, range(27)))), POOL.direct)


def test_diversity_draws_the_same_instruction_again_and_other_ones_elsewhere() -> None:
    def ids(seed: int) -> list[str]:
        return [instruct(example(n), POOL, Draws(seed), diversity=True).template.id for n in range(300)]

    assert ids(0) == ids(0)
    assert ids(0) != ids(1)
    assert set(ids(0)) == {template.id for template in POOL.templates}
    families = Counter(instruct(example(n), POOL, Draws(0), diversity=True).template.family for n in range(300))
    assert all(60 < families[family] < 140 for family in Family)  # 100 each expected, sd 8


def test_without_diversity_every_prompt_asks_for_reasoning() -> None:
    for reasoning, template in ((True, POOL.reasoning), (False, POOL.direct)):
        asked = {instruct(example(n), POOL, Draws(n), diversity=False, reasoning=reasoning).template for n in range(20)}
        assert asked == {template}
