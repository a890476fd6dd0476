"""From settings to judges, from examples to queries, and what is told of both."""

import base64
import io
from dataclasses import replace

import pytest
from PIL import Image, PngImagePlugin

import judge_server as fake
from rarl.config import JudgeSection, RunConfig
from rarl.data.images import BytesImage
from rarl.errors import ConfigError, JudgeError, RarlError
from rarl.judges import (
    Failure,
    ask,
    failures,
    make_judge,
    query_about,
    require_scored,
    same_judge_warning,
    tallies,
)
from rarl.types import Example, Fact, JudgeQuery, Verdict


def picture(name="patient-1.png", **text):
    file, tags = io.BytesIO(), PngImagePlugin.PngInfo()
    for key, value in text.items():
        tags.add_text(key, value)
    Image.new("RGB", (3000, 1500), "teal").save(file, "PNG", pnginfo=tags, icc_profile=b"of the scanner")
    return BytesImage(file.getvalue(), name)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["judge.kind=openai"], r"judge\.kind = openai needs judge\.model"),
        (["judge.kind=local"], r"judge\.kind = local needs judge\.model"),
        (["judge.kind=local", "judge.model=tiny", "judge.send_images=true"], r"send_images = true needs judge\.kind"),
        (["judge.base_url=localhost:8000"], "must be a URL such as"),
        (["judge.base_url=http://[::1"], "is no URL"),
        (["judge.base_url=https://me:secret@host/v1"], "must not hold a user, a password or a query"),
        (["judge.max_unscored=1.5"], r"judge\.max_unscored: .*less than or equal to 1"),
        (["judge.concurrency=0"], r"judge\.concurrency: .*greater than or equal to 1"),
        (["judge.timeout=0"], r"judge\.timeout"),
        (["judge.api_key=sk-1"], r"unknown key 'judge\.api_key'"),
    ],
)
def test_settings_that_cannot_be(overrides, message):
    with pytest.raises(ConfigError, match=message) as caught:
        RunConfig().override(overrides)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_patience_is_no_part_of_what_decides_a_run():
    config = RunConfig().override(["judge.kind=openai", "judge.model=m"])
    for same in ("retries=0", "timeout=1", "concurrency=1", "max_requests=5", "cache=off"):
        assert config.override([f"judge.{same}"]).digest() == config.digest()
    for other in ("judge.model=n", "judge.temperature=1", "judge.base_url='http://h/v1'", "judge.max_tokens=5"):
        assert config.override([other]).digest() != config.digest()


def test_an_unknown_kind_is_named():
    with pytest.raises(RarlError, match="unknown judge 'opnai'; did you mean 'openai'"):
        make_judge(JudgeSection(kind="opnai"))


def test_a_judge_of_ones_own(tmp_path, query):
    (tmp_path / "mine.py").write_text("import rarl\ndef judge(qs):\n    return [1 / len(q.answer) for q in qs]\n")
    judge = make_judge(JudgeSection(kind=f"{tmp_path / 'mine.py'}:judge"))
    for answer, why in (("", "ZeroDivisionError"), ("left", "one Verdict a query; 1 asked, got [0.25]")):
        [verdict] = judge([replace(query, answer=answer)])
        assert (verdict.value, verdict.failure) == (None, Failure.RAISED)
        assert why in verdict.raw
    assert judge.sent()["host"] is None


def test_a_judge_of_ones_own_that_hangs_has_judge_timeout_for_each_query(tmp_path, query):
    (tmp_path / "mine.py").write_text("import time\ndef judge(qs):\n    time.sleep(60)\n")
    judge = make_judge(JudgeSection(kind=f"{tmp_path / 'mine.py'}:judge", timeout=0.05))
    verdicts = judge([query, query])
    assert [(each.value, each.failure, each.raw) for each in verdicts] == [
        (None, Failure.TIMEOUT, "took longer than 0.1 s")
    ] * 2


@pytest.mark.parametrize(
    ("value", "failure", "checked"),
    [
        (0.5, "", (0.5, "")),
        (0, "", (0, "")),
        (1.01, "", (None, Failure.UNREADABLE)),
        (float("nan"), "", (None, Failure.UNREADABLE)),
        (None, "", (None, Failure.UNNAMED)),
        (None, "asleep", (None, "asleep")),
    ],
)
def test_verdicts_of_anybody_are_checked(query, value, failure, checked):
    [verdict] = ask(lambda queries: [Verdict(value, "correctness", "", "", "", failure)], [query])
    assert (verdict.value, verdict.failure) == checked


def test_who_cannot_be_asked_at_all_is_an_error(query):
    def nobody(queries):
        raise JudgeError("no key")

    with pytest.raises(JudgeError, match="no key"):
        ask(nobody, [query])
    assert ask(nobody, []) == []


def test_queries_about_an_answer():
    fact = Fact("side", "left", ("left", "right"))
    image = picture()
    example = Example(
        "7", "p", (image,), "Where?", "left", ("left", "right"), modality="CT", rationale="r", facts=(fact,)
    )
    assert query_about(example, "correctness", answer="Left.", reasoning="because") == JudgeQuery(
        "correctness", "7", "Where?", "because", "Left.", "left", ("left", "right"), "CT", None, (), (image,)
    )
    assert query_about(example, "explanation", answer=None, reasoning=None) == JudgeQuery(
        "explanation", "7", "Where?", "", None, None, ("left", "right"), "CT", "r", (fact,), (image,)
    )


