"""The grade of one answer: by the question's kind, strict verdict and graded score, with the rule that decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from rarl.grading.case import Case, Outcome, addresses_grader, plain, right, wrong
from rarl.grading.choice import grade_choice
from rarl.grading.kinds import derive_kind, gold_option, offers, polarity
from rarl.grading.letters import claims, unlabelled, without_label
from rarl.grading.phrases import grade_phrase
from rarl.grading.quantities import grade_number, is_quantity
from rarl.grading.reading import MARKS
from rarl.grading.tables import fillers
from rarl.grading.undressing import undress
from rarl.grading.yesno import grade_yesno
from rarl.types import Grade, QuestionKind

_LONGEST = 2000  # characters; an answer that is longer is none


def grade(
    question: str,
    gold: str,
    prediction: str,
    *,
    kind: QuestionKind | None = None,
    options: Sequence[str] = (),
    references: Sequence[str] = (),
) -> Grade:
    """Whether the prediction gives the gold answer, or one of the `references`, which are right as well.

    `prediction` is the answer alone, without the reasoning. Of several right answers the one that it comes nearest to
    is graded against, the first of equally near ones. A `kind` is taken over into the grade; how the answer is compared
    follows from the gold, so that "3 cm" is a number also where the kind says open.
    """
    if not references:
        return _against(question, gold, prediction, kind, tuple(options))
    kind = kind or derive_kind(question, gold, options)
    rights = (gold, *references)
    grades = [replace(_against(question, right, prediction, kind, tuple(options)), matched=right) for right in rights]
    return max(grades, key=lambda grade: (grade.correct, grade.score, grade.relaxed or 0.0))


def _against(question: str, gold: str, prediction: str, kind: QuestionKind | None, options: tuple[str, ...]) -> Grade:
    options, gold = unlabelled(options), without_label(gold, options)
    kind = QuestionKind(kind) if kind else None
    if len(prediction) > _LONGEST:
        kind = kind or derive_kind(question, gold, options)
        return Grade(False, 0.0, kind, "too long", gold.strip(), prediction[:_LONGEST].strip(), 0.0)
    return _grade(question, gold, prediction, kind, options)


@lru_cache(maxsize=1 << 14)  # the completions of a group, and runs that are compared, often answer the same
def _grade(question: str, gold: str, prediction: str, kind: QuestionKind | None, options: tuple[str, ...]) -> Grade:
    found = derive_kind(question, gold, options)
    case = Case.of(question, gold, prediction, options, flipped=found is not QuestionKind.YESNO)
    outcome = _outcome(case, found, question, gold, prediction, options)
    words = " ".join(plain(case.gold)), " ".join(plain(case.prediction))
    return Grade(outcome.correct, outcome.score, kind or found, outcome.rule, *words, outcome.relaxed)


def _outcome(
    case: Case, kind: QuestionKind, question: str, gold: str, prediction: str, options: Sequence[str]
) -> Outcome:
    if gold.strip() and gold.strip() == prediction.strip():
        return right("same text")
    if not plain(case.prediction) or not plain(case.gold):
        return wrong("empty")
    if True in case.asked and _only_asks(case):
        return wrong("a question")
    if case.gold == case.prediction or (len(prediction) < 2 * len(gold) + 40 and _bare(gold) == _bare(prediction)):
        return right("same words")
    if addresses_grader(case, question, gold):
        return wrong("speaks to the grader")
    yes = polarity(gold)
    listed = bool(options) and gold_option(gold, options) is not None
    if listed and (kind is QuestionKind.MCQ or claims(prediction, options)):
        return grade_choice(case, gold, options, question)
    if kind is QuestionKind.YESNO and yes is not None:
        return grade_yesno(case, yes)
    if kind is QuestionKind.NUMBER and (is_quantity(plain(case.gold)) or plain(case.gold) == ("no",)):
        return grade_number(case)
    return grade_phrase(case, offers(question, gold) if kind is QuestionKind.MCQ else None)


def _only_asks(case: Case) -> bool:
    """Whether all that has a meaning is asked: "liver?", "in this image, liver?"."""
    said = (word for word, asked in zip(case.prediction, case.asked, strict=True) if not asked)
    return all(word in MARKS or word in fillers() for word in said)


def _bare(text: str) -> str:
    return " ".join(undress(text).lower().split()).strip(" .")
