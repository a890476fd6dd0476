import pytest

from rarl.rewards.columns import columns
from rarl.rewards.format import format as format_reward
from rarl.types import Shape

THINK = "<think> It is bright. </think>"
ANSWER = "<answer> left </answer>"


@pytest.mark.parametrize(
    ("shape", "text", "expected"),
    [
        (Shape.THINK, f"{THINK} {ANSWER}", 1.0),
        (Shape.THINK, f"{THINK}\n{ANSWER}\n", 1.0),
        (Shape.DIRECT, ANSWER, 1.0),
        (Shape.THINK_AFTER, f"{ANSWER} {THINK}", 1.0),
        (Shape.THINK, f"{ANSWER} {THINK}", 0.5),  # both blocks, wrong order
        (Shape.THINK_AFTER, f"{THINK} {ANSWER}", 0.5),
        (Shape.DIRECT, f"{THINK} {ANSWER}", 0.5),  # a block too many
        (Shape.THINK, f"{THINK} {ANSWER} I hope this helps.", 0.5),
        (Shape.THINK, f"Sure! {THINK} {ANSWER}", 0.5),
        (Shape.THINK, ANSWER, 0.25),  # one of two blocks
        (Shape.THINK, THINK, 0.25),
        (Shape.THINK, f"{THINK} {ANSWER} {ANSWER}", 0.25),  # several answers are none
        (Shape.THINK, f"{THINK} <answer> </answer>", 0.25),  # an empty answer is none
        (Shape.THINK, f"<think></think> {ANSWER}", 1.0),  # filling it up pays nothing here
        (Shape.DIRECT, "<answer></answer>", 0.0),
        (Shape.THINK, "<think> cut off", 0.0),
        (Shape.THINK, "left", 0.0),
        (Shape.THINK, "", 0.0),
    ],
)
def test_by_hand(rollout, shape, text, expected):
    prompts = [rollout(text, shape=shape).prompt]
    assert format_reward([None], [text], **columns(prompts)) == [expected]
