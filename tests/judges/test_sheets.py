"""What a judge is shown of a query on each axis, and what not."""

import io
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rarl.data.images import BytesImage
from rarl.errors import DataError
from rarl.judges.rubrics import rubrics
from rarl.judges.sheets import neutral, sheet
from rarl.types import Fact, JudgeQuery

CORRECTNESS, EXPLANATION = rubrics()["correctness"], rubrics()["explanation"]


def coloured(color):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(file, "PNG")
    return BytesImage(file.getvalue(), color)


def blocks(asked):
    return dict(re.findall(r"<<<(?!end )([^<>]+) \w{20}>>>\n(.*?)\n<<<end [^<>]+>>>", asked.user, flags=re.DOTALL))


@pytest.fixture
def full(query):
    return replace(
        query,
        options=("pneumonia", "tuberculosis"),
        rationale="A cavity suggests it.",
        facts=(Fact("side", "left", ("left", "right")), Fact("size", None, ("small", "large"))),
    )


def test_correctness_sees_gold_and_answer_and_no_reasoning(full):
    assert blocks(sheet(full, CORRECTNESS)) == {
        "Modality": "chest X-ray",
        "Question": "What does the chest X-ray show?",
        "Options": "A) pneumonia\nB) tuberculosis",
        "Reference answer": "pulmonary tuberculosis",
        "Answer": "tuberculosis",
    }


def test_all_right_answers_are_shown_to_who_judges_correctness(full):
    several = replace(full, references=("TB", "a <cavity>"))
    shown = blocks(sheet(several, CORRECTNESS))["Reference answer"]
    assert shown == "pulmonary tuberculosis\nor: TB\nor: a \u2039cavity\u203a"
    assert "TB" not in sheet(replace(several, axis="explanation"), EXPLANATION).user


def test_explanation_sees_facts_and_rationale_and_never_the_gold(full):
    asked = sheet(replace(full, axis="explanation"), EXPLANATION)
    assert blocks(asked) == {
        "Modality": "chest X-ray",
        "Question": "What does the chest X-ray show?",
        "Options": "A) pneumonia\nB) tuberculosis",
        "Known facts": "side: left\nsize: none of small, large",
        "Reference explanation": "A cavity suggests it.",
        "Reasoning": full.reasoning,
        "Answer given": "tuberculosis",
    }
    other = sheet(replace(full, axis="explanation", gold="something else"), EXPLANATION)
    assert asked == other


def test_what_a_query_lacks_is_not_shown(query):
    bare = JudgeQuery("explanation", "1", "Is it?", "It is, as one sees.", None)
    assert set(blocks(sheet(bare, EXPLANATION))) == {"Question", "Reasoning"}


@pytest.mark.parametrize("rubric", [CORRECTNESS, EXPLANATION], ids=lambda rubric: rubric.axis)
def test_instructions_have_anchors_form_and_the_code_of_the_markers(query, rubric):
    asked = sheet(query, rubric)
    for score in range(4):
        assert f"\n{score}: {rubric.anchors[score]}" in asked.system
    assert '{"score": 0, 1, 2 or 3, "reason"' in asked.system
    assert '{"score": 0, 1, 2 or 3, "reason"' in asked.user.rpartition(">>>")[2]  # said again after all data
    [code] = set(re.findall(r"<<<[^<>]* (\w+)>>>", asked.system + asked.user))
    assert re.fullmatch("[0-9a-f]{20}", code)
    assert not re.search(r"\{\w+\}", asked.system + asked.user)


def test_the_same_query_gives_the_same_sheet_whatever_its_id(query):
    assert sheet(query, CORRECTNESS) == sheet(replace(query, id="other"), CORRECTNESS)


def test_images_are_only_for_a_judge_that_sees_them(query):
    red, blue = (coloured(color) for color in ("red", "blue"))
    query = replace(query, axis="explanation", images=(red,))
    unseen, seen = sheet(query, EXPLANATION), sheet(query, EXPLANATION, images=True)
    assert (unseen.images, seen.images) == ((), (red,))
    assert "You don't see them" in unseen.system
    assert "They are attached" in seen.system
    other = sheet(replace(query, images=(blue,)), EXPLANATION, images=True)
    assert seen.digest() != other.digest()
    assert unseen.digest() == sheet(replace(query, images=(blue,)), EXPLANATION).digest()
    assert "You don't see them" in sheet(replace(query, images=()), EXPLANATION, images=True).system


def test_a_broken_image_is_told(query):
    broken = BytesImage(b"no image", "broken.png")
    with pytest.raises(DataError, match=r"broken\.png"):
        sheet(replace(query, images=(broken,)), CORRECTNESS, images=True).digest()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("SUV < 2.5, HU > 40", "SUV \u2039 2.5, HU \u203a 40"),
        ("  Größe 3x2 cm, 左肺\tT2* \n", "Größe 3x2 cm, 左肺\tT2*"),
        ("[INST] [T2] [CT] [1]", "(INST) [T2] [CT] [1]"),
        ("a\r\nb\x1b[0m\u200bc", "a\nb[0mc"),
        ("\u200b\x00", ""),
    ],
)
def test_texts_stay_legible(text, shown):
    assert neutral(text) == shown


@given(st.text())
def test_no_text_holds_anything_of_a_marker(text):
    shown = neutral(text)
    assert not set("<>\uff1c\uff1e\u200b\x00") & set(shown)
    assert neutral(shown) == shown


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_answer_is_one_block_in_a_sheet_with_one_code(answer, question):
    asked = sheet(JudgeQuery("correctness", "1", question, "", answer, gold="yes"), CORRECTNESS)
    assert set(blocks(asked)) <= {"Question", "Reference answer", "Answer"}
    assert len(set(re.findall(r"<<<[^<>]* (\w+)>>>", asked.system + asked.user))) == 1
