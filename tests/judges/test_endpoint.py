"""The judge of kind "openai" against a real server that fails."""

import asyncio
import logging
import math
import re
import time
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

import judge_server as fake
from rarl.config import JudgeSection
from rarl.errors import JudgeError, MissingExtraError
from rarl.judges import Failure, endpoint, limits, make_judge


def outcome(verdicts):
    return [(verdict.value, verdict.failure) for verdict in verdicts]


def test_a_verdict(remote, server, query):
    judge = remote()
    [verdict] = judge([query])
    assert verdict.value == pytest.approx(2 / 3)
    assert (verdict.axis, verdict.judge, verdict.raw, verdict.failure) == ("correctness", "m", fake.GOOD, "")
    assert re.fullmatch(r"correctness-1 sha256:[0-9a-f]{64}", verdict.rubric)
    [asked] = server.asked
    assert asked.path == "/v1/chat/completions"
    assert (asked.body["model"], asked.body["temperature"], asked.body["max_tokens"]) == ("m", 0.0, 1024)
    assert asked.body["response_format"]["type"] == "json_schema"
    assert asked.body["response_format"]["json_schema"]["schema"]["properties"]["score"]["enum"] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "fault",
    [
        fake.fails(429, Retry_After="0"),
        fake.fails(500),
        fake.fails(503),
        fake.cuts,
        fake.gives(b"{not json"),
        fake.gives({"error": {"message": "upstream failed", "code": 502}}),  # with status 200, as some gateways do
    ],
)
def test_what_may_pass_is_asked_again(remote, server, query, fault):
    server.script = [fault, fault]
    assert outcome(remote(retries=2)([query])) == [(2 / 3, "")]
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("fault", "failure", "told"),
    [
        (fake.fails(500, "out of memory"), Failure.OUTAGE, "out of memory"),
        (fake.fails(429, "slow down"), Failure.OUTAGE, "slow down"),
        (fake.cuts, Failure.OUTAGE, "incomplete|closed"),
        (fake.gives(b"<html>"), Failure.OUTAGE, "no JSON: b'<html>'"),
    ],
)
def test_what_does_not_pass_is_unscored_after_all_retries(remote, server, query, fault, failure, told):
    server.act = fault
    [verdict] = remote(retries=1)([query])
    assert (verdict.value, verdict.failure) == (None, failure)
    assert re.search(told, verdict.raw)
    assert len(server.asked) == 2


@pytest.mark.parametrize("act", [fake.hangs, fake.trickles])
def test_a_server_that_takes_too_long(remote, server, query, act):
    server.act = act
    start = time.monotonic()
    [verdict] = remote(timeout=0.3, retries=0)([query])
    assert time.monotonic() - start < 2
    assert (verdict.value, verdict.failure) == (None, Failure.TIMEOUT)
    assert "0.3 s" in verdict.raw


def test_nobody_is_there(remote, server, query):
    server.shutdown()
    server.server_close()
    [verdict] = remote(retries=1)([query])
    assert (verdict.value, verdict.failure) == (None, Failure.OUTAGE)


def test_nobody_was_ever_there_and_is_not_waited_for(remote, server, several, monkeypatch):
    judge = remote(retries=4)
    monkeypatch.setattr(limits, "FIRST_PAUSE", 60.0)
    server.shutdown()
    server.server_close()
    start = time.monotonic()
    first, *others = judge(several(20))
    assert time.monotonic() - start < 5
    assert "Connection refused" in first.raw
    assert outcome([first, *others]) == [(None, Failure.OUTAGE)] * 20
    assert {verdict.raw for verdict in others} == {"not asked: the first got no reply at all"}


def test_a_server_that_never_says_anything_is_asked_for_one_verdict_alone(remote, server, several):
    server.act = fake.hangs
    verdicts = remote(timeout=0.2, retries=2)(several(20))
    assert {verdict.value for verdict in verdicts} == {None}
    assert (verdicts[0].failure, verdicts[-1].raw) == (Failure.TIMEOUT, "not asked: the first got no reply at all")
    assert len(server.asked) == 3


