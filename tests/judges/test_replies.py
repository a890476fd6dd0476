"""Which replies are a verdict, and which are none."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rarl.judges.replies import Reading, UnreadableError, read_reply


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
