from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from published_sets import write_lines, write_pictures, zip_pictures
from rarl.data import load_dataset
from rarl.data.medxpertqa import CHOICES
from rarl.errors import DataError
from rarl.grading import grade
from rarl.types import QuestionKind

OPTIONS = {
    "A": "Erythema infectiosum",
    "B": "Cutaneous larva migrans",
    "C": "Cold agglutinin disease",
    "D": "Cutis marmorata",
    "E": "Erythema ab igne",
}
LISTED = " ".join(f"({letter}) {option}" for letter, option in OPTIONS.items())
NAMES = ("MM-26-a.jpeg", "MM-26-b.jpeg")


def row(**more: Any) -> dict[str, Any]:
    return {
        "id": "MM-26",
        "question": f"A patient has a rash (A).\n What is the most probable diagnosis?\nAnswer Choices: {LISTED}",
        "options": OPTIONS,
        "label": "C",
        "images": list(NAMES),
        "medical_task": "Diagnosis",
        "body_system": "Lymphatic",
        "question_type": "Reasoning",
    } | more


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_lines(tmp_path / "MM/dev.jsonl", [row()])
    write_pictures(tmp_path / "images", NAMES)
    return tmp_path


def test_what_a_row_becomes(root: Path) -> None:
    [item] = load_dataset("medxpertqa-mm", split="dev", root=str(root))
    assert (item.id, item.cluster, item.task) == ("medxpertqa-MM-26", "MM-26", "diagnosis")
    assert item.question == "A patient has a rash (A). What is the most probable diagnosis?"
    assert item.options == tuple(OPTIONS.values())
    assert (item.answer, item.kind) == ("Cold agglutinin disease", QuestionKind.MCQ)
    assert [image.read().getpixel((0, 0)) for image in item.images] == [(0, 0, 0), (10, 10, 10)]
    for said, right in (("C", True), ("(C) Cold agglutinin disease", True), ("D", False), ("Cutis marmorata", False)):
        assert grade(item.question, item.answer, said, kind=item.kind, options=item.options).correct is right


def test_tasks(root: Path) -> None:
    [item] = load_dataset("medxpertqa-mm", split="dev", root=str(root), task="question_type")
    assert item.task == "reasoning"
    with pytest.raises(DataError, match=r"unknown task 'body_sytem'; did you mean 'body_system'\?"):
        load_dataset("medxpertqa-mm", split="dev", root=str(root), task="body_sytem")


def test_the_archive_of_images_need_not_be_unpacked(tmp_path: Path) -> None:
    write_lines(tmp_path / "MM/test.jsonl", [row()])
    zip_pictures(tmp_path / "images.zip", [f"images/{name}" for name in NAMES])
    [item] = load_dataset("medxpertqa-mm", split="test", root=str(tmp_path))
    assert [image.name for image in item.images] == list(NAMES)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"label": "F"}, r"label 'F' is none of its options \(A, B, C, D, E\)"),
        ({"options": ["a", "b"]}, "options must be an object by letter"),
        ({"options": {"A": "a", "C": "b"}}, "options must be an object by letter"),
        ({"options": {"A": "a", "B": None}}, "it has no option B"),
        ({"images": []}, "its images must be a list of file names"),
        ({"images": ["../MM-1-a.jpeg"]}, "leads out of the image folder"),
        ({"question": f"Answer Choices: {LISTED}"}, "it has no question"),
    ],
)
def test_bad_rows(root: Path, change: dict[str, Any], why: str) -> None:
    write_lines(root / "MM/dev.jsonl", [row(), row(**change)])
    with pytest.raises(DataError, match=rf"dev\.jsonl, row 1: .*{why}"):
        load_dataset("medxpertqa-mm", split="dev", root=str(root))


def test_missing_files(root: Path) -> None:
    with pytest.raises(DataError, match=r"has no MM/test\.jsonl; data\.root must be a folder with MM/dev\.jsonl"):
        load_dataset("medxpertqa-mm", split="test", root=str(root))
    with pytest.raises(DataError, match="no split 'train'"):
        load_dataset("medxpertqa-mm", root=str(root))


@given(st.text(), st.lists(st.text(), min_size=1))
def test_the_choices_at_the_end_go_and_nothing_else(question: str, options: list[str]) -> None:
    if "Answer Choices:" not in question:
        listed = " ".join(f"({letter}) {option}" for letter, option in zip("ABCDE", options, strict=False))
        assert CHOICES.sub("", f"{question}\nAnswer Choices: {listed}") == question.rstrip()
        assert CHOICES.sub("", question) == question
