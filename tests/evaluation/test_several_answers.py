"""Questions with several right answers, from the data set to the records."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.scripted import Named, Scripted, record
from rarl.data import Dataset
from rarl.draws import Draws
from rarl.evaluation import evaluate, read_records
from rarl.evaluation.comparison import _asked, _today
from rarl.evaluation.controls import majority_grades
from rarl.evaluation.protocols import PROTOCOLS, values
from rarl.evaluation.records import SETTINGS
from rarl.judges.rules import rules
from rarl.prompting import load_pool
from rarl.types import Example, Prompt, Sampling

ORGANS = ("lung, mediastinum, pleura", "spine and contents")


def example(number: int, answer: str, *references: str) -> Example:
    question = "what organ system is being imaged?"
    return Example(f"q{number}", f"c{number}", (Named("a"),), question, answer, references=references)


DATA = (example(0, *ORGANS), example(1, ORGANS[0]), example(2, *ORGANS))
SAID = {"q0": ORGANS[1], "q1": ORGANS[1], "q2": ORGANS[0]}


def run(folder: Path, data: Sequence[Example] = DATA, **more: object) -> None:
    evaluate(
        Scripted(lambda prompt, _: f"<answer> {SAID[prompt.example.id]} </answer>"),
        Dataset("ward", "test", tuple(data)),
        template=load_pool("default").direct,
        sampling=Sampling(temperature=0.0),
        draws=Draws(0),
        folder=folder,
        baselines=(),
        **more,  # type: ignore[arg-type]
    )


def test_a_record_is_right_by_any_and_says_by_which(tmp_path: Path) -> None:
    run(tmp_path, judge=rules)
    records = read_records(tmp_path)
    assert [each.grade.correct for each in records] == [True, False, True]
    assert [each.references for each in records] == [ORGANS[1:], (), ORGANS[1:]]
    assert [each.gold for each in records] == [ORGANS[0]] * 3
    assert [each.grade.matched for each in records] == [ORGANS[1], "", ORGANS[0]]
    assert [_today(each) for each in records] == [each.grade for each in records]
    assert [each.verdicts["correctness"].value == 1 for each in records] == [True, False, True]
    assert _asked(records[0]) != _asked(replace(records[0], references=()))


def test_likeness_is_to_the_right_answer_that_is_nearest(tmp_path: Path) -> None:
    def same(golds: Sequence[str], answers: Sequence[str]) -> list[float]:
        return [float(gold == answer) for gold, answer in zip(golds, answers, strict=True)]

    run(tmp_path, measures={"same": same})
    assert [each.likeness for each in read_records(tmp_path)] == [{"same": 1.0}, {"same": 0.0}, {"same": 1.0}]


@pytest.mark.parametrize("name", ["exact_match", "exact_match_open", "token_f1", "open_recall"])
def test_protocols_take_the_best_of_all(name: str) -> None:
    one = record(gold="left lung", answer="right kidney", references=())
    assert values([one], name) == {"q1": 0.0}
    assert values([replace(one, references=("spleen", "right kidney"))], name) == {"q1": 1.0}
    assert name in PROTOCOLS


def test_the_majority_answer_is_held_against_all() -> None:
    grades = majority_grades([example(0, "a mass", "a cyst"), example(1, "a node", "a cyst"), example(2, "a node")])
    assert [grade.correct for grade in grades.values()] == [True, True, False]  # a cyst is met before a node
    grades = majority_grades([example(0, "a mass", "a cyst"), example(1, "a node", "a cyst"), example(2, "a cyst")])
    assert [grade.correct for grade in grades.values()] == [True, True, True]


def digest(folder: Path) -> str:
    return str(json.loads((folder / SETTINGS).read_text())["questions_digest"])


def test_settings_know_of_references_and_are_as_before_without(tmp_path: Path) -> None:
    plain = [replace(each, references=()) for each in DATA]
    run(tmp_path / "plain", plain)
    run(tmp_path / "several")
    before = [(each.id, each.cluster, each.question, each.answer, each.options) for each in plain]
    assert digest(tmp_path / "plain") == hashlib.sha256(json.dumps(before).encode()).hexdigest()[:12]
    assert digest(tmp_path / "plain") != digest(tmp_path / "several")


def test_the_vote_knows_nothing_of_them(tmp_path: Path) -> None:
    said: Callable[[Prompt, int], str] = lambda _, i: f"<answer> {('a cyst', 'a mass', 'a mass')[i]} </answer>"  # noqa: E731
    evaluate(
        Scripted(said),
        Dataset("ward", "test", (example(0, "a cyst", "a node"),)),
        template=load_pool("default").direct,
        sampling=Sampling(),
        draws=Draws(0),
        folder=tmp_path,
        samples=3,
        baselines=(),
    )
    assert [(each.answer, each.grade.correct) for each in read_records(tmp_path)] == [("a mass", False)]
