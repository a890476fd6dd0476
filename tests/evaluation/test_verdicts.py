import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.scripted import record
from rarl.errors import RunFolderError
from rarl.evaluation import read_records
from rarl.evaluation import records as store
from rarl.evaluation.verdicts import QUERIES, judge_record, judged
from rarl.judges import Failure
from rarl.types import EvalRecord, Example, Fact, JudgeQuery, Shape, Verdict

ABOUT = {"kind": "openai", "model": "m"}
RECORDS = [record(f"q{number}", answer=f"answer {number}", reasoning=f"because {number}") for number in range(3)]


def example(item: str) -> Example:
    facts = (Fact("side", "left", ("right",)),)
    return Example(
        item, "c", (), "Where?", "left", ("left", "right"), modality="CT", rationale="It lies left.", facts=facts
    )


class Judge:
    """Scores 1 where the answer has an even number, and what `say` says where that is given."""

    name, sees_images = "m", False
    axes: tuple[str, ...] = ("correctness", "explanation")

    def __init__(self, say: Callable[[JudgeQuery], float | None] | None = None, stop_after: int | None = None) -> None:
        self.say = say or (lambda query: float(int(query.answer.split()[-1]) % 2 == 0))
        self.asked: list[JudgeQuery] = []
        self.calls, self.stop_after = 0, stop_after

    def __call__(self, queries: Sequence[JudgeQuery]) -> list[Verdict]:
        if self.calls == self.stop_after:
            raise KeyboardInterrupt
        self.calls += 1
        self.asked += queries
        return [Verdict(self.say(query), query.axis, f"on {query.id}", "m", "rubric-1") for query in queries]

    def sent(self) -> dict:
        rubrics = dict.fromkeys(self.axes, "rubric-1")
        return {"host": "h:1", "requests": len(self.asked), "answered_by": ["m-2026"], "rubrics": rubrics}

    def trouble(self) -> str:
        return ""


def run(folder: Path, judge: Judge, records: Sequence[EvalRecord] = RECORDS, about: dict | None = None):
    if not (folder / store.RECORDS).exists():
        folder.mkdir(exist_ok=True)
        store.append(folder, records)
    return judged(store.read_records(folder), [example(r.id) for r in records], folder, judge, about or ABOUT)


def test_both_axes_are_in_the_records_on_disk(tmp_path: Path) -> None:
    found = run(tmp_path, Judge())
    assert found == read_records(tmp_path)
    assert [replace(each, verdicts={}) for each in found] == RECORDS
    rows = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    right = {"value": 1.0, "axis": "correctness", "raw": "on q0", "judge": "m", "rubric": "rubric-1", "failure": ""}
    assert rows[0]["verdicts"] == {"correctness": right, "explanation": {**right, "axis": "explanation"}}
    assert [row["verdicts"]["correctness"]["value"] for row in rows] == [1.0, 0.0, 1.0]
    assert not (tmp_path / "verdicts.jsonl").exists()


def test_what_a_judge_is_asked(tmp_path: Path) -> None:
    judge = Judge()
    run(tmp_path, judge, RECORDS[:1])
    correctness, explanation = judge.asked
    shared = {"id": "q0", "question": "Where?", "answer": "answer 0", "modality": "CT"}
    for query in judge.asked:
        assert {name: getattr(query, name) for name in shared} == shared
        assert query.options == ("left", "right")
    assert (correctness.axis, correctness.gold, correctness.reasoning) == ("correctness", "left", "")
    assert (correctness.rationale, correctness.facts) == (None, ())
    assert (explanation.axis, explanation.gold, explanation.reasoning) == ("explanation", None, "because 0")
    assert (explanation.rationale, explanation.facts) == ("It lies left.", example("q0").facts)


def test_a_shape_without_reasoning_has_no_explanation_to_judge(tmp_path: Path) -> None:
    [found] = run(tmp_path, Judge(), [replace(RECORDS[0], shape=Shape.DIRECT)])
    assert found.verdicts.keys() == {"correctness"}


def test_a_judge_of_one_axis_is_asked_about_that_alone(tmp_path: Path) -> None:
    judge = Judge()
    judge.axes = ("correctness",)
    found = run(tmp_path, judge)
    assert [query.axis for query in judge.asked] == ["correctness"] * 3
    assert {tuple(each.verdicts) for each in found} == {("correctness",)}


def test_what_is_not_there_is_0_and_nobody_is_asked(tmp_path: Path) -> None:
    judge = Judge()
    nothing, no_reasoning = run(tmp_path, judge, [replace(RECORDS[0], answer=None, reasoning=None), RECORDS[2]])
    assert [query.id for query in judge.asked] == ["q2", "q2"]
    assert [each.value for each in nothing.verdicts.values()] == [0.0, 0.0]
    assert {(each.judge, each.rubric) for each in nothing.verdicts.values()} == {("m", "rubric-1")}
    assert nothing.verdicts["explanation"].raw == "no reasoning was given: 0 unasked"
    assert no_reasoning.verdicts["correctness"].judge == "m"


