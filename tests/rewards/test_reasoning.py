"""Which sentences observe, conclude, or only fill: seen by what each adds to a reading."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rarl.rewards.reasoning import Context, read_reasoning

ASKED = Context(
    "Is there a pleural effusion?", "Is there a pleural effusion? Think, then answer.", "yes", (), frozenset()
)
OPTIONS = ("pneumonia", "tuberculosis", "emphysema", "normal")
CHOICE = Context("Which is it?", "Which is it? A) pneumonia B) tuberculosis", "tuberculosis", OPTIONS, frozenset())


@pytest.mark.parametrize(
    ("sentence", "own"),
    [
        ("The left costophrenic angle is blunted.", 4),
        ("1. The left costophrenic angle is blunted.", 4),
        ("Findings: blunted angle.", 2),
        ("A line ends in the SVC.", 2),
        ("Fused glands at L4.", 3),
        ("No consolidation, collapse, mass, nodule, cyst or fracture.", 6),
        ("The liver, spleen, pancreas, kidneys, adrenals and aorta are normal.", 7),
        ("It measures 2.3 x 1.8 x 1.5 cm.", 2),
        ("The cardiothoracic ratio is 0.55.", 2),
        ("There is dullness, likely consistent with atelectasis or collapse.", 2),
        ("There may be mild edema.", 2),
    ],
)
def test_a_sentence_that_observes(sentence, own):
    reading = read_reasoning(sentence, ASKED)
    assert (len(reading.own), reading.hollow) == (own, 0)


@pytest.mark.parametrize("sentence", ["There is a pleural effusion.", "So the answer is yes.", "Yes."])
def test_a_sentence_that_concludes(sentence):
    reading = read_reasoning(sentence, ASKED)
    assert (len(reading.own), reading.hollow) == (0, 0)


@pytest.mark.parametrize(
    "sentence",
    [
        "Is there a pleural effusion?",
        "Look at the left costophrenic angle.",
        "Step 1: Identify the bone.",
        "I need to find the angle.",
        "The lungs were evaluated.",
        "It may be small or it could be large.",
        "It is on the left or right.",
        "Left, right, upper, lower, small, large.",
        "#mucosa #antrum #erythema #nodule #biopsy #cyst",
        "According to Smith (2019) the lung is white.",
        "It measures 3.742 cm.",
        "It measures 91.3 %.",
        "Left lung left lung left lung.",
        "Doctors use the lung image.",
        "The lung is an organ that can collapse.",
        "Emphysema is a chronic disease of the lung.",
        "The symptoms are cough and edema.",
        "Possible: edema, mass, cyst.",
        "Das Bild ist sehr gut betrachtet worden.",
        "This answer is correct.",
    ],
)
def test_a_sentence_that_only_fills(sentence):
    reading = read_reasoning(sentence, ASKED)
    assert (len(reading.own), reading.hollow) == (0, 1)


def test_options_in_a_row_only_fill():
    assert read_reasoning("It is pneumonia, tuberculosis or emphysema.", CHOICE).hollow == 1
    assert read_reasoning("So it is B.", CHOICE).hollow == 0


def test_what_excludes_the_answer_is_no_observation():
    side = Context("Which side?", "Which side?", "left", (), frozenset())
    assert read_reasoning("It is on the right.", side).own == frozenset()


def test_present_and_absent_alike():
    reading = read_reasoning("The angle is blunted. The angle is not blunted.", ASKED)
    assert reading.hollow == 2


@given(
    st.lists(st.sampled_from(["The angle is blunted.", "Yes.", "Look here.", "...", "?", "\n", "X is."]), max_size=8)
)
def test_more_sentences_never_mean_fewer_words_or_less_filler(parts):
    whole, most = (read_reasoning(" ".join(texts), ASKED) for texts in (parts, parts[:-1]))
    assert whole.hollow >= most.hollow
    assert whole.words >= most.words
    assert whole.own >= most.own
