"""How alike an answer and the gold answer are as texts, in the ways in which others publish it."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Callable, Sequence

from rarl.extras import needed_for

Measure = Callable[[Sequence[str], Sequence[str]], list[float]]  # gold answers and answers, to one value each

_ARTICLES = frozenset(("a", "an", "the"))
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def bare_words(text: str) -> list[str]:
    """Lower-cased words without punctuation: "X-ray." is "xray"."""
    return text.lower().translate(_PUNCTUATION).split()


def exact(gold: str, answer: str) -> float:
    """1 where both have the same words in the same order, but for case and punctuation."""
    return float(bool(bare_words(gold)) and bare_words(gold) == bare_words(answer))


def token_scores(gold: str, answer: str) -> tuple[float, float]:
    """F1 and recall of the words both have, as often as both have them, without articles (SQuAD's normalisation)."""
    wanted, said = (Counter(w for w in bare_words(text) if w not in _ARTICLES) for text in (gold, answer))
    common = (wanted & said).total()
    if not common:
        return 0.0, 0.0
    return 2 * common / (wanted.total() + said.total()), common / wanted.total()


def rouge_l() -> Measure:
    """ROUGE-L's F of the package rouge-score, without stemming. MissingExtraError if it is not installed."""
    with needed_for("eval.rouge"):
        from rouge_score import rouge_scorer
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)

    def measure(golds: Sequence[str], answers: Sequence[str]) -> list[float]:
        pairs = zip(golds, answers, strict=True)
        return [float(scorer.score(gold, answer)["rougeL"].fmeasure) for gold, answer in pairs]

    return measure
