"""MedXpertQA-MM (Zuo et al. 2025, arXiv:2501.18362): examination questions with five options and one or more images.

Read from the files of the hub's repository (TsinghuaC3I/MedXpertQA, the folder MM).
"""

from __future__ import annotations

import re
import string

from rarl.data.loading import Problem, refuse
from rarl.data.published import (
    ImageFolder,
    Values,
    check_split,
    examples,
    fetch_files,
    folder_at,
    images_in,
    label,
    needs,
    numbered,
    read_table,
    text,
)
from rarl.errors import DataError
from rarl.registry import nearest
from rarl.types import Example, QuestionKind

HUB = "TsinghuaC3I/MedXpertQA"
SPLITS = ("dev", "test")
LAYOUT = f"MM/dev.jsonl, MM/test.jsonl and images/ or images.zip (from the hub's {HUB})"
COLUMNS = ("id", "question", "options", "label", "images")
TASKS = ("medical_task", "body_system", "question_type")
CHOICES = re.compile(r"\s*\bAnswer Choices:\s*\(A\).*\Z", re.DOTALL)  # the question's end repeats its options


def load(split: str, *, root: str = "", task: str = "medical_task", problem: Problem = refuse) -> list[Example]:
    """The examples of "dev" or "test"; `task` names the field that becomes their task.

    `root` holds the published files; empty: those on the hub. Bad rows go to `problem`. Errors: DataError.
    """
    check_split("medxpertqa-mm", split, SPLITS)
    if task not in TASKS:
        raise DataError(f"medxpertqa-mm: unknown task {task!r}{nearest(task, TASKS)} Fields: {', '.join(TASKS)}")
    folder = folder_at(root, LAYOUT) if root else fetch_files(HUB, ("MM/*.jsonl", "images.zip"), LAYOUT)
    path = folder / "MM" / f"{split}.jsonl"
    if not path.is_file():
        raise DataError(f"{folder} has no MM/{split}.jsonl; data.root must be a folder with {LAYOUT}")
    rows = read_table(path)
    needs(COLUMNS, rows, path)
    images = images_in("images", folder, path.parent)
    return examples(numbered(path, rows), lambda row: _example(row, images, task), problem)


def _example(row: Values, images: ImageFolder, task: str) -> Example:
    options, names = _options(row), row.get("images")
    letter = text(row, "label")
    if letter not in options:
        raise DataError(f"its label {letter!r} is none of its options ({', '.join(options)})")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DataError("its images must be a list of file names")
    return Example(
        id=f"medxpertqa-{text(row, 'id')}",
        cluster=text(row, "id"),
        images=tuple(images.image(name) for name in names),
        question=text({"question": CHOICES.sub("", text(row, "question"))}, "question"),
        answer=options[letter],
        options=tuple(options.values()),
        kind=QuestionKind.MCQ,
        task=label(row, task),
    )


def _options(row: Values) -> dict[str, str]:
    """The options by letter, in the order of the letters."""
    found = row.get("options")
    if not isinstance(found, dict) or not found or sorted(found) != list(string.ascii_uppercase[: len(found)]):
        raise DataError("its options must be an object by letter: A, B, ..")
    return {letter: text({f"option {letter}": found[letter]}, f"option {letter}") for letter in sorted(found)}
