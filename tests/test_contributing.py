"""The worked examples of CONTRIBUTING.md run as they stand there."""

import re
from pathlib import Path

import pytest
from PIL import Image

import rarl
from rarl import registry
from rarl.rewards import Scorer
from rarl.types import Family, Finish, Prompt, Rollout, Template

TEXT = (Path(__file__).resolve().parents[1] / "CONTRIBUTING.md").read_text()
EXAMPLES = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", TEXT, re.DOTALL))


@pytest.fixture
def example_file(tmp_path):
    def write(name):
        (tmp_path / name).write_text(EXAMPLES[name])
        return tmp_path / name

    return write


def rollout(answer, text):
    example = rarl.Example(id="1", cluster="1", images=(), question="On which side is the lesion?", answer=answer)
    template = Template("t", Family.EXPLANATION, rarl.Shape.THINK, "")
    return Rollout(Prompt(example, template, ()), (1,), (0.0,), text, Finish.STOP, 0)


def test_all_examples_are_run_here():
    assert set(EXAMPLES) == {"laterality.py", "clinic.py"}


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