def test_no_image_leaves_unless_it_is_said(remote, server, query):
    query = replace(query, axis="explanation", images=(picture(Comment="Jane Doe"),))
    judge = remote()
    judge([query])
    assert judge.sent()["images"] == 0
    assert "image" not in str(server.asked[0].body["messages"][1]["content"]).replace("medical image", "")
    assert isinstance(server.asked[0].body["messages"][1]["content"], str)
    seeing = remote(send_images=True)
    seeing([query])
    assert seeing.sees_images
    assert (seeing.sent()["sees_images"], seeing.sent()["images"]) == (True, 1)
    text, image = server.asked[1].body["messages"][1]["content"]
    assert text["type"] == "text"
    head, _, data = image["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    sent = base64.b64decode(data)
    opened = Image.open(io.BytesIO(sent))
    assert opened.size == (2048, 1024)
    assert opened.info == {}
    assert b"Jane" not in sent
    assert "patient-1" not in str(server.asked[1].body)


def test_an_image_that_cannot_be_read_is_unscored(remote, server, query, broken_image):
    verdicts = remote(send_images=True)([replace(query, images=(broken_image,)), query])
    assert [verdict.failure for verdict in verdicts] == [Failure.UNSUITED, ""]
    assert len(server.asked) == 1


@pytest.mark.parametrize("axis", ["correctness", "explanation"])
def test_nothing_to_judge_is_0_unasked(remote, server, query, axis):
    for nothing in (None, "", " \n", "\u200b"):
        empty = replace(query, axis=axis, answer=nothing, reasoning=nothing or "")
        [verdict] = remote()([empty])
        assert verdict.value == 0.0
    assert server.asked == []


def test_what_no_judge_can_score(remote, server, query):
    verdicts = remote()([replace(query, gold=None), replace(query, axis="tone")])
    assert [verdict.failure for verdict in verdicts] == [Failure.UNSUITED] * 2
    assert "gold" in verdicts[0].raw
    assert "'tone'" in verdicts[1].raw
    assert server.asked == []


def test_too_much_unscored_is_an_error_that_counts(query):
    scored = [Verdict(1.0, "correctness", "", "", "")] * 9
    none = [Verdict(None, "correctness", "", "", "", failure) for failure in ("timeout", "", "timeout")]
    assert failures([*scored, *none]) == {"timeout": 2, "no reason given": 1}
    counted = tallies([*scored, *none])
    require_scored(counted, 0.25)  # exactly the share
    with pytest.raises(JudgeError) as caught:
        require_scored(counted, 0.2, where="runs/eval-1", remedy="wait")
    assert str(caught.value) == (
        "runs/eval-1: the judge left unscored the correctness of 3 of 12 answers (2 timeout, 1 no reason given), more "
        "than judge.max_unscored = 0.2 of all; what it scored is kept: mend the cause and wait"
    )
    with pytest.raises(
        JudgeError, match=r"; what a model scored is kept in judge\.cache, unless that is off: mend the"
    ):
        require_scored(counted, 0.2)  # in no folder
    require_scored({}, 0.0)
    require_scored(tallies(scored), 0.0)


@pytest.mark.parametrize(
    ("spent", "todo"),
    [
        (["budget"], "raise judge.max_requests or judge.max_tokens_total and run this again"),
        (["budget", "outage"], "mend the cause, raise judge.max_requests or judge.max_tokens_total and run this again"),
        (["outage"], "mend the cause and run this again"),
    ],
)
def test_a_spent_budget_is_raised_and_not_mended(spent, todo):
    counted = tallies([Verdict(None, "correctness", "", "", "", failure) for failure in spent])
    with pytest.raises(JudgeError) as caught:
        require_scored(counted, 0.1, where="e")
    assert str(caught.value).endswith(f"of all; what it scored is kept: {todo}")


def test_a_budget_that_a_server_used_up_says_to_raise_it(remote, several):
    with pytest.raises(JudgeError, match=r"\(2 budget\), .* off: raise judge\.max_requests or judge\.max_tokens_total"):
        require_scored(tallies(remote(max_requests=2)(several(4))), 0.1)


def test_what_is_unscored_is_counted_by_axis_and_held_against_all(query):
    def verdicts(axis, *values):
        return [Verdict(value, axis, "", "", "", "" if value else "outage") for value in values]

    counted = tallies([*verdicts("correctness", 1.0, 1.0, 1.0, None), *verdicts("explanation", 1.0, None, None, None)])
    require_scored(counted, 0.5)  # 4 of 8
    with pytest.raises(
        JudgeError,
        match=r"^the judge left unscored the correctness of 1 of 4 answers \(1 outage\) and the explanation of "
        r"3 of 4 answers \(3 outage\), more than judge.max_unscored = 0.4 of all; .* run this again$",
    ):
        require_scored(counted, 0.4)


def test_all_unscored_is_too_much_but_where_all_may_be(remote, server, several):
    server.act = fake.says("hm")
    counted = tallies(remote()(several(3)))
    with pytest.raises(JudgeError, match="3 of 3"):
        require_scored(counted, 0.99)
    require_scored(counted, 1.0)


@pytest.mark.parametrize(
    ("training", "evaluation", "warns"),
    [
        ({}, {}, False),
        ({"kind": "openai", "model": "a"}, {}, False),
        ({"kind": "openai", "model": "a"}, {"kind": "openai", "model": "a", "base_url": "http://h/v1"}, True),
        ({"kind": "openai", "model": "Qwen/Qwen3-4B"}, {"kind": "local", "model": "qwen3-4b"}, True),
        ({"kind": "openai", "model": "a"}, {"kind": "openai", "model": "b"}, False),
        ({"kind": "my.py:judge"}, {"kind": "my.py:judge"}, True),
        ({"kind": "my.py:judge"}, {"kind": "your.py:judge"}, False),
    ],
)
def test_the_judge_of_training_should_not_evaluate(training, evaluation, warns):
    told = same_judge_warning(JudgeSection(**training), JudgeSection(**evaluation))
    assert (told is not None) is warns