def test_a_server_that_dies_is_waited_for_and_what_it_said_is_kept(remote, server, several):
    server.script = [*[fake.says(fake.GOOD)] * 3, fake.dies]
    verdicts = remote(concurrency=1, retries=2)(several(30))
    assert outcome(verdicts) == [(2 / 3, "")] * 3 + [(None, Failure.OUTAGE)] * 27
    assert "not asked: 8 queries in a row had failed" in verdicts[-1].raw


@pytest.mark.parametrize(
    ("act", "failure"),
    [
        (fake.says(None, refusal="I can't judge that."), Failure.REFUSED),
        (fake.says("I'm sorry, I can't help with that."), Failure.REFUSED),
        (fake.says("I cannot assist with medical images."), Failure.REFUSED),
        (fake.says('I cannot say. {"score": 0, "reason": ""}'), Failure.UNREADABLE),
        (fake.says('{"score": 3, "reason": "ri', "length"), Failure.TRUNCATED),
        (fake.says(fake.GOOD, "length"), Failure.TRUNCATED),
        (fake.says("", "content_filter"), Failure.FILTERED),
        (fake.fails(400, "filtered", code="content_filter"), Failure.FILTERED),
        (fake.fails(400, "too long", code="context_length_exceeded"), Failure.REJECTED),
        (fake.fails(413), Failure.REJECTED),
        (fake.says(None), Failure.UNREADABLE),
        (fake.says("  "), Failure.UNREADABLE),
        (fake.says("The answer is right."), Failure.UNREADABLE),
        (fake.says('{"score": 4, "reason": "better than best"}'), Failure.UNREADABLE),
        (fake.says('{"score": -1, "reason": ""}'), Failure.UNREADABLE),
        (fake.says('{"rating": 3}'), Failure.UNREADABLE),
        (fake.gives({"choices": []}), Failure.UNREADABLE),
        (fake.gives({"choices": None}), Failure.UNREADABLE),
        (fake.gives({"choices": [{"finish_reason": "stop"}]}), Failure.UNREADABLE),
        (fake.gives({"choices": ["stop"]}), Failure.UNREADABLE),
        (fake.gives({}), Failure.UNREADABLE),
        (fake.gives([1]), Failure.OUTAGE),
    ],
)
def test_what_is_no_verdict_has_no_value_and_is_not_asked_again(remote, server, query, act, failure):
    server.act = act
    assert outcome(remote(retries=0)([query])) == [(None, failure)]
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [401, 402, 403, 404, 307])
def test_what_is_wrong_for_all_fails_at_once_in_one_line(remote, server, several, status):
    server.act = fake.fails(status, "no such\nmodel", Location="http://127.0.0.1:9/elsewhere")
    with pytest.raises(JudgeError, match=r"the judge at 127\.0\.0\.1:\d+ can't be asked: .*; check ") as caught:
        remote()(several(20))
    assert "\n" not in str(caught.value)
    assert len(server.asked) == 1


def test_an_empty_account_fails_at_once_and_is_no_rate_limit(remote, server, query):
    server.act = fake.fails(429, "you exceeded your current quota", code="insufficient_quota")
    with pytest.raises(JudgeError, match="quota"):
        remote()([query])
    assert len(server.asked) == 1


def test_a_key_that_is_revoked_midway_keeps_what_was_scored(remote, server, several):
    server.script = [fake.says(fake.GOOD)] * 2
    server.act = fake.fails(401)
    judge = remote(concurrency=1)
    first, second = judge(several(2)), judge([several(3)[2]])
    assert outcome(first) == [(2 / 3, ""), (2 / 3, "")]
    assert outcome(second) == [(None, Failure.DENIED)]


