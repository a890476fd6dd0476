"""One answer beside its gold: the three texts as words, and what every kind of comparison asks of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from rarl.grading.claims import denials
from rarl.grading.lexicon import Words, language, lexicon
from rarl.grading.reading import MARKS, context_of, read, sentences, spelling_of


class Outcome(NamedTuple):
    """A verdict, a graded score in [0, 1], and the rule that decided."""

    correct: bool
    score: float
    rule: str


def right(rule: str) -> Outcome:
    return Outcome(True, 1.0, rule)


def wrong(rule: str, score: float = 0.0) -> Outcome:
    return Outcome(False, score, rule)


@dataclass(frozen=True, slots=True)
class Case:
    """Question, gold and prediction as normalised words with clause marks; `denied` is the prediction's."""

    question: Words
    gold: Words
    prediction: Words
    denied: tuple[bool, ...]
    raw_prediction: str

    @classmethod
    def of(cls, question: str, gold: str, prediction: str, options: Sequence[str] = (), flipped: bool = True) -> Case:
        """`flipped`: read "not normal" as "abnormal"."""
        context = context_of(question, gold)
        gold_words = read(gold, context)
        words = read(prediction, context, spelling_of(question, gold, *options))
        if flipped:
            gold_words, words = flip(gold_words), flip(words)
        return cls(read(question, context), gold_words, words, denials(words), prediction)

    @property
    def affirmed(self) -> Words:
        """The words of the prediction that it does not deny."""
        pairs = zip(self.prediction, self.denied, strict=True)
        return tuple(word for word, denied in pairs if not denied and word not in ("no", "not"))


def plain(words: Iterable[str]) -> Words:
    return tuple(word for word in words if word not in MARKS)


def flip(words: Words) -> Words:
    """Each denied stand of a two-valued slot as the other one: "not normal" is "abnormal"."""
    opposites = _opposites()
    out: list[str] = []
    for word in words:
        if word in opposites and out and out[-1] in ("no", "not"):
            out[-1] = opposites[word]
        else:
            out.append(word)
    return tuple(out)


@cache
def _opposites() -> dict[str, str]:
    opposites = {}
    for slot in lexicon().slots:
        if slot.binary:
            first = {stand: word for word, stand in reversed(list(slot.stands.items()))}
            for word, stand in slot.stands.items():
                opposites[word] = next(first[other] for other in first if other != stand)
    return opposites


def stands(words: Iterable[str]) -> dict[str, set[str]]:
    """The stands that the words take: slot -> stands."""
    taken: dict[str, set[str]] = {}
    index = lexicon().stands
    for word in words:
        for slot, stand in index.get(word, ()):
            taken.setdefault(slot, set()).add(stand)
    return taken


def conflict(gold: Iterable[str], prediction: Iterable[str]) -> str | None:
    """The slot in which the prediction takes a stand that the gold, which takes one, does not."""
    taken = stands(gold)
    if not taken:
        return None
    stated = stands(prediction)
    return next((slot for slot in taken if not stated.get(slot, set()) <= taken[slot]), None)


def hedged(case: Case, words: Words) -> bool:
    """Whether these words of the prediction commit to nothing. What question or gold say themselves is no hedge."""
    given = {*case.question, *case.gold, "not", "no"}
    return _hedges(case.prediction, "doubt", given) or _hedges(words, "weak", given)


def _hedges(words: Words, key: str, given: set[str]) -> bool:
    phrases = _hedge_phrases(key)
    found = ((at, phrase) for at, word in enumerate(words) for phrase in phrases.get(word, ()))
    return any(words[at : at + len(phrase)] == phrase and not given.issuperset(phrase) for at, phrase in found)


@cache
def _hedge_phrases(key: str) -> dict[str, list[Words]]:
    phrases: dict[str, list[Words]] = {}
    for phrase in language()["hedges"][key]:
        words = flip(read(phrase))
        phrases.setdefault(words[0], []).append(words)
    return phrases


def sentences_with(words: Words, wanted: Collection[str]) -> Words:
    """The sentences that hold one of the wanted words, joined."""
    return tuple(word for sentence in sentences(words) if set(sentence) & set(wanted) for word in sentence)
