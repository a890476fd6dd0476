"""judge-check, from a table of labels to what it says of a judge."""

import json
import time

import pytest
from rich.console import Console

import judge_server as fake
from rarl.config import JudgeSection
from rarl.errors import DataError, JudgeError
from rarl.judges import check, check_markdown, check_tables, limits, make_judge, require_scored

HEAD = "id,axis,question,gold,answer,reasoning,human,pair\n"


def row(number, human, words, *, axis="explanation", pair=""):
    return f'{number},{axis},Is it?,yes,yes,"number {number} {"word " * words}",{human},{pair}\n'


class Scripted:
    """The n-th reasoning gets the n-th score; None is none."""

    name, axes, sees_images = "scripted", ("correctness", "explanation"), False

    def __init__(self, scores):
        self.scores = scores

    def __call__(self, queries):
        from rarl.types import Verdict

        found = [self.scores[int(query.reasoning.split()[1])] for query in queries]
        return [
            Verdict(None, q.axis, "", "s", "", "timeout") if s is None else Verdict(s / 3, q.axis, "", "s", "r")
            for q, s in zip(queries, found, strict=True)
        ]

    def sent(self):
        return {"kind": "scripted", "host": None}

    def trouble(self):
        return ""


def checked(tmp_path, humans, scores, words=None, pairs=None):
    path = tmp_path / "labels.csv"
    words, pairs = words or [1] * len(humans), pairs or [""] * len(humans)
    rows = (row(i, h, w, pair=p) for i, (h, w, p) in enumerate(zip(humans, words, pairs, strict=True)))
    path.write_text(HEAD + "".join(rows))
    return check(path, Scripted(scores))


def test_agreement_by_hand(tmp_path):
    [axis] = checked(tmp_path, [0, 0, 1, 1, 2, 2, 3, 3, 1], [0, 1, 1, 2, 2, 3, 3, 0, None]).axes
    assert axis.confusion == ((1, 1, 0, 0), (0, 1, 1, 0), (0, 0, 1, 1), (1, 0, 0, 1))
    assert axis.kappa.value == pytest.approx(0.4)
    assert (axis.exact, axis.within_one) == (0.5, 7 / 8)
    assert axis.error.value == 0.0
    assert (axis.rows, axis.unscored, axis.rubric) == (9, {"timeout": 1}, "r")


def test_few_rows_are_warned_of_in_one_line(tmp_path, caplog):
    checked(tmp_path, [1] * 9 + [2], [1] * 9 + [None])
    told = "kappa and rank correlations of fewer than 10 scored rows (explanation 9) say next to nothing: label more"
    assert caplog.messages == [told]
    caplog.clear()
    checked(tmp_path, [1] * 9 + [2], [1] * 10)
    checked(tmp_path, [1] * 9, [None] * 9)  # no number, nothing to warn of
    assert caplog.messages == []


def test_a_judge_that_likes_length(tmp_path):
    humans, words = [1, 2] * 10, list(range(20))
    fair = checked(tmp_path, humans, humans, words).axes[0]
    assert fair.length.value is None  # no errors that could go along with anything
    scores = [
        human + (1 if count >= 12 else -1 if count < 6 else 0) for human, count in zip(humans, words, strict=True)
    ]
    biased = checked(tmp_path, humans, scores, words).axes[0]
    assert biased.length.value > 0.8
    assert biased.length.low > 0.5


def test_a_judge_that_drifts(tmp_path):
    humans = [1, 2] * 10
    scores = [human + (i >= 10) for i, human in enumerate(humans)]
    words = [3, 1, 4, 1, 5] * 4
    axis = checked(tmp_path, humans, scores, words).axes[0]
    assert axis.halves.value == 1.0
    assert (axis.halves.low, axis.halves.high) == (1.0, 1.0)
    assert axis.order.value > 0.8
    assert abs(axis.length.value) < 0.3


def test_a_judge_that_likes_the_second_of_a_pair(tmp_path):
    humans, pairs = [1] * 9, ["a", "a", "b", "b", "c", "c", "", "d", "d"]
    scores = [1, 2, 1, 3, 2, 2, 0, 1, None]
    assert checked(tmp_path, humans, scores, pairs=pairs).axes[0].pairs.value == pytest.approx((1 + 2 + 0) / 3)
    assert checked(tmp_path, humans, scores).axes[0].pairs.n == 0


def test_both_axes_against_a_server_and_what_is_said(remote, server, tmp_path):
    server.script = [fake.says("hm")]
    path = tmp_path / "labels.csv"
    rows = [row(i, i % 4, i, axis=axis) for i in range(12) for axis in ("correctness", "explanation")]
    path.write_text(HEAD + "".join(rows).replace("yes,yes", "yes,yes {}").replace("{}", "it is"))
    found = check(path, remote(concurrency=1))
    assert [axis.axis for axis in found.axes] == ["correctness", "explanation"]
    assert found.asked == 24
    assert found.unscored == {"unreadable": 12}  # twelve correctness rows are the same query, asked once
    require_scored(found.tallies, 0.5)
    with pytest.raises(JudgeError, match=r"unscored the correctness of 12 of 12 answers \(12 unreadable\), more than"):
        require_scored(found.tallies, 0.4)
    record = json.loads(json.dumps(found.to_json()))
    assert record["axes"][1]["confusion"] == [[0, 0, 3, 0]] * 4
    assert record["sent"]["requests"] == 13
    markdown = check_markdown(found)
    assert "### explanation: m" in markdown
    assert "| 3 | 0 | 0 | 3 | 0 |" in markdown
    assert "| unscored | 12 unreadable |" in markdown
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for table in check_tables(found):
        console.print(table)
    told = console.export_text()
    assert "quadratic kappa" in told
    assert "12 unreadable" in told


@pytest.mark.parametrize("wrong", ["key", "address"])
def test_a_judge_that_cannot_be_asked_is_told_at_once(remote, server, tmp_path, wrong, monkeypatch):
    path = tmp_path / "labels.csv"
    path.write_text(HEAD + "".join(row(i, i % 4, i) for i in range(12)))
    judge = remote()
    monkeypatch.setattr(limits, "FIRST_PAUSE", 60.0)
    if wrong == "key":
        server.look = fake.fails(401, "Incorrect API key")
    else:
        server.shutdown()
        server.server_close()
    start = time.monotonic()
    with pytest.raises(JudgeError, match=r"can't be asked: .*; check (OPENAI_API_KEY|judge\.base_url)"):
        check(path, judge)
    assert time.monotonic() - start < 5
    assert server.asked == []
    path.write_text(HEAD + row(1, 9, 1))
    with pytest.raises(DataError, match="line 2"):  # a mistake in the file comes first
        check(path, judge)


def test_the_rules_are_checked_on_what_they_judge(tmp_path, caplog):
    path = tmp_path / "labels.csv"
    path.write_text(HEAD + row(1, 3, 1, axis="correctness") + row(2, 3, 1))
    found = check(path, make_judge(JudgeSection()))
    [correctness] = found.axes
    assert (correctness.exact, found.asked, found.unscored) == (1.0, 1, {})
    assert "1 of 2 rows are on an axis that rules (not a language model) does not judge" in caplog.text
    path.write_text(HEAD + row(2, 3, 1))
    with pytest.raises(DataError, match="choose another judge"):
        check(path, make_judge(JudgeSection()))
