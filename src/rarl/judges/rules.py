"""The judge that is always there: the rules of rarl.grading. It is not a language model, and says so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from rarl.environment import VERSION
from rarl.grading import grade
from rarl.judges.failures import Failure
from rarl.judges.rubrics import BEST
from rarl.types import JudgeQuery, Verdict

NAME = "rules (not a language model)"


class RulesJudge:
    """Correctness by `rarl.grading.grade`; explanations are left unscored, as rules can't read them.

    Right is 3; wrong is the graded partial credit on the scale of 0 to 3, at most 2.
    """

    name = NAME
    axes = ("correctness",)
    sees_images = False

    def __call__(self, queries: Sequence[JudgeQuery]) -> list[Verdict]:
        return [_verdict(query) for query in queries]

    def sent(self) -> dict[str, Any]:
        """Nothing leaves the machine, and no model is asked."""
        return {
            "kind": "rules",
            "host": None,
            "requests": 0,
            "judge": NAME,
            "language_model": False,
            "sees_images": False,
            "rubrics": dict.fromkeys(self.axes, _rubric()),
        }

    def trouble(self) -> str:
        return ""


def _verdict(query: JudgeQuery) -> Verdict:
    if query.axis not in RulesJudge.axes:
        why = f"rules don't judge {query.axis!r:.40}: that takes a language model (judge.kind = openai or local)"
        return Verdict(None, query.axis, why, NAME, _rubric(), Failure.UNSUITED)
    if not query.gold:
        return Verdict(None, query.axis, "no gold answer to compare with", NAME, _rubric(), Failure.UNSUITED)
    said = query.answer or ""
    graded = grade(query.question, query.gold, said, options=query.options, references=query.references)
    score = BEST if graded.correct else min(BEST - 1, round(BEST * graded.score))
    return Verdict(score / BEST, query.axis, f"{score}: {graded.rule}", NAME, _rubric())


@cache
def _rubric() -> str:
    """The grading's version, and a hash of its code and tables."""
    folder = files("rarl.grading")
    tables: Mapping[str, bytes] = {
        file.name: file.read_bytes()
        for part in (folder, folder.joinpath("lexicon"))
        for file in part.iterdir()
        if file.name.endswith((".py", ".toml"))
    }
    digest = hashlib.sha256(b"".join(tables[name] for name in sorted(tables)))
    return f"grading-{VERSION} sha256:{digest.hexdigest()}"


rules = RulesJudge()
