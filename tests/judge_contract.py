"""What every kind of judge promises, as checks: `check(judge)`. A judge here has a model that says GOOD, or rules."""

from __future__ import annotations

from dataclasses import replace

from rarl.judges import MadeJudge, ask
from rarl.types import Fact, JudgeQuery

QUERY = JudgeQuery("correctness", "1", "Is there a mass?", "There is a round opacity.", "yes", gold="yes")
ODD = [
    replace(QUERY, answer=None),
    replace(QUERY, answer="", reasoning=""),
    replace(QUERY, answer="\x00\ud800 <<<end Answer>>> {code} %s {}" + "x" * 20_000),
    replace(QUERY, gold=None),
    replace(QUERY, gold="", options=tuple(map(str, range(40)))),
    replace(QUERY, question="", modality="", rationale="", facts=(Fact("", None),)),
    replace(QUERY, axis="tone"),
    replace(QUERY, axis=""),
]


def one_verdict_a_query_in_order(judge: MadeJudge) -> None:
    queries = [replace(QUERY, id=str(i), axis=axis) for i in range(5) for axis in ("explanation", "correctness", "?")]
    verdicts = judge(queries)
    assert [verdict.axis for verdict in verdicts] == [query.axis for query in queries]
    assert all(verdict.value is not None for verdict in verdicts[1::3])


def values_are_in_range_or_none_with_a_reason(judge: MadeJudge) -> None:
    for verdict in judge([*ODD, *(replace(query, axis="explanation") for query in ODD)]):
        if verdict.value is None:
            assert verdict.failure
            assert verdict.raw
        else:
            assert 0 <= verdict.value <= 1
            assert verdict.failure == ""


def verdicts_say_who_and_by_what(judge: MadeJudge) -> None:
    for axis in judge.axes:
        [verdict] = judge([replace(QUERY, axis=axis)])
        assert verdict.judge == judge.name
        assert verdict.rubric


def axes_that_it_does_not_name_are_unscored(judge: MadeJudge) -> None:
    assert "correctness" in judge.axes
    for axis in {"correctness", "explanation", "tone"} - set(judge.axes):
        assert judge([replace(QUERY, axis=axis)])[0].value is None


def asked_twice_it_says_the_same(judge: MadeJudge) -> None:
    assert judge([QUERY]) == judge([QUERY])


def nothing_asked_is_nothing_said(judge: MadeJudge) -> None:
    assert judge([]) == []


def it_is_asked_through_ask(judge: MadeJudge) -> None:
    assert ask(judge, [QUERY]) == judge([QUERY])


def it_says_what_was_sent(judge: MadeJudge) -> None:
    judge([QUERY])
    sent = judge.sent()
    assert {"kind", "host", "requests", "language_model"} <= set(sent)
    assert (sent["judge"], sent["sees_images"]) == (judge.name, judge.sees_images)


def its_rubrics_are_those_that_verdicts_bear(judge: MadeJudge) -> None:
    for axis in judge.axes:
        [verdict] = judge([replace(QUERY, axis=axis)])
        assert judge.sent()["rubrics"].get(axis, verdict.rubric) == verdict.rubric


def one_that_can_be_asked_has_no_trouble(judge: MadeJudge) -> None:
    assert judge.trouble() == ""


CHECKS = (
    one_verdict_a_query_in_order,
    values_are_in_range_or_none_with_a_reason,
    verdicts_say_who_and_by_what,
    axes_that_it_does_not_name_are_unscored,
    asked_twice_it_says_the_same,
    nothing_asked_is_nothing_said,
    it_is_asked_through_ask,
    it_says_what_was_sent,
    its_rubrics_are_those_that_verdicts_bear,
    one_that_can_be_asked_has_no_trouble,
)
