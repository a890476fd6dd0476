"""What is asked about a scene: wording, answer, options, gold rationale and checkable facts."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from rarl.data.phantom.scenes import Scene, draw_scene, read_table, words
from rarl.types import Fact, QuestionKind

Stratum = Literal["warm", "target", "new"]
TASKS = ("modality", "presence", "side", "zone", "count", "size", "diagnosis")
N_OPTIONS = 4
KINDS = {
    "modality": QuestionKind.MCQ,
    "presence": QuestionKind.YESNO,
    "side": QuestionKind.OPEN,
    "zone": QuestionKind.OPEN,
    "count": QuestionKind.NUMBER,
    "size": QuestionKind.OPEN,
    "diagnosis": QuestionKind.MCQ,
}
# How often 0, 1, 2 and 3 lesions are drawn: a side or size needs a lesion, a zone needs a single one.
COUNTS = {
    "modality": (0.25, 0.3, 0.25, 0.2),
    "presence": (0.3, 0.25, 0.25, 0.2),
    "side": (0, 0.4, 0.35, 0.25),
    "zone": (0, 1, 0, 0),
    "count": (0.25, 0.25, 0.25, 0.25),
    "size": (0, 0.4, 0.35, 0.25),
    "diagnosis": (0.2, 0.3, 0.3, 0.2),
}


@dataclass(frozen=True, slots=True)
class Item:
    """One question about a scene. `wording` is the question's template, `tone` what its {lesion} is said to have."""

    scene: Scene
    task: str
    wording: str
    tone: str | None
    question: str
    answer: str
    options: tuple[str, ...] = ()


@cache
def wordings() -> Mapping[str, Mapping[Stratum, tuple[str, ...]]]:
    """Task -> stratum -> the templates of `wordings.toml`."""
    table = read_table("wordings.toml")
    return {task: {stratum: tuple(texts) for stratum, texts in table[task].items()} for task in TASKS}


def draw_item(stream: random.Random, task: str, choices: Sequence[str], modalities: Sequence[str]) -> Item:
    """A question of the task in one of the wordings, about a fresh scene of one of the modalities."""
    scene = draw_scene(stream, modalities, COUNTS[task])
    wording = stream.choice(choices)
    tone = stream.choice(words().tones) if task == "presence" and stream.random() < 0.5 else None
    question = wording.format(lesion=f"{tone} lesion" if tone else "lesion")
    answer = answer_of(scene, task, tone)
    return Item(scene, task, wording, tone, question, answer, _options(stream, scene, task, answer))


def answer_of(scene: Scene, task: str, tone: str | None = None) -> str:
    """What is true of the scene; `tone` narrows the lesion that a presence question asks for."""
    n_lesions = len(scene.zones)
    if task == "presence":
        return "yes" if n_lesions and tone in (None, scene.tone) else "no"
    values = {
        "modality": words().modalities[scene.modality].name,
        "side": scene.side,
        "zone": scene.zones[0] if scene.zones else None,
        "count": words().numbers[n_lesions],
        "size": scene.size,
        "diagnosis": scene.diagnosis,
    }
    answer = values[task]
    assert answer is not None, f"{task} asked of a scene without lesions"
    return answer


def _options(stream: random.Random, scene: Scene, task: str, answer: str) -> tuple[str, ...]:
    """The answer among others in random order; the others of a diagnosis are those of the same modality."""
    if task == "modality":
        pool = [modality.name for modality in words().modalities.values()]
    elif task == "diagnosis":
        pool = [*words().modalities[scene.modality].diagnoses.values(), words().normal]
    else:
        return ()
    others = stream.sample([option for option in pool if option != answer], N_OPTIONS - 1)
    return tuple(stream.sample([answer, *others], N_OPTIONS))


def rationale(scene: Scene) -> str:
    """The gold reasoning: short sentences that state every fact in the fact's own phrase."""
    vocabulary = words()
    sentences = vocabulary.rationale
    modality = vocabulary.modalities[scene.modality]
    findings = ("none", "one", "several", "several")[len(scene.zones)]
    parts = (
        sentences["modality"].format(article=modality.article, modality=modality.name),
        sentences[findings].format(
            count=vocabulary.counts[len(scene.zones)],
            side=scene.side,
            zones=_listed(scene.zones),
            size=scene.size,
            tone=scene.tone,
        ),
        sentences["diagnosis" if scene.zones else "normal"].format(diagnosis=scene.diagnosis),
    )
    return " ".join(parts)


def _listed(zones: Sequence[str]) -> str:
    """ "upper", "upper and lower", "upper, middle and lower"; "zone" follows in the singular: each is one zone."""
    return zones[0] if len(zones) == 1 else f"{', '.join(zones[:-1])} and {zones[-1]}" if zones else ""


def facts(scene: Scene) -> tuple[Fact, ...]:
    """What a text about the scene may state: one fact a name, but one zone a lesion."""
    vocabulary = words()
    names = tuple(modality.name for modality in vocabulary.modalities.values())
    zones: Iterable[str | None] = scene.zones or (None,)
    return (
        Fact("modality", vocabulary.modalities[scene.modality].name, names),
        Fact("count", vocabulary.counts[len(scene.zones)], vocabulary.counts),
        Fact("side", scene.side, vocabulary.sides),
        *(Fact("zone", zone, vocabulary.zones) for zone in zones),
        Fact("size", scene.size, vocabulary.sizes),
        Fact("tone", scene.tone, vocabulary.tones),
        Fact("diagnosis", scene.diagnosis, vocabulary.diagnoses),
    )
