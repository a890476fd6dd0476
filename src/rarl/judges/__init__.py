"""Judges: what a language model, or the rules of grading, say of an answer and of its explanation, apart."""

from rarl.judges.asking import ask, ask_each
from rarl.judges.checking import Check, check, check_markdown, check_tables
from rarl.judges.failures import Failure, Tally, failures, require_scored, tallies
from rarl.judges.making import AXES, MadeJudge, make_judge, query_about, same_judge_warning

__all__ = [
    "AXES",
    "Check",
    "Failure",
    "MadeJudge",
    "Tally",
    "ask",
    "ask_each",
    "check",
    "check_markdown",
    "check_tables",
    "failures",
    "make_judge",
    "query_about",
    "require_scored",
    "same_judge_warning",
    "tallies",
]
