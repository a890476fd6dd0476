"""What counts as the same answer, and what a text claims: by rules, without a model."""

from rarl.grading.answers import grade
from rarl.grading.claims import Mention, mentions
from rarl.grading.files import Graded, grade_file, grade_row, graded_table
from rarl.grading.kinds import derive_kind

__all__ = ["Graded", "Mention", "derive_kind", "grade", "grade_file", "grade_row", "graded_table", "mentions"]
