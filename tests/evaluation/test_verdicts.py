import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.scripted import record
from rarl.errors import RunFolderError
from rarl.evaluation import read_records
from rarl.evaluation import records as store
from rarl.evaluation.verdicts import NOBODY, QUERIES, judged
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
    store.append(tmp_path, RECORDS)
    found = judged(RECORDS, [example(each.id) for each in RECORDS], tmp_path, judge, ABOUT, axes=("correctness",))
    assert [query.axis for query in judge.asked] == ["correctness"] * 3
    assert {tuple(each.verdicts) for each in found} == {("correctness",)}


def test_what_is_not_there_is_0_and_nobody_is_asked(tmp_path: Path) -> None:
    judge = Judge()
    nothing, no_reasoning = run(tmp_path, judge, [replace(RECORDS[0], answer=None, reasoning=None), RECORDS[2]])
    assert [query.id for query in judge.asked] == ["q2", "q2"]
    assert [each.value for each in nothing.verdicts.values()] == [0.0, 0.0]
    assert {each.judge for each in nothing.verdicts.values()} == {NOBODY}
    assert nothing.verdicts["explanation"].raw == "there is no reasoning"
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
