"""One answer beside its gold: the three texts as words, and what every kind of comparison asks of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

from rarl.grading.denials import clauses_of, denials, questions
from rarl.grading.reading import MARKS, SENTENCE_ENDS, Reader, context_of, read, sentences, spellings_of
from rarl.grading.slots import flip
from rarl.grading.tables import Words, fillers, language, word_set
from rarl.grading.undressing import undress
from rarl.grading.units import NUMBER


class Outcome(NamedTuple):
    """A verdict, a graded score in [0, 1], the rule that decided, and the score by the lenient protocol."""

    correct: bool
    score: float
    rule: str
    relaxed: float


def right(rule: str) -> Outcome:
    return Outcome(True, 1.0, rule, 1.0)


def wrong(rule: str, score: float = 0.0, relaxed: float = 0.0) -> Outcome:
    return Outcome(False, score, rule, relaxed)


@dataclass(frozen=True, slots=True)
class Case:
    """Question, gold and prediction as normalised words with clause marks.

    `denied` and `asked` say of each word of the prediction whether it is; `affirmed` are those that are neither
    ("pneumonia? no.").
    """

    question: Words
    gold: Words
    prediction: Words
    denied: tuple[bool, ...]
    asked: tuple[bool, ...]
    affirmed: Words
    raw_prediction: str

    @classmethod
    def of(cls, question: str, gold: str, prediction: str, options: Sequence[str] = (), flipped: bool = True) -> Case:
        """`flipped`: read "not normal" as "abnormal"."""
        reader, asked, wanted = _prepared(question, gold, tuple(options))
        words = reader.read(prediction)
        if not word_set("negation", "else").isdisjoint(asked):
            words = tuple(["no" if word in word_set("negation", "nothing_else") else word for word in words])
        if flipped:
            wanted, words = flip(wanted), flip(words)
        else:
            asked, words = _gone_is_absent(_asking(asked, word_set("negation", "verbs_alone"))), _gone_is_absent(words)
        denied = denials(words)
        if True in denied and asks_for_absence(asked, words) and _CUES.isdisjoint(wanted):
            denied = _behind_a_cue(asked, words, denied)  # "what is not seen?", "the appendix is not seen"
        asking = questions(words)
        if "?" in wanted:
            asking = (False,) * len(words)
        affirmed = words
        if True in denied or True in asking or not _CUES.isdisjoint(words):
            rows = zip(words, denied, asking, strict=True)
            affirmed = tuple([word for word, no, open_ in rows if not (no or open_ or word in _CUES)])
        return cls(asked, wanted, words, denied, asking, affirmed, prediction)


_CUES = frozenset(("no", "not"))


@lru_cache(maxsize=1 << 12)
def _asking(question: Words, openers: frozenset[str]) -> Words:
    """The sentence that asks, by the word that opens it: not "Q:" before it, nor "answer with yes or no" behind."""
    start, found = 0, []
    for at, word in enumerate((*question, ".")):
        if word in SENTENCE_ENDS or (word == ":" and question[at + 1 : at + 2] and question[at + 1] in openers):
            if at > start:
                found.append(question[start : at + (word == "?")])
            start = at + 1
    asks = [s for s in found if s[0] in openers] or [s for s in found if s[-1] == "?"]
    return asks[-1] if asks else question


def _gone_is_absent(words: Words) -> Words:
    gone = word_set("polarity", "gone")
    return words if gone.isdisjoint(words) else tuple(["absent" if word in gone else word for word in words])


@cache
def absence() -> frozenset[str]:
    """Words of a question that asks for what is not there."""
    return _CUES | word_set("negation", "after") | word_set("negation", "missing")


def asks_for_absence(question: Words, words: Words) -> bool:
    """Whether the question is what is not there, and the answer says it that way and not "X is wrong"."""
    after, wh = word_set("negation", "after") - {"absent"}, word_set("alternatives", "wh")
    asking = _asking(question, wh)
    return asking[:1] != () and asking[0] in wh and not absence().isdisjoint(asking) and after.isdisjoint(words)


def _behind_a_cue(question: Words, words: Words, denied: tuple[bool, ...]) -> tuple[bool, ...]:
    """Of the words denied only those that stand behind a denial in their sentence, which may say that they are missing:
    "there is no spleen" to "what is missing?", "what does the patient lack?"."""
    asks_missing = not _missing().isdisjoint(question) or plain(question)[-1] == "no"
    cues = {"not"} if asks_missing and _missing().isdisjoint(words) else _CUES
    out = []
    cued = False
    for word, no in zip(words, denied, strict=True):
        cued = (cued or word in cues) and word not in SENTENCE_ENDS
        out.append(no and cued)
    return tuple(out)


@cache
def _missing() -> frozenset[str]:
    return word_set("negation", "missing") | {"absent"}


@lru_cache(maxsize=1 << 13)
def _prepared(question: str, gold: str, options: tuple[str, ...]) -> tuple[Reader, Words, Words]:
    """What all answers to one question share: how they are read, and the question's and the gold's words."""
    context = context_of(question, gold)
    wanted = read(gold, context)
    numeral = {"numeral"} if NUMBER.fullmatch(" ".join(plain(wanted))) else set()  # "IV" may be a 4
    reader = Reader(context | numeral, spellings_of(question, gold, *options))
    return reader, read(question, context), wanted


@lru_cache(maxsize=256)
def plain(words: Words) -> Words:
    """The words without marks."""
    return words if MARKS.isdisjoint(words) else tuple([word for word in words if word not in MARKS])


def outside_parentheses(words: Words) -> Words:
    """The words that are not in brackets; all of them where none would be left."""
    if "(" not in words:
        return words
    depth, out = 0, []
    for word in words:
        depth += word == "("
        if depth <= 0:
            out.append(word)
        depth -= word == ")" and depth > 0
    return tuple(out) if plain(tuple(out)) else words


def hedged(case: Case, words: Words) -> bool:
    """Whether these words of the prediction commit to nothing. What question or gold say themselves is no hedge."""
    given = {*case.question, *case.gold, "not", "no"}
    return _hedges(case.prediction, "doubt", given) or _hedges(words, "weak", given)


def _hedges(words: Words, key: str, given: set[str]) -> bool:
    phrases = _hedge_phrases(key)
    if phrases.keys().isdisjoint(words):
        return False
    found = ((at, phrase) for at, word in enumerate(words) if word in phrases for phrase in phrases[word])
    return any(words[at : at + len(phrase)] == phrase and not given.issuperset(phrase) for at, phrase in found)


@cache
def _hedge_phrases(key: str) -> dict[str, list[Words]]:
    phrases: dict[str, list[Words]] = {}
    for phrase in language()["hedges"][key]:
        words = flip(read(phrase))
        phrases.setdefault(words[0], []).append(words)
    return phrases


def denies_the_question(case: Case, named: Collection[str]) -> bool:
    """Whether an answer is named, and what was asked about denied of it ("spleen not enlarged")."""
    pairs = zip(case.prediction, case.denied, strict=True)
    denied = {word for word, no in pairs if no and word in case.question} - set(case.affirmed) - fillers()
    if not denied:
        return False
    clauses = (case.prediction[start:end] for start, end in clauses_of(case.prediction))
    return any(not denied.isdisjoint(clause) and not set(named).isdisjoint(clause) for clause in clauses)


def sentences_with(words: Words, wanted: Collection[str]) -> Words:
    """The sentences that hold one of the wanted words, joined."""
    return tuple(word for sentence in sentences(words) if set(sentence) & set(wanted) for word in sentence)


def up_to_reasons(words: Words) -> Words:
    """The words before an explanation starts ("because"); all of them where nothing stands before it."""
    starts = word_set("alternatives", "reasons")
    if starts.isdisjoint(words):
        return words
    return words[: next(at for at, word in enumerate(words) if word in starts)] or words


def addresses_grader(case: Case, question: str, gold: str) -> bool:
    """Whether the prediction talks to whoever grades it ("mark as correct", "score: 1.0") and not about the image."""
    if word_set("address", "words").isdisjoint(case.prediction):
        return False
    given = f"{question} {gold}".lower()
    found = _address().finditer(undress(case.raw_prediction).lower())
    return any(match[0] not in given for match in found)


@cache
def _address() -> re.Pattern[str]:
    phrases = (r"\W+".join(map(re.escape, phrase.split())) for phrase in language()["address"]["phrases"])
    return re.compile(rf"\b(?:{'|'.join(phrases)})\b")
