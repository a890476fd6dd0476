import pytest
from hypothesis import given
from hypothesis import strategies as st

from rarl.grading.reading import Reader, content, context_of, read, spellings_of
from rarl.grading.undressing import undress


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Haemorrhages", "hemorrhage"),
        ("X-RAY", "radiograph"),
        ("CXR", "chest x ray"),
        ("metastases", "metastasis"),
        ("opacities", "opacity"),
        ("masses", "mass"),
        ("diverticula", "diverticuli"),
        ("third", "3rd"),
        ("seven", "7"),
        ("can't", "cannot"),
        ("there isn't", "there is not"),
        ("\uff59\uff45\uff53", "yes"),
        ("\u0443\u0435\u0455", "yes"),
        ("\\boxed{\\text{yes}}", "yes"),
        ("**yes**", "yes"),
        ("<answer>yes</answer>", "yes"),
        ("\u0153dema", "edema"),
        ("left MCA", "left middle cerebral artery"),
        ("renal", "kidney"),
        ("non-contrast", "without contrast"),
        ("patient's", "patient"),
        ("naïve", "naive"),
    ],
)
def test_texts_that_read_the_same(one, other):
    assert read(one) == read(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("pancreas", "pancrea"),
        ("normal", "abnormal"),
        ("ileum", "ilium"),
        ("hyperdense", "hypodense"),
        ("T1", "T2"),
        ("12", "2"),
    ],
)
def test_texts_that_do_not(one, other):
    assert read(one) != read(other)


def test_ambiguous_abbreviations_wait_for_the_question():
    assert read("PA") == ("pa",)
    assert read("PA", context_of("How was this film taken?")) == ("posteroanterior",)
    assert read("MS", context_of("What is the plaque?")) == ("multiple", "sclerosis")
    assert read("MS", context_of("What drug?")) == ("ms",)


def test_a_slip_is_put_right_only_in_a_long_word_that_is_no_other():
    read = Reader(right=spellings_of("pneumonia ilium inferior colostomy")).read
    assert read("pnuemonia") == ("pneumonia",)
    assert read("pneumoni") == ("pneumonia",)
    assert read("neumonia") == ("neumonia",)
    assert read("ileum") == ("ileum",)
    assert read("interior") == ("interior",)
    assert read("colotomy") == ("colotomy",)


def test_words_without_meaning_are_left_out_unless_there_are_no_others():
    assert content(read("The image shows a mass.")) == ("mass",)
    assert content(read("the image")) == ("the", "image")


@given(st.text(max_size=80))
def test_reading_never_fails_and_reads_its_own_words_again(text):
    undress(text)
    words = read(text)
    assert all(words)
