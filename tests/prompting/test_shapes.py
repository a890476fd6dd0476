import pytest
from hypothesis import given
from hypothesis import strategies as st

from rarl.errors import DataError
from rarl.prompting import Parsed, parse, render
from rarl.types import Shape

TAGS = ["<think>", "</think>", "<answer>", "</answer>"]
soup = st.lists(st.sampled_from([*TAGS, " ", "\n", "yes", "<Answer>", "</ answer>", "<"]) | st.text(max_size=5)).map(
    "".join
)
content = st.text(max_size=30).filter(lambda text: not any(tag in text for tag in TAGS))


@pytest.mark.parametrize(
    ("text", "shape", "expected"),
    [
        ("<think> a mass </think> <answer> yes </answer>", Shape.THINK, Parsed("a mass", "yes", True)),
        ("\n<think>\na\n\nb</think>\t<answer>yes\n</answer>\n", Shape.THINK, Parsed("a\n\nb", "yes", True)),
        ("<answer>yes</answer><think>a</think>", Shape.THINK_AFTER, Parsed("a", "yes", True)),
        ("<answer> </answer>", Shape.DIRECT, Parsed(None, "", True)),
        ("<answer>a < b & c > d</answer>", Shape.DIRECT, Parsed(None, "a < b & c > d", True)),
        # right blocks, wrong shape
        ("<answer>yes</answer><think>a</think>", Shape.THINK, Parsed("a", "yes", False)),
        ("<think>a</think><answer>yes</answer>", Shape.DIRECT, Parsed("a", "yes", False)),
        ("<answer>yes</answer>", Shape.THINK, Parsed(None, "yes", False)),
        # text outside
        ("Sure! <answer>yes</answer>", Shape.DIRECT, Parsed(None, "yes", False)),
        ("<think>a</think> so <answer>yes</answer>", Shape.THINK, Parsed("a", "yes", False)),
        ("<answer>yes</answer> or no", Shape.DIRECT, Parsed(None, "yes", False)),
        # several blocks: none can be the one that was meant
        ("<answer>yes</answer><answer>no</answer>", Shape.DIRECT, Parsed(None, None, False)),
        ("<think>a</think><think>b</think><answer>no</answer>", Shape.THINK, Parsed(None, "no", False)),
        # nested
        ("<think>a <answer>yes</answer></think>", Shape.THINK, Parsed(None, None, False)),
        ("<answer><think>a</think>yes</answer>", Shape.THINK, Parsed(None, None, False)),
        ("<think>a <answer>yes</think></answer>", Shape.THINK, Parsed(None, None, False)),
        ("<answer><answer>yes</answer></answer>", Shape.DIRECT, Parsed(None, None, False)),
        # unclosed, unopened, reversed, cut off
        ("<think>a <answer>yes</answer>", Shape.THINK, Parsed(None, None, False)),
        ("a</think><answer>yes</answer>", Shape.THINK, Parsed(None, "yes", False)),
        ("<answer>yes</answer><think>a and", Shape.THINK_AFTER, Parsed(None, "yes", False)),
        ("<answer>yes", Shape.DIRECT, Parsed(None, None, False)),
        ("</answer>yes<answer>", Shape.DIRECT, Parsed(None, None, False)),
        ("<answer>yes<answer>no</answer>", Shape.DIRECT, Parsed(None, None, False)),
        # other spellings are no tags
        ("<Answer>yes</Answer>", Shape.DIRECT, Parsed(None, None, False)),
        ("< answer >yes</ answer >", Shape.DIRECT, Parsed(None, None, False)),
        ("", Shape.THINK, Parsed(None, None, False)),
    ],
)
def test_parse(text: str, shape: Shape, expected: Parsed) -> None:
    assert parse(text, shape) == expected


def test_render_is_what_sft_targets_look_like() -> None:
    assert render(Shape.THINK, " a ", "yes") == "<think> a </think> <answer> yes </answer>"
    assert render(Shape.THINK_AFTER, "a", "yes") == "<answer> yes </answer> <think> a </think>"
    assert render(Shape.DIRECT, "ignored", "yes") == "<answer> yes </answer>"


@given(shape=st.sampled_from(Shape), reasoning=content, answer=content)
def test_what_is_rendered_parses_back(shape: Shape, reasoning: str, answer: str) -> None:
    expected = Parsed(reasoning.strip() if shape.reasons else None, answer.strip(), True)
    assert parse(render(shape, reasoning, answer), shape) == expected


@given(text=soup, shape=st.sampled_from(Shape))
def test_any_text_parses(text: str, shape: Shape) -> None:
    parsed = parse(text, shape)
    if parsed.well_formed:
        assert parsed.answer is not None
        assert (parsed.reasoning is not None) == shape.reasons
    for block in (parsed.reasoning, parsed.answer):
        assert block is None or not any(tag in block for tag in TAGS)


@given(text=soup)
def test_a_second_answer_block_takes_the_answer_away(text: str) -> None:
    assert parse(f"<answer> yes </answer>{text}<answer> yes </answer>", Shape.DIRECT).answer is None


@pytest.mark.parametrize("tag", TAGS)
def test_render_refuses_tags_in_a_content(tag: str) -> None:
    with pytest.raises(DataError, match="answer content holds the tag"):
        render(Shape.DIRECT, None, f"yes {tag}")


def test_render_wants_a_reasoning_where_the_shape_does() -> None:
    with pytest.raises(DataError, match="'think-after' needs a reasoning"):
        render(Shape.THINK_AFTER, None, "yes")
