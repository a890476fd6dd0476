"""A phantom-like example, worked out by hand, and completions about it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rarl.prompting import ask
from rarl.rewards.columns import columns
from rarl.types import Example, Fact, Family, Finish, QuestionKind, Rollout, Shape, Template

GOLD = (
    "This is a chest X-ray. There are two lesions on the left in the upper and lower zones. "
    "They are small and bright. This suggests tuberculosis."
)
SIDES, ZONES, SIZES, TONES = ("left", "right"), ("upper", "middle", "lower"), ("small", "large"), ("bright", "dark")
COUNTS = ("no lesions", "one lesion", "two lesions", "three lesions")
MODALITIES = ("chest X-ray", "head CT", "brain MRI", "ultrasound")
DIAGNOSES = ("tuberculosis", "pneumonia", "emphysema", "pneumothorax", "normal")
FACTS = (
    Fact("modality", "chest X-ray", MODALITIES),
    Fact("count", "two lesions", COUNTS),
    Fact("side", "left", SIDES),
    Fact("zone", "upper", ZONES),
    Fact("zone", "lower", ZONES),
    Fact("size", "small", SIZES),
    Fact("tone", "bright", TONES),
    Fact("diagnosis", "tuberculosis", DIAGNOSES),
)
NORMAL = (
    Fact("modality", "chest X-ray", MODALITIES),
    Fact("count", "no lesions", COUNTS),
    *(
        Fact(name, None, values)
        for name, values in (("side", SIDES), ("zone", ZONES), ("size", SIZES), ("tone", TONES))
    ),
    Fact("diagnosis", "normal", DIAGNOSES),
)
EXAMPLE = Example(
    id="row-7",
    cluster="image-7",
    images=(),
    question="What does this picture suggest?",
    answer="tuberculosis",
    options=("pneumonia", "tuberculosis", "normal", "emphysema"),
    kind=QuestionKind.MCQ,
    modality="chest X-ray",
    task="diagnosis",
    rationale=GOLD,
    facts=FACTS,
)
INSTRUCTIONS = {
    Shape.THINK: "Think step by step in <think> </think>, then write the answer in <answer> </answer>.",
    Shape.DIRECT: "Write only the answer in <answer> </answer>.",
    Shape.THINK_AFTER: "Give the answer in <answer> </answer>, then explain it in <think> </think>.",
}


def complete(text: str, example: Example = EXAMPLE, shape: Shape = Shape.THINK) -> Rollout:
    template = Template("t", Family.EXPLANATION, shape, INSTRUCTIONS[shape])
    return Rollout(ask(example, template), (5, 6), (-0.1, -0.2), text, Finish.STOP, seed=0)


@pytest.fixture(scope="session")
def gold() -> str:
    return GOLD


@pytest.fixture(scope="session")
def example() -> Example:
    return EXAMPLE


@pytest.fixture(scope="session")
def normal_example() -> Example:
    return replace(EXAMPLE, id="row-8", answer="normal", rationale=None, facts=NORMAL)


@pytest.fixture(scope="session")
def rollout() -> Callable[..., Rollout]:
    """rollout(text, example=..., shape=...)"""
    return complete


@pytest.fixture(scope="session")
def value() -> Callable[..., float | None]:
    """value(reward, reasoning, answer="tuberculosis", **changed columns): one completion of shape think."""

    def of(reward: Any, reasoning: str, answer: str = "tuberculosis", **changes: Any) -> float | None:
        rollout = complete(f"<think> {reasoning} </think> <answer> {answer} </answer>")
        table = {**columns([rollout.prompt]), **{name: [changed] for name, changed in changes.items()}}
        prompt = rollout.prompt.messages
        if "question" in changes:
            prompt = ({"role": "user", "content": changes["question"]},)
        (result,) = reward([prompt], [[{"role": "assistant", "content": rollout.text}]], **table)
        return result

    return of
