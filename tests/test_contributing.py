"""The worked examples of CONTRIBUTING.md run as they stand there."""

import logging
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

import engine_contract
import rarl
from rarl import registry
from rarl.config import RunConfig
from rarl.files import read_rows
from rarl.rewards import Scorer
from rarl.types import Family, Finish, Prompt, Rollout, Template

TEXT = (Path(__file__).resolve().parents[1] / "CONTRIBUTING.md").read_text()
EXAMPLES = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", TEXT, re.DOTALL))


@pytest.fixture(scope="module")
def example_file(tmp_path_factory):
    """example_file(name) -> its path; the same for every test, as a file gives its name away once."""
    folder = tmp_path_factory.mktemp("examples")

    def write(name):
        (folder / name).write_text(EXAMPLES[name])
        return folder / name

    return write


def rollout(answer, text):
    example = rarl.Example(id="1", cluster="1", images=(), question="On which side is the lesion?", answer=answer)
    template = Template("t", Family.EXPLANATION, rarl.Shape.THINK, "")
    return Rollout(Prompt(example, template, ()), (1,), (0.0,), text, Finish.STOP, 0)


def test_all_examples_are_run_here():
    assert set(EXAMPLES) == {"laterality.py", "clinic.py", "metered.py", "command.py"}


def test_the_reward(example_file):
    scorer = Scorer({"laterality": 0.2}, extra=[f"{example_file('laterality.py')}:laterality"])
    committed = "<think> the lesion is on the left </think> <answer> left </answer>"
    both = "<think> left, or maybe right </think> <answer> left </answer>"
    scores = scorer.score([rollout("left", committed), rollout("left", both), rollout("yes", committed)])
    assert [score.parts for score in scores] == [{"laterality": 1.0}, {"laterality": 0.0}, {}]
    assert [score.total for score in scores] == [0.2, 0.0, None]


def test_the_data_set(example_file, tmp_path):
    path = example_file("clinic.py")
    Image.new("RGB", (30, 20), "red").save(tmp_path / "a.png")
    (tmp_path / "train.csv").write_text("patient,image,question,answer\np1,a.png,Is there a lesion?,yes\n")
    dataset = rarl.load_dataset(f"{path}:load", split="train", root=str(tmp_path))
    [example] = dataset
    assert (example.id, example.cluster, example.kind) == ("train-0", "p1", rarl.QuestionKind.YESNO)
    assert example.images[0].read().size == (30, 20)
    assert registry.datasets.get("clinic") is not None


def test_the_engine(example_file, caplog):
    make = registry.engines.get(f"{example_file('metered.py')}:Metered")
    assert registry.engines.get("metered") is make
    for check in engine_contract.CHECKS:
        check(make)
    assert "tokens" in caplog.text


def replying(tmp_path, monkeypatch, code):
    """Sets JUDGE_COMMAND to a program of which `text` is the standard input."""
    program = tmp_path / "model.py"
    program.write_text(f"import sys\ntext = sys.stdin.read()\n{code}\n")
    monkeypatch.setenv("JUDGE_COMMAND", f"{sys.executable} -S {program}")


def test_the_judge(example_file, tmp_path, monkeypatch):
    judge = registry.judges.get(f"{example_file('command.py')}:judge")
    assert registry.judges.get("command") is judge
    replying(tmp_path, monkeypatch, "print(2 if 'Reasoning: it is {round}\\nAnswer: yes' in text else 'I say 3')")
    queries = [
        rarl.JudgeQuery("explanation", str(i), "Is it?", f"it is {x}", "yes") for i, x in enumerate(("{round}", "3"))
    ]
    first, second = judge(queries)
    assert (first.value, first.axis, first.raw, first.rubric) == (2 / 3, "explanation", "2\n", "student-1")
    assert second.value is None
    replying(tmp_path, monkeypatch, "print(3); sys.exit(1)")
    assert [verdict.value for verdict in judge(queries)] == [None, None]


PLAIN = """
from dataclasses import replace
from rarl.data.phantom import load

def plain(split, limit=None):
    return [replace(example, facts=(), rationale=None) for example in load(split, limit=limit)]
"""


def test_a_run_with_both(example_file, tmp_path, monkeypatch, caplog):
    replying(tmp_path, monkeypatch, "print(3)")
    (tmp_path / "plain.py").write_text(PLAIN)
    settings = {
        "model.base": "tiny",
        "model.device": "cpu",
        "data.name": f"{tmp_path / 'plain.py'}:plain",
        "data.limit": 2,
        "prompt.diversity": "false",
        "rollout.engine": f"{example_file('metered.py')}:Metered",
        "rollout.group_size": 2,
        "rollout.prompts_per_step": 2,
        "train.steps": 1,
        "judge.kind": f"{example_file('command.py')}:judge",
        "eval.enabled": "false",
    }
    config = RunConfig().override([f"{key}={value}" for key, value in settings.items()])
    with caplog.at_level(logging.WARNING):
        folder = rarl.train(config, out=tmp_path / "run").folder
    assert re.search(r"sampled \d+ tokens, \d+ a second", caplog.text)  # closed
    assert "applies to none" not in caplog.text
    parts = [row["parts"] for row in read_rows(folder / "rollouts.jsonl")]
    assert len(parts) == 4
    assert {part["grounding"] for part in parts} <= {0.0, 1.0}  # 0: no reasoning, for which no one is asked
    assert any(part["grounding"] for part in parts)