def test_a_dead_server_is_not_asked_about_everything(remote, server, several):
    server.act = fake.fails(500)
    verdicts = remote(concurrency=4, retries=0)(several(60))
    assert {verdict.failure for verdict in verdicts} == {Failure.OUTAGE}
    assert 8 <= len(server.asked) <= 8 + 2 * 4
    assert "not asked: 8 queries in a row had failed" in verdicts[-1].raw


def test_queries_in_order_whatever_the_order_of_replies(remote, server, several):
    def reply(handler, asked):
        number = int(re.search(r"^answer (\d+)$", asked.user, re.MULTILINE)[1])
        time.sleep(0.02 * (number % 3))
        fake.says(f'{{"score": {number % 4}, "reason": ""}}')(handler, asked)

    server.act = reply
    values = [verdict.value for verdict in remote(concurrency=5)(several(15))]
    assert values == [i % 4 / 3 for i in range(15)]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_never_more_requests_at_once_than_allowed(remote, server, several, concurrency):
    server.act = fake.slowly(0.03, fake.says(fake.GOOD))
    remote(concurrency=concurrency)(several(3 * concurrency + 1))
    assert server.most_at_once == concurrency


def test_a_rate_limit_holds_all_workers(remote, server, several, monkeypatch):
    monkeypatch.setattr(limits, "FIRST_PAUSE", 0.4)
    server.script = [fake.says(fake.GOOD), fake.fails(429, Retry_After="0.4")]
    server.act = fake.slowly(0.05, fake.says(fake.GOOD))
    judge, start = remote(concurrency=2, retries=2), time.monotonic()
    assert {verdict.failure for verdict in judge(several(8))} == {""}
    refused, again = (asked.at for asked in server.asked if asked.user == server.asked[1].user)
    assert again - refused >= 0.58  # the pause, from 0.2 to 0.4, comes after the gate: not all rush through at once
    later = [asked.at - refused for asked in server.asked[3:]]  # the third was under way with the second
    assert min(later) >= 0.38
    assert time.monotonic() - start < 30


def test_retry_after_as_a_date(remote, server, query):
    soon = math.ceil(time.time() + 0.2)  # dates have whole seconds
    server.script = [fake.fails(503, Retry_After=format_datetime(datetime.fromtimestamp(soon, UTC), usegmt=True))]
    assert outcome(remote()([query])) == [(2 / 3, "")]
    asked = [each.at + time.time() - time.monotonic() for each in server.asked]
    assert asked[0] < soon - 0.05
    assert asked[1] >= soon - 0.05


def test_a_server_that_wants_an_hour_is_out(remote, server, query):
    server.act = fake.fails(429, Retry_After="3600")
    start = time.monotonic()
    assert outcome(remote(retries=3)([query])) == [(None, Failure.OUTAGE)]
    assert time.monotonic() - start < 20
    assert len(server.asked) == 1


@pytest.mark.parametrize("hour", ["3600", "inf"])
def test_a_server_that_wants_an_hour_stops_all_workers_at_once(remote, server, several, hour):
    server.script = [fake.says(fake.GOOD), fake.fails(429, Retry_After="2")]  # the second worker waits, till it is told
    server.act = fake.slowly(0.1, fake.fails(429, Retry_After=hour))
    judge, start = remote(concurrency=8, retries=3), time.monotonic()
    verdicts = judge(several(60))
    assert len(server.asked) <= 2 + 8  # the first two, and what was under way
    assert outcome(verdicts) == [(2 / 3, ""), *[(None, Failure.OUTAGE)] * 59]
    assert re.fullmatch(r"not asked: it wants to be left alone for (3600|3599|inf) s", verdicts[-1].raw)
    asked = len(server.asked)
    assert outcome(judge(several(80)[60:])) == [(None, Failure.OUTAGE)] * 20  # nor in a later call
    assert re.search(r"can't be asked: it wants to be left alone for (\d+|inf) s; come back then$", judge.trouble())
    assert len(server.asked) == asked
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("status", [400, 422])
def test_a_server_without_structured_output(remote, server, several, names, status):
    server.act = act = fake.Refusing((), ("json_object",), names=names, status=status)
    assert {value for value, _ in outcome(remote()(several(5)))} == {2 / 3}
    assert act.refused == ["response_format"]  # asked with a schema once, ever


