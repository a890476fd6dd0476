"""Reward accuracy: is the answer right?"""

from functools import lru_cache

from rarl.grading import grade
from rarl.rewards.columns import Row, rowwise
from rarl.rewards.tampering import tampers
from rarl.types import QuestionKind

PARTIAL = 0.3  # the most that a wrong open answer earns: below what a right one earns without any other reward
_grade = lru_cache(maxsize=4096)(grade)  # the completions of a group often agree


@rowwise()
def accuracy(row: Row) -> float | None:
    """1 for a right answer, judged on the answer block alone. No single answer block is wrong, and so is an empty one,
    or one that talks to whoever scores or hides something.

    A wrong open answer that shares something with the gold one earns up to 0.3, in proportion to its graded score;
    every other kind is 0 or 1. None where the data has no gold answer.
    """
    if row.gold is None:
        return None
    if row.parsed.answer is None or not row.parsed.answer.strip() or tampers(row.parsed.answer):
        return 0.0
    said = row.parsed.answer
    grading = _grade(row.question, row.gold, said, kind=row.kind, options=row.options, references=row.references)
    if grading.correct:
        return 1.0
    return PARTIAL * grading.score if grading.kind is QuestionKind.OPEN else 0.0
