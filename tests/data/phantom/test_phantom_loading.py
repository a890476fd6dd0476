"""Splits: sizes, what they may contain, and that they share nothing."""

import hashlib
import json
from collections import Counter

import pytest

from rarl.data import load_dataset
from rarl.data.phantom import SPLITS, load
from rarl.data.phantom.loading import TUNED_MODALITIES, UNSEEN_MODALITIES
from rarl.data.phantom.questions import TASKS, wordings
from rarl.data.phantom.scenes import words
from rarl.errors import DataError


def names(keys):
    return {words().modalities[key].name for key in keys}


def texts_of(stratum):
    lesions = ("lesion", "bright lesion", "dark lesion")
    return {text.format(lesion=lesion) for task in TASKS for text in wordings()[task][stratum] for lesion in lesions}


def test_sizes():
    assert len(list(load("train"))) == 256
    assert len(list(load("train", limit=1000))) == 1000
    for split in set(SPLITS) - {"train"}:
        assert len(list(load(split))) >= 500


def test_examples_depend_on_seed_split_and_index_alone():
    assert list(load("test", limit=20)) == list(load("test"))[:20]
    assert list(load("test", limit=20)) != list(load("test", limit=20, seed=1))
    assert [e.question for e in load("test", limit=40)] != [e.question for e in load("validation", limit=40)]


def test_no_image_is_in_two_splits_or_seeds():
    scenes = [e.images[0].scene.seed for seed in (0, 1) for split in SPLITS for e in load(split, seed=seed)]
    assert len(set(scenes)) == len(scenes)
    pictures = {e.images[0].read().tobytes() for split in SPLITS for e in load(split, limit=20)}
    assert len(pictures) == 20 * len(SPLITS)


def test_splits_hold_their_wordings_and_modalities():
    strata = {"unseen-wording": "new", "warm-wording": "warm"}
    for split in SPLITS:
        examples = list(load(split))
        assert {e.question for e in examples} <= texts_of(strata.get(split, "target"))
        expected = UNSEEN_MODALITIES if split == "unseen-modality" else TUNED_MODALITIES
        assert {e.modality for e in examples} == names(expected)
    assert not set(UNSEEN_MODALITIES) & set(TUNED_MODALITIES)
    assert set(UNSEEN_MODALITIES) | set(TUNED_MODALITIES) == set(words().modalities)


def test_only_shifted_images_are_taken_differently():
    plain, shifted = next(load("test")).images[0], next(load("shifted")).images[0]
    assert shifted.view != plain.view
    assert shifted.view.noise > plain.view.noise
    assert shifted.view.contrast < plain.view.contrast
    assert shifted.view.blur > plain.view.blur


def test_tasks_take_turns_and_answers_are_no_giveaway():
    examples = list(load("test"))
    counts = Counter(e.task for e in examples)
    assert set(counts.values()) == {504 // len(TASKS)}
    for task in TASKS:
        answers = Counter(e.answer for e in examples if e.task == task)
        assert max(answers.values()) < 0.65 * counts[task]


def test_ids_and_clusters_are_unique():
    examples = [e for split in SPLITS for e in load(split)]
    assert len({e.id for e in examples}) == len({e.cluster for e in examples}) == len(examples)


def test_resolution_changes_the_picture_alone():
    small, large = (next(load("test", pixels=pixels)) for pixels in (84, 224))
    assert large.images[0].read().size == (224, 224)
    assert (small.question, small.answer, small.rationale) == (large.question, large.answer, large.rationale)


@pytest.mark.parametrize("pixels", [0, 28, 85, 476, -84])
def test_a_size_that_does_not_fit_is_refused(pixels):
    with pytest.raises(DataError, match="multiple of 28"):
        load("train", pixels=pixels)


def test_an_unknown_split_is_refused_with_the_nearest():
    with pytest.raises(DataError, match="did you mean 'validation'"):
        load("validatoin")


def test_it_loads_by_name():
    dataset = load_dataset("phantom", split="test", limit=7)
    assert [e.task for e in dataset] == list(TASKS)


def test_facts_and_texts_are_the_same_everywhere():
    """A digest of what the splits say; it may only change together with the embedded checkpoint."""
    rows = [
        (e.id, e.question, e.answer, e.options, e.rationale, [(f.name, f.value) for f in e.facts])
        for split in SPLITS
        for e in load(split, limit=70)
    ]
    assert hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16] == "876b16cf62ba012e"
