"""Evaluations of the embedded model as a configuration wants them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import rarl
from rarl import evaluating
from rarl.engines import NativeEngine
from rarl.errors import ConfigError, DataError, MissingExtraError, ModelError
from rarl.evaluating import EvalSet, evaluate_sets
from rarl.files import read_rows
from rarl.policy import Policy
from rarl.registry import judges
from rarl.types import Verdict

SHORT = ["eval.limit=4", "rollout.max_new_tokens=12", "model.device=cpu", "eval.baselines=false"]


def evaluate(out: Path, *overrides: str):
    return rarl.evaluate("tiny", data="phantom", split="test", out=out, overrides=[*SHORT, *overrides])


def rows(folder: Path) -> list[dict]:
    return list(read_rows(folder / "records.jsonl"))


@pytest.mark.parametrize(("shape", "template"), [("direct", "short-only"), ("think-after", "explain-after")])
def test_the_shape_is_chosen(shape: str, template: str, tmp_path: Path) -> None:
    evaluate(tmp_path / "eval", f"eval.shape={shape}")
    assert {(row["shape"], row["template"]) for row in rows(tmp_path / "eval")} == {(shape, template)}


def test_every_control_is_in_the_summary(tmp_path: Path) -> None:
    summary = evaluate(tmp_path / "eval", 'eval.baselines=["blank", "swapped", "question_only"]')
    assert summary.image_worth.keys() == {"blank", "swapped", "question_only"}
    completions = [
        [row["completion"] for row in rows(tmp_path / "eval" / folder)]
        for folder in (".", "blank", "swapped", "question_only")
    ]
    assert len(completions[0]) == 4
    assert all(other != completions[0] for other in completions[1:])  # the model does see its images


def test_rouge_l_is_a_protocol_beside_the_others(tmp_path: Path) -> None:
    pytest.importorskip("rouge_score")
    found = evaluate(tmp_path / "eval", "eval.rouge=true", "rollout.max_new_tokens=64").protocols["rouge_l"]
    values = [row["likeness"]["rouge_l"] for row in rows(tmp_path / "eval")]
    assert (found.mean, found.n) == (pytest.approx(sum(values) / 4), 4)
    assert {row["answer"] == row["gold"]: row["likeness"]["rouge_l"] == 1.0 for row in rows(tmp_path / "eval")} == {
        True: True,
        False: False,
    }


@pytest.mark.parametrize("control", ["blank", "swapped", "question_only"])
def test_an_evaluation_under_a_control_is_the_baseline_of_one_without(control: str, tmp_path: Path) -> None:
    evaluate(tmp_path / "beside", f'eval.baselines=["{control}"]')
    evaluate(tmp_path / "alone", f"eval.control={control}")
    alone = [row | {"verdicts": {}} for row in rows(tmp_path / "alone")]  # a baseline is not judged
    assert alone == rows(tmp_path / "beside" / control)


def test_several_sets_with_one_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    load = Policy.load
    monkeypatch.setattr(Policy, "load", lambda *arguments: loads.append(arguments) or load(*arguments))
    sets = [EvalSet("phantom", "test"), EvalSet("phantom", "unseen-wording")]
    found = evaluate_sets("tiny", sets, out=tmp_path / "all", overrides=SHORT)
    assert list(found) == [tmp_path / "all/phantom-test", tmp_path / "all/phantom-unseen-wording"]
    assert [summary.settings["split"] for summary in found.values()] == ["test", "unseen-wording"]
    assert len(loads) == 1
    evaluate(tmp_path / "one")
    assert rows(tmp_path / "one") == rows(tmp_path / "all/phantom-test")


def test_a_set_that_is_not_there_is_told_before_the_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Policy, "load", lambda *arguments: pytest.fail("loaded"))
    with pytest.raises(DataError, match="nowhere"):
        evaluate_sets("tiny", [EvalSet("phantom", "test"), EvalSet("phantom", "nowhere")], overrides=SHORT)


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("eval.bertscore=nowhere", ModelError, "eval.bertscore: nowhere holds no model"),
        ("eval.rouge=true", MissingExtraError, "eval.rouge needs rouge_score"),
        ("eval.control=black", ConfigError, "'none', 'blank', 'swapped' or 'question_only'"),
        ('eval.baselines=["none"]', ConfigError, "eval.baselines"),
        ("eval.shape=think-before", ConfigError, "'think', 'direct' or 'think-after'"),
    ],
)
def test_a_mistake_is_told_before_the_model_is_loaded(
    override: str, error: type, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Policy, "load", lambda *arguments: pytest.fail("loaded"))
    monkeypatch.setitem(__import__("sys").modules, "rouge_score", None)
    with pytest.raises(error, match=message) as caught:
        evaluate(tmp_path / "eval", override)
    assert "\n" not in str(caught.value)


@pytest.fixture
def registered() -> Iterator[str]:
    @judges.register("agreeable")
    def judge(queries):
        return [Verdict(1.0, query.axis, "yes", "agreeable", "r") for query in queries]

    yield "agreeable"
    del judges._registered["agreeable"]


def test_the_configured_judge_is_asked(registered: str, tmp_path: Path) -> None:
    summary = evaluate(tmp_path / "eval", f"judge.kind={registered}")
    assert summary.metrics["judge_correctness"].n == 4
    assert json.loads((tmp_path / "eval/judge.json").read_text())["kind"] == registered


def test_the_rules_judge_correctness_where_no_judge_is_configured(tmp_path: Path) -> None:
    summary = evaluate(tmp_path / "eval")
    assert summary.metrics["judge_correctness"].n == 4
    assert "judge_explanation" not in summary.metrics
    assert {row["verdicts"]["correctness"]["judge"] for row in rows(tmp_path / "eval")} == {
        "rules (not a language model)"
    }


def test_a_batch_takes_as_many_steps_as_its_longest_completion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Throughput, counted and not timed: passes through the language model, each of which costs about the same."""
    passes = {}

    class Counting(NativeEngine):
        def __init__(self, policy: Policy) -> None:
            super().__init__(policy)
            hidden, policy.language.hidden = policy.language.hidden, self.count
            self.hidden, self.passes = hidden, 0

        def count(self, *arguments):
            self.passes += 1
            return self.hidden(*arguments)

        def close(self) -> None:
            passes[len(passes)] = self.passes

    monkeypatch.setattr(evaluating.engines, "get", lambda name: Counting)
    for size in (1, 16):
        evaluate(tmp_path / str(size), f"eval.prompts_per_batch={size}", "eval.limit=16")
    assert rows(tmp_path / "1") == rows(tmp_path / "16")
    assert passes[0] > 8 * passes[1]


def test_the_folder_says_what_it_was_made_with(tmp_path: Path) -> None:
    evaluate(tmp_path / "eval")
    found = json.loads((tmp_path / "eval/environment.json").read_text())
    assert {"time", "command", "packages", "commit"} <= found.keys()
