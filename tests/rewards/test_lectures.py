"""Sentences that are true of a thing in general, and those that speak of this image."""

import pytest

from rarl.rewards.lectures import is_lecture
from rarl.rewards.wording import stem

TERMS = frozenset(map(stem, ("pneumonia", "mri", "cyst", "effusion", "pleural", "appendicitis")))


@pytest.mark.parametrize(
    "sentence",
    [
        "Pneumonia is an infection of the lung.",
        "A cyst is a sac with fluid.",
        "MRI uses strong magnetic fields.",
        "A pleural effusion is fluid between the layers.",
        "Appendicitis causes pain in the right lower quadrant.",
        "Pneumonia can lead to abscess.",
        "Causes include heart failure and malignancy.",
        "On radiographs it blunts the angle.",
        "In most patients the wall is thick.",
        "A filling defect is an area where contrast does not fill.",
        "Pneumonia, so the lung, is usually treated.",
        "Pneumonia means an infected lung.",
    ],
)
def test_general(sentence):
    assert is_lecture(sentence, TERMS, goes_on=False)


@pytest.mark.parametrize(
    "sentence",
    [
        "Pneumonia is the most likely diagnosis.",
        "Pneumonia is seen in the right lower lobe.",
        "There is a cyst in the liver.",
        "The cyst is a dark sac.",
        "This cyst is an old one.",
        "A nodule lies in the left lobe.",
        "Blunting means fluid.",
        "An effusion is present on the left.",
        "A rim of fluid suggests pneumonia.",
        "On this radiograph the angle is blunted.",
        "In a patient with such opacities, pneumonia is likely.",
        "Both kidneys are small.",
        "Bilateral opacities are a sign of edema.",
        "",
    ],
)
def test_of_this_image(sentence):
    assert not is_lecture(sentence, TERMS, goes_on=False)


def test_a_lecture_goes_on():
    assert is_lecture("It is excellent for soft tissue.", TERMS, goes_on=True)
    assert not is_lecture("It is excellent for soft tissue.", TERMS, goes_on=False)
    assert not is_lecture("It is seen on the left.", TERMS, goes_on=True)