def test_a_judged_folder_is_not_judged_again(tmp_path: Path) -> None:
    first = run(tmp_path, Judge())
    before = (tmp_path / "records.jsonl").read_bytes()
    again = Judge(stop_after=0)
    assert run(tmp_path, again) == first
    assert (tmp_path / "records.jsonl").read_bytes() == before


def test_killed_between_calls_nothing_is_lost_or_asked_twice(tmp_path: Path) -> None:
    records = [record(f"q{number}", answer=f"answer {number}") for number in range(QUERIES)]  # two queries each
    whole = run(tmp_path / "whole", Judge(), records)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", Judge(stop_after=1), records)
    assert read_records(tmp_path / "cut") == records  # the answers are as they were
    second = Judge()
    assert run(tmp_path / "cut", second, records) == whole
    assert len(second.asked) == QUERIES
    assert (tmp_path / "cut/records.jsonl").read_bytes() == (tmp_path / "whole/records.jsonl").read_bytes()


def test_killed_within_a_row_that_one_is_asked_again(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", Judge())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", Judge(stop_after=0))
    rows = [
        {"id": record.id, "value": v.value, "axis": axis, "raw": v.raw, "judge": v.judge, "rubric": v.rubric}
        for record in whole
        for axis, v in record.verdicts.items()
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "cut/verdicts.jsonl").write_text(text[: len(text) // 2])
    second = Judge()
    assert run(tmp_path / "cut", second) == whole
    assert len(second.asked) == 6 - text[: len(text) // 2].count("\n")


def test_what_could_not_be_scored_is_kept_with_its_reason_and_alone_asked_again(tmp_path: Path) -> None:
    down = Judge(lambda query: None if query.id == "q1" and query.axis == "correctness" else 1.0)
    found = run(tmp_path, down)[1].verdicts["correctness"]
    assert (found.value, found.raw) == (None, "on q1")
    again = Judge(lambda query: 0.5)
    assert run(tmp_path, again)[1].verdicts["correctness"].value == 0.5
    assert [(query.id, query.axis) for query in again.asked] == [("q1", "correctness")]


def test_a_judge_that_raises_leaves_its_queries_unscored(tmp_path: Path) -> None:
    def fall(query: JudgeQuery) -> float:
        raise ConnectionError("no route to host")

    verdicts = run(tmp_path, Judge(fall))[0].verdicts
    assert [each.value for each in verdicts.values()] == [None, None]
    assert {(each.judge, each.rubric) for each in verdicts.values()} == {("m", "rubric-1")}  # whose silence it is
    assert "no route to host" in verdicts["explanation"].raw
    assert verdicts["explanation"].axis == "explanation"


def test_another_judge_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    run(tmp_path, Judge())
    with pytest.raises(RunFolderError, match=r"was judged with model = 'm', not 'n'; .* remove judge\.json"):
        run(tmp_path, Judge(), about={**ABOUT, "model": "n"})
    (tmp_path / "judge.json").unlink()
    anew = Judge(lambda query: 0.25)
    assert run(tmp_path, anew, about={**ABOUT, "model": "n"})[1].verdicts["correctness"].value == 0.25
    assert len(anew.asked) == 6


def test_another_versions_rubric_is_named_with_what_to_do(tmp_path: Path) -> None:
    rubrics = {"correctness": "correctness-1 sha256:a", "explanation": "explanation-1 sha256:b"}
    run(tmp_path, Judge(), about={**ABOUT, "rubrics": rubrics})
    newer = {**ABOUT, "rubrics": rubrics | {"explanation": "explanation-2 sha256:c"}}
    with pytest.raises(RunFolderError) as caught:
        run(tmp_path, Judge(), about=newer)
    assert str(caught.value) == (
        f"{tmp_path} was judged with explanation = 'explanation-1 sha256:b', not 'explanation-2 sha256:c'; choose "
        "another folder, or remove judge.json in it to have its answers judged anew"
    )


def out(query: JudgeQuery, failure: Failure = Failure.OUTAGE) -> Verdict:
    return Verdict(None, query.axis, "no route to host", "m", "rubric-1", failure)


def test_a_judge_that_is_out_is_not_asked_about_the_rest(tmp_path: Path) -> None:
    records = [record(f"q{number}", answer=f"answer {number}") for number in range(QUERIES)]  # two calls

    class Out(Judge):
        def __call__(self, queries: Sequence[JudgeQuery]) -> list[Verdict]:
            super().__call__(queries)
            return [out(query) for query in queries]

    judge = Out()
    verdicts = [verdict for each in run(tmp_path, judge, records) for verdict in each.verdicts.values()]
    assert (len(judge.asked), len(verdicts)) == (QUERIES, 2 * QUERIES)
    assert {(each.value, each.failure, each.judge, each.rubric) for each in verdicts} == {
        (None, "outage", "m", "rubric-1")
    }
    assert verdicts[-1].raw == "not asked, as the judge could not be had: no route to host"
    assert len(run(tmp_path, again := Judge(), records)) == QUERIES
    assert len(again.asked) == 2 * QUERIES


def test_what_needs_no_judge_is_0_also_when_it_is_out(tmp_path: Path) -> None:
    records = [record(f"q{number}", answer=f"answer {number}") for number in range(QUERIES)]
    records[-1] = replace(records[-1], answer=None, reasoning=None)

    class Out(Judge):
        def __call__(self, queries: Sequence[JudgeQuery]) -> list[Verdict]:
            return [out(query) for query in queries]

    *others, last = run(tmp_path, Out(), records)
    assert {verdict.value for each in others for verdict in each.verdicts.values()} == {None}
    assert [verdict.value for verdict in last.verdicts.values()] == [0.0, 0.0]


def test_a_judge_that_died_is_not_asked_on_though_it_said_something(tmp_path: Path) -> None:
    records = [record(f"q{number}", answer=f"answer {number}") for number in range(QUERIES)]

    class Dying(Judge):
        def __call__(self, queries: Sequence[JudgeQuery]) -> list[Verdict]:
            first, *_ = super().__call__(queries)
            return [first, *map(out, queries[1:])]

        def trouble(self) -> str:
            return "nobody is there" if self.asked else ""

    judge = Dying()
    found = run(tmp_path, judge, records)
    assert len(judge.asked) == QUERIES
    assert sum(verdict.value is not None for each in found for verdict in each.verdicts.values()) == 1


RULES = {"kind": "rules", "rubrics": {"correctness": "grading-0.1"}}


@pytest.mark.parametrize("about", [RULES | {"rubrics": {"correctness": "grading-0.2"}}, ABOUT])
def test_verdicts_by_rules_give_way_without_ado(about: dict, tmp_path: Path) -> None:
    """They cost nothing, and the grades say the same; other judges' are kept until somebody says otherwise."""
    run(tmp_path, Judge(lambda query: 1.0), about=RULES)
    anew = Judge(lambda query: 0.25)
    assert {v.value for each in run(tmp_path, anew, about=about) for v in each.verdicts.values()} == {0.25}
    assert len(anew.asked) == 6


def test_killed_where_a_judge_gives_way_its_verdicts_are_not_taken_for_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, Judge(lambda query: 1.0))
    (tmp_path / "judge.json").unlink()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Judge(stop_after=0), about={**ABOUT, "model": "n"})
    anew = Judge(lambda query: 0.25)
    assert {v.value for each in run(tmp_path, anew, about={**ABOUT, "model": "n"}) for v in each.verdicts.values()} == {
        0.25
    }


def test_a_judge_that_is_out_for_some_is_asked_on(tmp_path: Path) -> None:
    records = [record(f"q{number}", answer=f"answer {number}") for number in range(QUERIES)]

    class Shaky(Judge):
        def __call__(self, queries: Sequence[JudgeQuery]) -> list[Verdict]:
            first, *_ = super().__call__(queries)
            return [first, *map(out, queries[1:])]

    judge = Shaky()
    run(tmp_path, judge, records)
    assert len(judge.asked) == 2 * QUERIES


def test_what_was_sent_is_summed_over_calls_and_says_all_hosts(tmp_path: Path) -> None:
    first = Judge(lambda query: None if query.id == "q1" else 1.0)
    first.asked = [None] * 5  # another set was judged before by the same one
    run(tmp_path, first)
    second = Judge()
    second.sent = lambda: Judge.sent(second) | {"host": "h:2", "answered_by": ["m-2025"]}
    found = judge_record(run(tmp_path, second), tmp_path, "beware")
    assert (found["requests"], found["host"], found["answered_by"]) == (6 + 2, "h:1, h:2", ["m-2025", "m-2026"])
    assert (found["unscored"], found["warning"]) == ({}, "beware")
    assert found["rubrics"] == {"correctness": "rubric-1", "explanation": "rubric-1"}
    (tmp_path / "judge.json").unlink()
    run(tmp_path, Judge())
    assert judge_record(read_records(tmp_path), tmp_path, None)["requests"] == 6  # of this judge alone


def test_nobody_judged(tmp_path: Path) -> None:
    assert judge_record(RECORDS, tmp_path, None) == {}