def test_a_server_that_knows_next_to_nothing(remote, server, several):
    server.act = act = fake.Refusing(("max_tokens", "temperature"))
    assert {value for value, _ in outcome(remote()(several(3)))} == {2 / 3}
    assert act.refused == ["max_tokens", "temperature", "response_format", "response_format"]
    assert server.asked[-1].body.keys() == {"model", "messages", "max_completion_tokens"}


def test_an_internal_error_about_the_format(remote, server, query):
    server.act = fake.Refusing((), ("json_object",), status=500)
    assert outcome(remote(retries=0)([query])) == [(2 / 3, "")]


def test_one_bad_query_does_not_change_how_the_others_are_asked(remote, server, several):
    server.script = [fake.says(fake.GOOD), fake.fails(400, "Bad request")]
    verdicts = remote(concurrency=1)(several(4))
    assert outcome(verdicts)[1] == (None, Failure.REJECTED)
    assert len(server.asked) == 4
    assert all("response_format" in asked.body for asked in server.asked)


def test_the_budget_of_requests(remote, server, several):
    server.script = [fake.fails(500)]
    verdicts = remote(max_requests=4, concurrency=1)(several(6))
    assert [verdict.failure for verdict in verdicts] == ["", "", "", *[Failure.BUDGET] * 3]
    assert "judge.max_requests = 4" in verdicts[-1].raw
    assert len(server.asked) == 4


def test_the_budget_of_tokens(remote, server, several):
    judge = remote(max_tokens_total=250, concurrency=1)  # 110 a request, as the server says
    assert [verdict.failure for verdict in judge(several(5))] == ["", "", "", Failure.BUDGET, Failure.BUDGET]
    assert len(server.asked) == 3


def test_the_record_of_what_was_sent(remote, server, several):
    server.script = [fake.says(fake.GOOD), fake.says("hm")]
    judge = remote(concurrency=1)
    judge(several(3))
    sent = judge.sent()
    assert sent["host"] == f"127.0.0.1:{server.server_port}"
    assert (sent["kind"], sent["model"], sent["answered_by"]) == ("openai", "m", ["judge-2026"])
    assert (sent["requests"], sent["prompt_tokens"], sent["completion_tokens"], sent["images"]) == (3, 300, 30, 0)
    assert (sent["queries"], sent["from_cache"], sent["unscored"]) == (3, 0, {"unreadable": 1})
    assert sent["language_model"] is True
    assert sent["sees_images"] is False
    assert set(sent["rubrics"]) == {"correctness", "explanation"}


