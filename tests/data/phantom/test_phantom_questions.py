"""Questions, answers, rationales and facts agree with the scene and with each other."""

import random

import pytest

from rarl.data.phantom.loading import as_example
from rarl.data.phantom.questions import (
    KINDS,
    TASKS,
    answer_of,
    draw_item,
    facts,
    rationale,
    wordings,
)
from rarl.data.phantom.scenes import Scene, words
from rarl.grading import grade
from rarl.prompting import ask, load_pool, render
from rarl.rewards import Scorer
from rarl.types import Finish, QuestionKind, Rollout

TWO = Scene("xray", 1, zones=("upper", "lower"), side="left", size="small", tone="bright")
ONE = Scene("ultrasound", 2, zones=("middle",), side="right", size="large", tone="dark")
NONE = Scene("fundus", 3)
MODALITIES = tuple(words().modalities)


def items(n=210, seed=5):
    stream = random.Random(seed)
    for i in range(n):
        task = TASKS[i % len(TASKS)]
        yield draw_item(stream, task, [w for texts in wordings()[task].values() for w in texts], MODALITIES)


def test_rationales_read_like_reports():
    assert rationale(TWO) == (
        "This is a chest X-ray. There are two lesions on the left in the upper and lower zones. "
        "They are small and bright. This suggests tuberculosis."
    )
    assert rationale(ONE) == (
        "This is an ultrasound. There is one lesion on the right in the middle zone. "
        "It is large and dark. This suggests abscess."
    )
    assert rationale(NONE) == "This is a fundus photograph. There are no lesions. This suggests a normal image."
    three = Scene("ct", 4, zones=("upper", "middle", "lower"), side="right", size="large", tone="bright")
    assert "three lesions on the right in the upper, middle and lower zones" in rationale(three)


def test_facts_hold_every_value_and_say_what_is_not_there():
    values = [(fact.name, fact.value) for fact in facts(TWO)]
    assert values == [
        ("modality", "chest X-ray"),
        ("count", "two lesions"),
        ("side", "left"),
        ("zone", "upper"),
        ("zone", "lower"),
        ("size", "small"),
        ("tone", "bright"),
        ("diagnosis", "tuberculosis"),
    ]
    bare = {fact.name: fact.value for fact in facts(NONE)}
    assert bare["count"] == "no lesions"
    assert bare["diagnosis"] == "normal"
    assert all(bare[name] is None for name in ("side", "zone", "size", "tone"))
    assert all(fact.value in (None, *fact.alternatives) for scene in (TWO, ONE, NONE) for fact in facts(scene))


@pytest.mark.parametrize(
    ("scene", "task", "tone", "answer"),
    [
        (TWO, "modality", None, "chest X-ray"),
        (TWO, "presence", None, "yes"),
        (TWO, "presence", "bright", "yes"),
        (TWO, "presence", "dark", "no"),
        (NONE, "presence", "dark", "no"),
        (NONE, "count", None, "zero"),
        (TWO, "count", None, "two"),
        (TWO, "side", None, "left"),
        (ONE, "zone", None, "middle"),
        (ONE, "size", None, "large"),
        (ONE, "diagnosis", None, "abscess"),
        (NONE, "diagnosis", None, "normal"),
    ],
)
def test_answers_follow_from_the_scene(scene, task, tone, answer):
    assert answer_of(scene, task, tone) == answer


def test_each_pair_of_modality_tone_and_size_has_a_diagnosis_of_its_own():
    assert len(words().diagnoses) == len(set(words().diagnoses)) == 25


def test_every_task_has_wordings_in_three_strata_that_do_not_overlap():
    for task in TASKS:
        strata = wordings()[task]
        texts = [text for stratum in ("warm", "target", "new") for text in strata[stratum]]
        assert len(texts) >= 8
        assert len(set(texts)) == len(texts)
        assert min(len(strata[stratum]) for stratum in ("warm", "target", "new")) >= 2
        assert all(("{lesion}" in text) == (task == "presence") for text in texts)


def test_options_are_four_and_hold_the_answer_anywhere():
    places = []
    for item in items():
        if KINDS[item.task] is not QuestionKind.MCQ:
            assert item.options == ()
            continue
        assert len(set(item.options)) == 4
        places.append(item.options.index(item.answer))
    assert set(places) == {0, 1, 2, 3}


def test_letters_and_texts_of_options_are_accepted():
    item = next(item for item in items() if item.options)
    example = as_example(item, "x")
    for letter, option in zip("ABCD", item.options, strict=True):
        for prediction in (letter, option):
            verdict = grade(item.question, item.answer, prediction, kind=example.kind, options=item.options)
            assert verdict.correct is (option == item.answer)


@pytest.mark.parametrize("item", list(items(70)), ids=lambda item: item.task)
def test_gold_completions_earn_everything(item):
    """Format, accuracy, grounding and consistency of rationale and answer are all 1: the benchmark is well posed."""
    template = load_pool("default").reasoning
    example = as_example(item, "x")
    text = render(template.shape, rationale(item.scene), item.answer)
    scorer = Scorer(dict.fromkeys(("format", "accuracy", "grounding", "consistency"), 1.0))
    parts = scorer.parts([Rollout(ask(example, template), (), (), text, Finish.STOP, 0)])[0]
    assert parts == {"format": 1.0, "accuracy": 1.0, "grounding": 1.0, "consistency": 1.0}


@pytest.mark.parametrize("item", [item for item in items(70) if item.scene.zones], ids=lambda item: item.task)
def test_a_rationale_of_the_mirrored_scene_is_found_out(item):
    scene = item.scene
    mirrored = Scene(
        scene.modality, 0, scene.zones, "left" if scene.side == "right" else "right", scene.size, scene.tone
    )
    template = load_pool("default").reasoning
    text = render(template.shape, rationale(mirrored), item.answer)
    rollout = Rollout(ask(as_example(item, "x"), template), (), (), text, Finish.STOP, 0)
    grounding = Scorer({"grounding": 1.0}).parts([rollout])[0]["grounding"]
    right, facts_stated = 5 + len(scene.zones), 6 + len(scene.zones)
    assert grounding == pytest.approx(2 * right / (2 * right + 1 + 1))
    assert facts_stated == right + 1
