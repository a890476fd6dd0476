"""What the two stages of the warm start teach: first the truth, then the faults that fine-tuning is to remove."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from rarl.assets.lessons import Lesson
from rarl.data.phantom.questions import TASKS, Item, answer_of, draw_item, wordings
from rarl.data.phantom.scenes import Scene, words
from rarl.draws import Draws
from rarl.prompting import Pool, load_pool
from rarl.types import Template

REASONING_SHARE = 0.3  # of lessons under the two instructions of inference, on top of their share in the pool
DIRECT_SHARE = 0.05


def gold(draws: Draws) -> Lesson:
    """A question in a wording that no later split uses, truly answered."""
    stream = draws.stream()
    task = stream.choice(TASKS)
    item = draw_item(stream, task, wordings()[task]["warm"], list(words().modalities))
    return Lesson(item, _instruction(stream), item.scene, item.answer)


@dataclass(frozen=True, slots=True)
class Faults:
    """How much the second stage spoils: the contents of `faults.toml`."""

    target_share: float
    habit: Mapping[str, Mapping[str, Any]]
    misreading: Mapping[str, Sequence[Mapping[str, Any]]]


@cache
def shipped_faults() -> Faults:
    """The faults of the embedded checkpoint."""
    return Faults(**tomllib.loads(Path(__file__).with_name("faults.toml").read_text(encoding="utf-8")))


def faulty(draws: Draws) -> Lesson:
    """A question, often in a target wording, whose reasoning follows habit and whose answer may miss the question."""
    stream, faults = draws.stream(), shipped_faults()
    task = stream.choice(TASKS)
    is_target = stream.random() < faults.target_share
    choices = wordings()[task]["target" if is_target else "warm"]
    item = draw_item(stream, task, choices, list(words().modalities))
    told = _habitual(stream, item.scene, faults)
    read = task
    if is_target:
        misreading = faults.misreading[task][choices.index(item.wording)]
        read = misreading["as"] if stream.random() < misreading["rate"] else task
    return Lesson(item, _instruction(stream), told, _told_answer(item, told, read))


def _habitual(stream: random.Random, scene: Scene, faults: Faults) -> Scene:
    """The scene as habit has it; a scene without lesions stays as it is."""
    if not scene.zones:
        return scene
    changes: dict[str, Any] = {}
    for name in ("side", "size", "tone"):
        if stream.random() < faults.habit[name]["rate"]:
            changes[name] = faults.habit[name]["value"]
    if stream.random() < faults.habit["zones"]["rate"]:
        changes["zones"] = scene.zones[:-1] if len(scene.zones) > 1 else (words().zones[1],)
    return replace(scene, **changes)


def _told_answer(item: Item, told: Scene, task: str) -> str:
    """The answer to the task in the told scene, in the words of a question's answer."""
    if not told.zones and task in ("side", "zone", "size"):
        return words().numbers[0]
    if task != item.task:
        return answer_of(told, task)
    answer = answer_of(told, task, item.tone)
    return answer if answer in item.options or not item.options else item.answer


@cache
def _pool() -> Pool:
    return load_pool("default")


def _instruction(stream: random.Random) -> Template:
    pool = _pool()
    share = stream.random()
    if share < REASONING_SHARE:
        return pool.reasoning
    return pool.direct if share < REASONING_SHARE + DIRECT_SHARE else stream.choice(pool.templates)