def test_costs_are_estimated_where_the_server_is_silent(remote, server, query):
    server.act = fake.gives({"choices": fake.completion(fake.GOOD)["choices"]})
    judge = remote()
    judge([query])
    sent, [asked] = judge.sent(), server.asked
    assert sent["prompt_tokens"] == -(-len(asked.system + asked.user) // 4)
    assert sent["completion_tokens"] == -(-len(fake.GOOD) // 4)
    assert sent["answered_by"] == ["not said"]


def test_the_key_is_sent_and_never_told(remote, server, query, monkeypatch, caplog, tmp_path):
    key = "sk-0123456789abcdef"
    remote()  # the fixture takes the key away
    monkeypatch.setenv("OPENAI_API_KEY", key)
    caplog.set_level(logging.DEBUG)

    def repeats(handler, asked):
        fake.fails(500, f"bad {asked.headers['authorization']}")(handler, asked)

    server.script = [repeats, fake.says(f'{{"score": 3, "reason": "{key}"}}'), repeats]
    cache = tmp_path / "verdicts.sqlite"
    judge = remote(retries=1, cache=str(cache))
    verdicts = [*judge([query]), *remote(retries=0, cache=str(cache), model="n")([query])]
    assert outcome(verdicts) == [(1.0, ""), (None, Failure.OUTAGE)]
    assert server.asked[0].headers["authorization"] == f"Bearer {key}"
    assert "bad Bearer [OPENAI_API_KEY]" in verdicts[1].raw
    for told in (caplog.text, str(verdicts), str(judge.sent()), cache.read_bytes().decode("latin-1")):
        assert key not in told


def test_a_server_of_ones_own_needs_no_key_and_openai_does(remote, server, query, monkeypatch):
    assert remote()([query])[0].value is not None
    with pytest.raises(JudgeError, match=r"needs a key in OPENAI_API_KEY, or a server of your own in judge\.base_url"):
        make_judge(JudgeSection(kind="openai", model="m"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-\u201cquoted\u201d")
    with pytest.raises(JudgeError, match="characters that no key has"):
        make_judge(JudgeSection(kind="openai", model="m"))


def test_only_the_configured_host_is_asked(server, query, monkeypatch):
    section = JudgeSection(kind="openai", model="m", cache="off", retries=0)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    assert make_judge(section).sent()["host"] == "api.openai.com"
    monkeypatch.setattr(endpoint, "OPENAI", "http://127.0.0.1:9/v1")  # where nobody is
    assert outcome(make_judge(section)([query])) == [(None, Failure.OUTAGE)]
    assert server.asked == []


def test_inside_a_running_loop(remote, several):
    async def ask():
        return remote()(several(3))

    assert outcome(asyncio.run(ask())) == [(2 / 3, "")] * 3


def test_an_interrupt_stops_the_asking(remote, server, several, monkeypatch):
    server.act = fake.slowly(0.05, fake.says(fake.GOOD))
    seen = []

    def interrupted(items, label, total, units):
        for item in items:
            seen.append(item)
            if len(seen) == 3:
                raise KeyboardInterrupt
            yield item

    monkeypatch.setattr("rarl.judges.language.progress", interrupted)
    with pytest.raises(KeyboardInterrupt):
        remote(concurrency=2)(several(40))
    server.script, server.act, seen[:] = [fake.says(fake.GOOD)] * 3, fake.fails(500), []
    with pytest.raises(KeyboardInterrupt):
        remote(concurrency=2, retries=9)(several(40))
    time.sleep(0.2)
    assert len(server.asked) <= 8 + 8


@pytest.mark.parametrize(
    "look",
    [fake.gives({"data": []}), fake.gives(b"<html>"), fake.fails(403), fake.fails(404), fake.fails(500), fake.hangs],
)
def test_a_server_that_is_there_is_no_trouble(remote, server, look):
    server.look = look
    assert remote(timeout=0.3).trouble() == ""
    assert server.asked == []


def test_a_wrong_key_and_an_address_with_nobody_are_trouble(remote, server, query, monkeypatch):
    remote()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    server.look = fake.fails(401, "Incorrect API key: sk-0123456789")
    host = f"127.0.0.1:{server.server_port}"
    wrong = remote().trouble()
    assert wrong.startswith(f"the judge at {host} can't be asked: AuthenticationError: ")
    assert wrong.endswith("Incorrect API key: [OPENAI_API_KEY]; check OPENAI_API_KEY")
    server.shutdown()
    server.server_close()
    nobody = remote().trouble()
    assert nobody.startswith(f"the judge at {host} can't be asked: ConnectError: ")
    assert nobody.endswith("; check judge.base_url, and that the server runs")
    assert "\n" not in wrong + nobody
    assert server.asked == []


def test_a_missing_package_is_one_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    with pytest.raises(MissingExtraError, match=r"^judge.kind = openai needs openai, .*`pip install openai`$"):
        make_judge(JudgeSection(kind="openai", model="m", base_url="http://localhost:1/v1"))
