"""A run's folder as training would leave it, with answers and numbers that are known beforehand."""

import json
from dataclasses import replace

from PIL import Image

from rarl.config import Control, RunConfig
from rarl.evaluation import records as store
from rarl.evaluation.summary import summarise
from rarl.files import write_json
from rarl.runlog import RunFolder
from rarl.types import EvalRecord, Example, Finish, Grade, QuestionKind, Shape, StepMetrics

# A data set in one file, as users write them: question i is about an image of its own, drawn in one colour.
LOADER = """
import rarl
from rarl.data import FileImage

def load(split, *, root=""):
    for i in range(20):
        images = (FileImage(f"{root}/{i}.png"),)
        yield rarl.Example(f"q{i}", f"c{i}", images, f"Question <b>{i}</b>?", "yes", ("yes", "no"))
"""


def record(number, right, *, grounding=0.5, **changes):
    answer = "yes" if right else "no"
    made = EvalRecord(
        id=f"q{number}",
        cluster=f"c{number}",
        question=f"Question <b>{number}</b>?",
        gold="yes",
        kind=QuestionKind.YESNO if number % 2 else QuestionKind.OPEN,
        modality="MR",
        task=None,
        template="t1",
        shape=Shape.THINK,
        completions=(f"<think> It is <i>so</i>. </think> <answer> {answer} </answer>",),
        finishes=(Finish.STOP,),
        answer=answer,
        reasoning="It is <i>so</i>.",
        grade=Grade(right, float(right), QuestionKind.OPEN, "same", "yes", answer),
        parts={"format": 1.0, "grounding": grounding, "consistency": 1.0},
    )
    return replace(made, **changes)


def make(path, *, before=range(10), after=range(5, 20), evaluated=True):
    """20 questions, of which those numbers are right; 3 steps; the data set beside the run's folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    loader = path.parent / "mine.py"
    loader.write_text(LOADER)
    for number in range(20):
        Image.new("RGB", (400, 300), (number, 0, 0)).save(path.parent / f"{number}.png")
    names = {"data.name": f"{loader}:load", "data.root": str(path.parent), "run.name": "trial", "model.base": "tiny"}
    changes = {**names, "train.steps": 3}
    folder = RunFolder.create(
        path, RunConfig().override([f"{key}={json.dumps(value)}" for key, value in changes.items()])
    )
    for step, reward in ((1, 0.25), (2, 0.5), (3, 0.75)):
        values = {
            "reward/mean": reward,
            "reward/accuracy": reward,
            "reward/std_in_group": 0.1,
            "kl": None,
            "entropy": 0.5,
        }
        folder.append_metrics(StepMetrics(step, {**values, "eval/test/accuracy": 0.6} if step == 2 else values))
    for stage, right in (("before", before), ("", after)) if evaluated else ():
        evaluation(folder, stage, [record(i, i in right, grounding=0.5 if stage else 0.875) for i in range(20)])
    return folder


def evaluation(folder, stage, records, split="test"):
    settings = {"data": folder.config.data.name, "split": split, "seed": 0}
    place = folder.evaluation(settings["data"], split, stage)
    place.mkdir(parents=True)
    store.append(place, records)
    write_json(place / store.SETTINGS, settings)
    majority = {each.id: replace(each.grade, correct=number < 8) for number, each in enumerate(records)}
    shuffled = [replace(each, grade=replace(each.grade, correct=number < 9)) for number, each in enumerate(records)]
    write_json(
        place / "summary.json", summarise(records, settings, majority, {Control.SWAPPED: shuffled}, seed=0).to_json()
    )


def examples(count):
    return [Example(f"q{i}", f"c{i}", (), f"Question [b]{i}[/b]?", "yes") for i in range(count)]
