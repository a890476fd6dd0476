import pytest

from rarl.grading import derive_kind
from rarl.grading.kinds import gold_option, offers
from rarl.types import QuestionKind

MODALITIES = ("CT", "MRI", "X-ray")


@pytest.mark.parametrize(
    ("question", "answer", "options", "kind"),
    [
        ("Is there a mass?", "Yes", (), "yesno"),
        ("Is there a mass?", " no. ", (), "yesno"),
        ("Is there a mass?", "NO", ("yes", "no"), "yesno"),
        ("Is there a mass?", "maybe", (), "open"),
        ("Is there a mass?", "Not seen here", (), "open"),
        ("What is seen in the spleen?", "nothing", (), "open"),
        ("Which modality?", "MRI", MODALITIES, "mcq"),
        ("Which modality?", "B", MODALITIES, "mcq"),
        ("Which modality?", "magnetic resonance imaging", MODALITIES, "mcq"),
        ("Which modality?", "PET", MODALITIES, "open"),
        ("Is the lesion on the left or right?", "left", (), "mcq"),
        ("Is the lesion on the left or right?", "spleen", (), "open"),
        ("Was oral or IV contrast used?", "both", (), "mcq"),
        ("Was this image taken with or without contrast?", "With contrast", (), "mcq"),
        ("Any evidence of epidural or subdural hematoma?", "No", (), "yesno"),
        ("Is this a pneumonia vs. pleural effusion?", "Pleural effusion", (), "mcq"),
        ("How many kidneys are there?", "2", (), "number"),
        ("How many kidneys are there?", "two kidneys", (), "open"),
        ("How many lesions are there?", "none", (), "number"),
        ("How often does the abnormality occur?", "zero", (), "number"),
        ("How big is the mass?", "6.5 x 6.2 x 8.8cm", (), "number"),
        ("How long?", "10-20 minutes", (), "number"),
        ("How common is it?", "5%", (), "number"),
        ("Which level?", "T5", (), "open"),
        ("Which rib?", "3rd rib", (), "open"),
        ("What contrast?", "Oral and IV", (), "multi"),
        ("Which organs?", "Heart \tLungs", (), "multi"),
        ("What are the diagnoses?", "metastases, infection, glioblastoma", (), "multi"),
        ("Where is the lesion?", "right temporal lobe", (), "open"),
        ("Where?", "", (), "open"),
    ],
)  # fmt: skip
def test_kinds(question, answer, options, kind):
    assert derive_kind(question, answer, options) is QuestionKind(kind)


def test_an_option_is_found_by_its_text_before_its_letter():
    assert gold_option("B", ("Vitamin A", "Vitamin B")) == 1
    assert gold_option("B", ("A", "C", "B")) == 2
    assert gold_option("radiograph", MODALITIES) == 2
    assert gold_option("D", MODALITIES) is None


@pytest.mark.parametrize(
    ("question", "gold", "markers"),
    [
        ("Is the lesion on the left or right?", "left", {"left", "right"}),
        ("Is the largest cyst in the left or right kidney?", "left kidney", {"left", "right"}),
        ("Is this a solid or cystic lesion?", "solid", {"solid", "cyst"}),
        ("Is this a solid lesion or a cystic lesion?", "cystic lesion", {"solid", "cyst"}),
        ("Is this a T1 weighted, T2 weighted, or FLAIR image?", "FLAIR", {"t1", "t2", "flair"}),
        ("What is denser, the lesion or the surrounding tissue?", "the lesion", {"lesion", "surrounding"}),
        ("Is the lesion on the left or right?", "spleen", None),
        ("Where is the lesion?", "left", None),
    ],
)
def test_alternatives_are_told_apart_by_one_word(question, gold, markers):
    found = offers(question, gold)
    assert (found and set(found.markers)) == markers
