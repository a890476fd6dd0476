import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rarl.grading import Mention, mentions
from rarl.grading.claims import Statement, normal_words, statements
from rarl.grading.reading import context_of

TABLE = """
There are no lesions.                                            | no lesions        | affirmed
There are no lesions.                                            | lesion            | denied
There are no lesions.                                            | two lesions       | absent
There is no lesion.                                              | no lesions        | affirmed
The image is without any lesion.                                 | no lesions        | affirmed
Lesions are absent.                                              | no lesion         | affirmed
Lesions are not seen.                                            | no lesions        | affirmed
There are two small lesions.                                     | no lesions        | denied
There are no lesions on the left.                                | no lesions        | absent
No lesion on the left.                                           | left              | denied
No lesion on the left.                                           | lesion            | denied
There are two lesions on the left and no lesion on the right.    | left              | affirmed
There are two lesions on the left and no lesion on the right.    | right             | denied
There are two lesions on the left and no lesion on the right.    | two lesions       | affirmed
There are two lesions on the left and no lesion on the right.    | no lesions        | denied
There are two small bright lesions.                              | two lesions       | affirmed
There are 2 lesions.                                             | two lesions       | affirmed
There is a single lesion.                                        | one lesion        | affirmed
There are twenty-two lesions.                                    | three lesions     | absent
There is one bright zone and the lesions are two.                | one lesion        | absent
The lesion is not large.                                         | large             | denied
The lesion is not large.                                         | lesion            | affirmed
The lesion isn't large.                                          | large             | denied
A lesion is not absent.                                          | lesion            | affirmed
The lungs are not without lesions.                               | lesions           | affirmed
The left lung is clear without lesions.                          | left              | affirmed
no mass, effusion, or pneumothorax                               | mass              | denied
no mass, effusion, or pneumothorax                               | effusion          | denied
no mass, effusion, or pneumothorax                               | pneumothorax      | denied
No consolidation, pleural effusion or mass.                      | effusion          | denied
No consolidation, pleural effusion or mass.                      | mass              | denied
No mass, the lung is dark or grey.                               | dark              | affirmed
An opacity without cavitation is visible in the left lung.       | left              | affirmed
An opacity without cavitation is visible in the left lung.       | cavitation        | denied
MRI rather than CT was used in the chest.                        | chest             | affirmed
MRI rather than CT was used in the chest.                        | CT                | denied
A mass, without effusion, is in the right lung.                  | right             | affirmed
Instead of a cyst, a mass is seen.                               | mass              | affirmed
Instead of a cyst, a mass is seen.                               | cyst              | denied
No mass, but a nodule is seen                                    | nodule            | affirmed
No mass and a nodule on the right                                | nodule            | affirmed
There is no other lesion.                                        | lesion            | affirmed
The lesion is on the left, not on the right.                     | left              | affirmed
The lesion is on the left, not on the right.                     | right             | denied
It is on the left and it is on the right; not on the left.       | left              | both
A lesion on the left. No lesion on the left.                     | lesion            | both
the lesion is small rather than large                            | large             | denied
the lesion is small rather than large                            | small             | affirmed
Neither a mass nor a nodule is seen.                             | mass              | denied
Neither a mass nor a nodule is seen.                             | nodule            | denied
Pneumothorax: none.                                              | pneumothorax      | denied
It cannot be ruled out that there is a mass                      | mass              | affirmed
A mass is ruled out.                                             | mass              | denied
not only bright but also large                                   | bright            | affirmed
not only bright but also large                                   | large             | affirmed
No lesion is seen and the scan is normal                         | normal            | affirmed
I see no lesion, the scan is normal                              | normal            | affirmed
Is there a lesion on the left?                                   | left              | absent
Is there a lesion? There is one on the left.                     | left              | affirmed
The question asks whether there is a mass.                       | mass              | absent
A left-sided haemorrhage                                         | hemorrhage        | affirmed
Bleeding is seen.                                                | haemorrhage       | affirmed
An infarct is seen.                                              | infarction        | affirmed
The chest radiograph shows it                                    | chest X-ray       | affirmed
A chest x-ray                                                    | chest radiograph  | affirmed
This is a brain MR.                                              | brain MRI         | affirmed
multiple fractures                                               | fracture          | affirmed
abnormal                                                         | normal            | absent
an upright patient                                               | right             | absent
The patient is bright.                                           | right             | absent
leftover                                                         | left              | absent
RIGHT LUNG                                                       | right lung        | affirmed
right-lung                                                       | right lung        | affirmed
right; lung                                                      | right lung        | absent
**pneumonia**                                                    | pneumonia         | affirmed
                                                                 | lesion            | absent
"""
ROWS = [[cell.strip() for cell in line.split(" | ")] for line in TABLE.strip("\n").splitlines()]
WORDS = "no not without lesion lesions two left right and but is are there absent never whether , . ?"
words = st.lists(st.sampled_from(re.split(" ", WORDS)), max_size=15).map(" ".join)


@pytest.mark.parametrize(("text", "phrase", "expected"), ROWS, ids=lambda cell: cell[:40])
def test_mentions(text, phrase, expected):
    assert mentions(text, phrase) is Mention(expected)


def test_statements_by_hand():
    one, two, both = {"nodule", "right"}, {"it", "small"}, {"nodule", "right", "it", "small"}
    assert statements("Nodule right. It small.") == (
        Statement(frozenset(one), frozenset()),
        Statement(frozenset(two), frozenset()),
        Statement(frozenset(both), frozenset()),
    )
    (denied,) = statements("No nodule. Is it small?")[:1]
    assert denied == Statement(frozenset({"no"}), frozenset({"nodule"}))
    assert statements("") == ()


def test_the_question_settles_abbreviations():
    modality = context_of("Which imaging modality is this?")
    assert mentions("Magnetic resonance is shown.", "MR", modality) is Mention.AFFIRMED
    assert mentions("Magnetic resonance is shown.", "MR") is Mention.ABSENT
    assert normal_words("Magnetic resonance imaging.") == ("mri",)


@given(text=st.text(max_size=80) | words, phrase=st.text(max_size=20))
def test_any_text_is_read(text, phrase):
    assert mentions(text, phrase) in Mention
    assert mentions(text, phrase) is mentions(text.upper().lower(), phrase) or not text.isascii()


@given(words)
def test_a_phrase_whose_words_are_missing_is_absent(text):
    assert mentions(text, "pneumothorax") is Mention.ABSENT


def test_a_step_of_training_is_checked_in_milliseconds():
    """64 completions of 55 words against 20 phrases: 15 ms on one core; the bound is for what reads each text anew."""
    rationale = (
        "This is a chest X-ray number {}. There are two lesions on the left, in the upper zone and the lower zone. "
        "They are small and bright. There is no lesion on the right. The heart is normal in size and there is no "
        "effusion or pneumothorax. This suggests pneumonia rather than a nodule."
    )
    phrases = [f"{number} lesions" for number in ("no", "one", "two", "three")]
    phrases += ["left", "right", "upper", "middle", "lower", "small", "large", "bright", "dark", "normal", "pneumonia"]
    phrases += ["chest X-ray", "head CT", "brain MRI", "ultrasound", "fundus photograph"]
    mentions(f"warm-up, {rationale}", "left")
    start = time.process_time()
    for number in range(64):
        for phrase in phrases:
            mentions(rationale.format(number), phrase)
    assert time.process_time() - start < 0.6
