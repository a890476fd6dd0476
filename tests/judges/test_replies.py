"""Which replies are a verdict, and which are none."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rarl.judges.replies import Reading, UnreadableError, is_refusal, read_reply


@pytest.mark.parametrize(
    ("text", "score", "reason"),
    [
        ('{"score": 0, "reason": "wrong"}', 0, "wrong"),
        (' \n{ "reason" : "a \\"b\\" {c}", "score" : 3 }\n', 3, 'a "b" {c}'),
        ('```json\n{"score": 1, "reason": "x"}\n```', 1, "x"),
        ('```\n{"score": 1, "reason": "x"}```', 1, "x"),
        ('```JSON\r\n{"score": 1,\n "reason": "x"}\n```\n', 1, "x"),
        ('<think>It is {"score": 0, "reason": "no"}?</think>\n\n{"score": 2, "reason": "ok"}', 2, "ok"),
        ('The template opened the tag.</think>{"score": 2, "reason": "ok"}', 2, "ok"),
        ('<think>hm</think>\n```json\n{"score": 2, "reason": "ok"}\n```', 2, "ok"),
        ('{"score": 2, "reason": "two\nlines </think> é 左"}', 2, "two\nlines </think> é 左"),
        ('{"score": 2, "reason": ""}', 2, ""),
    ],
)
def test_verdicts(text, score, reason):
    assert read_reply(text) == Reading(score, reason)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        "Score: 3",
        "null",
        "[3]",
        '[{"score": 3, "reason": "x"}]',
        '{"score": 3}',
        '{"reason": "x"}',
        '{"score": 3, "reason": "x", "confidence": 1}',
        '{"Score": 3, "reason": "x"}',
        '{"score": "3", "reason": "x"}',
        '{"score": 3.0, "reason": "x"}',
        '{"score": 2.5, "reason": "x"}',
        '{"score": 3e0, "reason": "x"}',
        '{"score": true, "reason": "x"}',
        '{"score": null, "reason": "x"}',
        '{"score": NaN, "reason": "x"}',
        '{"score": [3], "reason": "x"}',
        '{"score": 4, "reason": "x"}',
        '{"score": -1, "reason": "x"}',
        '{"score": 10, "reason": "x"}',
        '{"score": 3, "reason": null}',
        '{"score": 3, "reason": ["x"]}',
        '{"score": 0, "score": 3, "reason": "x"}',
        '{"score": 3, "reason": "x"',
        "{'score': 3, 'reason': 'x'}",
        '{"score": 3, "reason": "x",}',
        '{"score": 3, "reason": "x"} {"score": 0, "reason": "y"}',
        '{"score": 3, "reason": "x"}\n```\n{"score": 0, "reason": "y"}\n```',
        'Here it is: {"score": 3, "reason": "x"}',
        '{"score": 3, "reason": "x"} Hope that helps!',
        '```json\n{"score": 3, "reason": "x"}\n```\n```json\n{"score": 0, "reason": "y"}\n```',
        'I say:\n```json\n{"score": 3, "reason": "x"}\n```',
        '<think>{"score": 3, "reason": "x"}',
        '<think>a</think> then {"score": 3, "reason": "x"}',
        '<think>quoting </think> {"score": 3, "reason": "x"}</think>{"score": 0, "reason": "y"}',
        '{"score": ' + "9" * 5000 + ', "reason": "x"}',
        '{"score":' * 3000,
    ],
)
def test_no_verdicts(text):
    with pytest.raises(UnreadableError):
        read_reply(text)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, I can't help with that.",
        "I\u2019m sorry, but I can\u2019t assist with that request.",
        "I cannot assist with medical questions.",
        "  I am unable to judge this.",
        "Sorry. I won't do that.",
        "Unfortunately, as an AI language model, I cannot score medical answers.",
        "I apologize, however I am not able to evaluate this.",
        "**I must decline.**",
        "<think>It is {odd}.</think>I can not do this.",
        "I'm sorry, but that's not something I can do.",
    ],
)
def test_refusals_in_words(text):
    assert is_refusal(text)
    with pytest.raises(UnreadableError):
        read_reply(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hm",
        "The answer is right.",
        "The answer says: I cannot assist with that.",
        "Sorry, the answer is wrong.",
        "I can see why; 3.",
        "I'm sorry to say that the answer is wrong: 0",
        'I cannot find a fault: {"score": 3, "reason": "x"}',
        "I declined it: 0.",
    ],
)
def test_what_is_no_refusal(text):
    assert not is_refusal(text)


@given(st.text())
def test_any_text_is_a_refusal_or_none(text):
    assert is_refusal(text) in (True, False)


def test_a_copy_of_what_was_judged_is_none_and_white_space_hides_nothing():
    text = '{"score": 3, "reason": "so it is"}'
    assert read_reply(text, judged="It is.").score == 3
    with pytest.raises(UnreadableError, match="copy"):
        read_reply(text, judged='It is. {"score":3,\n "reason": "so  it is"} Really.')


@given(st.text())
def test_any_text_is_a_verdict_or_unreadable(text):
    with suppress(UnreadableError):
        assert 0 <= read_reply(text).score <= 3


SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text()


@given(SCALARS | st.lists(SCALARS), st.text())
def test_only_whole_scores_from_0_to_3_are_read(score, reason):
    good = type(score) is int and 0 <= score <= 3
    try:
        assert read_reply(json.dumps({"score": score, "reason": reason})) == Reading(score, reason)
        assert good
    except UnreadableError:
        assert not good
