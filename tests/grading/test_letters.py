import pytest

from rarl.grading import grade
from rarl.grading.letters import claims, unlabelled, without_label

OPTIONS = ("Melanoma", "Nevus", "Basal cell carcinoma", "Seborrheic keratosis")


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("A, C and D can be excluded; the answer is B.", "B"),
        ("Ruling out A, C and D leaves B.", "B"),
        ("After eliminating A, C, and D, B remains.", "B"),
        ("Not A, not C; B", "B"),
        ("B, because A is wrong", "B"),
        ("A is wrong because it is flat; C and D do not fit; therefore the answer is B.", "B"),
        ("A: no. B: yes. C: no. D: no.", "B"),
        ("B (A is ruled out)", "B"),
        ("B not A", "B"),
        ("All but B", ""),
        ("A, B, C and D can be excluded.", ""),
        ("A, C or D, but not B", "ACD"),
        ("A and D can be excluded; B or C remains.", "BC"),
        ("A: A, C", "AAC"),
    ],
)
def test_letters_that_an_answer_names_and_does_not_deny(text: str, letters: str) -> None:
    assert "".join("ABCD"[claim.option] for claim in claims(text, OPTIONS)) == letters


@pytest.mark.parametrize(
    ("prediction", "correct"),
    [
        ("Melanoma, basal cell carcinoma and seborrheic keratosis can be excluded; it is a nevus.", True),
        ("We can eliminate melanoma, which leaves nevus.", True),
        ("Nevus can be excluded, which leaves melanoma.", False),
        ("Melanoma, nevus, basal cell carcinoma and seborrheic keratosis can be excluded.", False),
    ],
)
def test_options_excluded_by_their_texts(prediction: str, correct: bool) -> None:
    assert grade("Which lesion is shown?", "B", prediction, options=OPTIONS).correct is correct


def test_a_no_that_is_an_options_text_denies_nothing() -> None:
    assert grade("Is it calcified?", "A", "A. No", options=["No", "Yes"]).correct
    assert not grade("Is it calcified?", "No", "A. No", options=["Yes", "No"]).correct


def test_labels_come_off() -> None:
    assert unlabelled(("A. CT", "(B) MRI", "c) PET")) == ("CT", "MRI", "PET")
    assert unlabelled(("A. CT", "MRI")) == ("A. CT", "MRI")
    assert without_label("B. MRI", ("CT", "MRI")) == "MRI"
    assert without_label("A. MRI", ("CT", "MRI")) == "A. MRI"  # not its letter
    assert grade("Which?", "B) MRI", "B", options=["CT", "MRI"]).correct


@pytest.mark.parametrize(
    ("prediction", "correct"),
    [
        ("B", True),
        ("bladder", True),
        ("The bladder is not seen.", True),
        ("B is not seen.", True),
        ("There is no bladder.", True),
        ("The bladder is seen.", False),
        ("not B", False),
        ("The spleen is not seen.", False),
        ("The bladder and the spleen are not seen.", False),
    ],
)
def test_what_is_not_there_is_the_option_that_is_denied(prediction: str, correct: bool) -> None:
    options = ["Liver", "Bladder", "Spleen"]
    assert grade("Which organ is not seen?", "B", prediction, options=options).correct is correct
