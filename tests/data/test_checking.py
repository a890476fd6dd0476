import re
from dataclasses import replace
from typing import Any

import pytest

from rarl.data.checking import trouble
from rarl.data.images import FileImage
from rarl.types import Example, Fact, QuestionKind

SOUND = Example("q1", "c1", (FileImage("a.png"),), "Is it there?", "yes", options=("yes", "no"))  # type: ignore[arg-type]


def test_a_sound_example_is_no_trouble() -> None:
    assert trouble(SOUND) is None
    assert trouble(replace(SOUND, images=[], options=["<b>", "😀 שלום"], question="a < b | c > d <think>")) is None


def test_open_questions_may_have_several_right_answers() -> None:
    several = replace(SOUND, options=(), references=("a nodule", "a mass"))
    assert trouble(several) is None
    assert "must not contain <|im_end|>" in str(trouble(replace(several, references=("a<|im_end|>",))))
    assert "no valid Unicode" in str(trouble(replace(several, references=("\ud800",))))
    for kind in (QuestionKind.YESNO, QuestionKind.MCQ):
        assert "has one right answer" in str(trouble(replace(several, kind=kind)))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("id", 3, "its id must be a text"),
        ("question", None, "its question must be a text"),
        ("answer", 5, "its answer must be a text"),
        ("answer", " ", "it has no answer"),
        ("modality", 1, "its modality must be a text or None"),
        ("kind", "yesno", "must be a QuestionKind"),
        ("images", FileImage("a.png"), "its images must be a tuple"),  # type: ignore[arg-type]
        ("images", ("a.png",), "must be ImageSources"),
        ("options", "abc", "its options must be a tuple"),
        ("options", (1,), "options must be texts"),
        ("facts", ({"name": "side"},), "must be Facts"),
        ("references", "present", "its references must be a tuple"),
        ("references", (1,), "references must be texts"),
        ("references", ("present", " "), "one of its references is empty"),
        ("references", ("present",), "a choice, or a question of yes or no, has one right answer"),
        *((field, "a\ud800", "no valid Unicode") for field in ("id", "cluster", "question", "modality", "task")),
        ("facts", (Fact("side", "left", ("\udfff",)),), "no valid Unicode"),
        ("question", "Here: <|image_pad|>", r"must not contain <\|image_pad\|>"),
        ("options", ("a", "b<|im_end|>"), r"must not contain <\|im_end\|>"),
    ],
)
def test_what_is_wrong_is_said(field: str, value: Any, message: str) -> None:
    found = trouble(replace(SOUND, **{field: value}))
    assert found is not None
    assert re.search(message, found)
