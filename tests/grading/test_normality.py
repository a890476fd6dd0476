"""Whether an image is normal, asked and answered in ways that share no word."""

import pytest

from rarl.grading import grade


@pytest.mark.parametrize(
    ("question", "gold", "prediction", "correct"),
    [
        ("Is this a normal chest x-ray?", "yes", "No abnormality detected.", True),
        ("Is this a normal chest x-ray?", "no", "No abnormality detected.", False),
        ("Is this a normal chest x-ray?", "no", "There is a mass in the right upper lobe.", True),
        ("Is this a normal chest x-ray?", "yes", "There is a mass in the right upper lobe.", False),
        ("Is this a normal chest x-ray?", "yes", "There is no mass.", False),  # nor need anything else be normal
        ("Is this a normal chest x-ray?", "yes", "The heart is normal.", False),
        ("Is the image normal?", "no", "Pneumothorax on the left.", True),
        ("Is this scan abnormal?", "yes", "A nodule is seen.", True),
        ("Is this scan abnormal?", "no", "The scan is unremarkable.", True),
        ("Is this scan abnormal?", "yes", "The scan is unremarkable.", False),
        ("Is the heart normal?", "no", "There is a mass in the lung.", False),  # a question about one organ
        ("What abnormality is seen?", "none", "no abnormality", True),
        ("What abnormality is seen?", "none", "The image is unremarkable.", True),
        ("What is abnormal here?", "Nothing abnormal", "none", True),
        ("What abnormality is seen?", "none", "a nodule", False),
        ("What abnormality is seen?", "nodule", "none", False),
        ("What organ is shown?", "none", "normal", False),  # nothing wrong is asked for
    ],
)
def test_normal_and_nothing_wrong(question: str, gold: str, prediction: str, correct: bool) -> None:
    assert grade(question, gold, prediction).correct is correct


@pytest.mark.parametrize(
    ("question", "prediction"),
    [
        ("Is there an effusion?", "I would not say that there is no effusion."),
        ("Is there an effusion?", "The absence of effusion is not supported."),
        ("Is there an effusion?", "It isn't effusion-free."),
    ],
)
def test_a_denial_of_unclear_reach_is_no_answer(question: str, prediction: str) -> None:
    assert not grade(question, "no", prediction).correct
    assert not grade(question, "yes", prediction).correct


@pytest.mark.parametrize(
    ("question", "prediction", "says"),
    [
        ("Is there an effusion?", "It cannot be denied that an effusion is present.", "yes"),
        ("Is there an effusion?", "There is no denying the effusion.", "yes"),
        ("Is there an effusion?", "It is false that there is no effusion.", "yes"),
        ("Is there an effusion?", "It is not true that there is an effusion.", "no"),
        ("Is there an effusion?", "I deny that there is no effusion.", "yes"),
        ("Is there an effusion?", "The claim that there is an effusion is false.", "no"),
        ("Is it false that there is an effusion?", "There is no effusion.", "yes"),
        ("Is it false that there is no effusion?", "There is no effusion.", "no"),
        ("Is it true that there is no effusion?", "That is not true.", "no"),
        ("Does the patient lack a spleen?", "The spleen is present.", "no"),
        ("Does the patient lack a spleen?", "There is no spleen.", "yes"),
        ("Is the spleen missing?", "The spleen is not missing.", "no"),
        ("Is there an effusion?", "There is no fracture, effusion or mass.", "no"),
        ("Is there an effusion?", "A fracture, an effusion and a mass are not seen.", "no"),
        ("Is there an effusion?", "No fracture, lungs clear and heart normal.", None),
    ],
)
def test_an_even_number_of_denials_affirms(question: str, prediction: str, says: str | None) -> None:
    assert grade(question, "yes", prediction).correct is (says == "yes")
    assert grade(question, "no", prediction).correct is (says == "no")
