"""A reasoning taken apart: which of its sentences observe something, which conclude, and which only fill."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from rarl.grading.claims import normal_words
from rarl.grading.reading import contains
from rarl.rewards.columns import Row
from rarl.rewards.filler import is_copied, is_filler, lists_options
from rarl.rewards.lectures import is_lecture
from rarl.rewards.medicine import restating
from rarl.rewards.tampering import tampers
from rarl.rewards.wording import NEGATORS, closed, content_words, numbers, padded, sentences, stem, wording, words

LONGEST = 20_000  # characters; a reasoning that is longer is none
CONCLUSIONS = 2  # sentences that may name the answer without observing anything: "This suggests X. So the answer is X."
ASIDES = 2  # sentences that may say what would be so, or that the rest is normal: "A glioma would be darker."
REST = 3  # words of observation up to which a sentence on all else says nothing: "The other structures are normal."
SUPPOSED = 3  # unknown words that such a sentence may hold
_LABEL = re.compile(  # "Step 2:", "1.", "Findings:"
    r"^\W*(?:step|stage|point|part)?\s*(?:\d{1,2}|[ivx]{1,4})\s*[.:)-]+\s*|^\W*(?:\w+\s+){0,2}\w+\s*:\s+", re.IGNORECASE
)
_CLAUSE = re.compile(r"[,;:]\s+(?:and\s+)?|\b(?:but|while|whereas|although)\b", re.IGNORECASE)
_ARTICLES = frozenset((" a ", " i "))  # letters that are words as well
_BEFORE_LETTER = (" answer", " option", " choice", " letter", " answer is", " therefore", " thus", " hence")
_ABBREVIATION = re.compile(r"\b(?:[A-Z]{2,5}|[A-Z]\d{1,2})\b")


class Sentence(StrEnum):
    """What a sentence does."""

    OBSERVES = "observes"
    CONCLUDES = "concludes"
    ASIDE = "aside"  # neither says anything of this image nor fills
    HOLLOW = "hollow"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reasoning comes to. `observed` and `own` are stems of words outside hollow sentences."""

    observed: frozenset[str]
    own: frozenset[str]  # of these, such as neither prompt nor answer holds
    claims: bool  # whether a sentence says something of what was asked, be it without an observation
    hollow: int  # sentences that only fill
    words: int  # all that are more than grammar, numbers and talk about looking, each time they are said
    stated: str  # the sentences that observe or conclude
    text: str  # all of them, each closed by a mark


@dataclass(frozen=True, slots=True)
class Context:
    """What a reasoning is read beside."""

    question: str
    prompt: str
    answer: str
    options: tuple[str, ...]
    known: frozenset[str]  # stems of the data's own words, which describe an image whatever they are


def read_row(row: Row) -> Reading | None:
    """The reading of a completion's reasoning; None where there is none, or where it tampers with the scoring."""
    reasoning = row.parsed.reasoning
    if not reasoning or len(reasoning) > LONGEST or tampers(reasoning) or tampers(row.parsed.answer or ""):
        return None
    facts = tuple(phrase for fact in row.facts for phrase in (fact.value or "", *fact.alternatives))
    known = _stems_of((row.rationale or "", row.gold or "", *row.references, *row.options, *facts))
    context = Context(row.question, row.prompt or row.question, row.parsed.answer or "", row.options, known)
    return read_reasoning(reasoning, context)


@lru_cache(maxsize=4096)
def read_reasoning(reasoning: str, context: Context) -> Reading:
    """Every sentence by what it does, and what those that observe add up to."""
    reader = _Reader(context)
    for sentence in sentences(reasoning):
        reader.take(sentence)
    reader.words += sum(1 for piece in reasoning.split() if not words(piece))  # dots and dashes, standing alone
    observed, own = frozenset(reader.observed), frozenset(reader.own)
    return Reading(
        observed, own, reader.claims, reader.hollow, reader.words, " ".join(reader.stated), closed(reasoning)
    )


class _Reader:
    """Takes sentences in order: what was said before decides whether a sentence still says something."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.prompt = padded(words(context.prompt)) + padded(words(" ".join(context.options)))
        again = restating(context.question) | restating(context.answer)
        self.given = _stems_of((context.prompt, context.answer, *context.options, *_rivals(context.answer))) | again
        self.answer = _stems_of((context.answer,))
        self.asked = _stems_of((context.question, context.answer, *context.options)) | again | _spelled(context.answer)
        self.observed: set[str] = set()
        self.own: set[str] = set()
        self.hollow = 0
        self.words = 0
        self.conclusions = 0
        self.asides = 0
        self.lectures = False  # whether the last sentence that said anything was general
        self.claims = False
        self.stated: list[str] = []
        self.said: list[_Said] = []

    def take(self, sentence: str) -> None:
        does, said = self._does(sentence), _Said.of(sentence)
        self.words += sum(len(word) > 1 and not word.isdigit() and word not in _plain() for word in words(sentence))
        clauses = self._clauses(sentence)
        contradicted = any(each.contradicts(earlier) for each in (said, *clauses) for earlier in self.said)
        if does in (Sentence.OBSERVES, Sentence.CONCLUDES):
            self.stated.append(sentence)
        if does is Sentence.HOLLOW or contradicted or self._repeats(said, clauses):
            self.hollow += 1 + contradicted
        elif does is Sentence.CONCLUDES:
            self.conclusions += 1
            self.claims |= not _plain().issuperset(words(sentence))
            self.hollow += self.conclusions > CONCLUSIONS
            self.observed |= self._observed(sentence)
        elif does is Sentence.ASIDE:
            self.asides += 1
            self.hollow += self.asides > ASIDES
        else:
            found = self._observed(sentence)
            self.observed |= found
            self.own |= found - self.given - wording().attributes
        self.said += dict.fromkeys((said, *clauses))

    def _clauses(self, sentence: str) -> list[_Said]:
        """What its clauses observe, each by itself, so that no other clause hides what was said before."""
        return [_Said.of(clause) for clause in _CLAUSE.split(sentence) if self._observed(clause)]

    def _repeats(self, said: _Said, clauses: Sequence[_Said]) -> bool:
        """Whether it was said before, as a whole or clause by clause."""
        again = [any(each.repeats(earlier, self.answer) for earlier in self.said) for each in (said, *clauses)]
        return again[0] or (len(again) > 1 and all(again[1:]))

    def _does(self, sentence: str) -> Sentence:
        body = _LABEL.sub("", sentence)
        tokens = words(body)
        if is_filler(sentence, body) or is_copied(tokens, self.prompt) or lists_options(tokens, self.context.options):
            return Sentence.HOLLOW
        self.lectures = is_lecture(body, self.asked, self.lectures)
        if self.lectures:
            return Sentence.HOLLOW
        observed = self._observed(body)
        excused = wording().concluding if self._names_answer(tokens) else frozenset()  # "small, so the answer is B"
        talk = sum(wording().talks(word) and stem(word) not in excused for word in tokens)
        unknown = sum(self._is_unknown(word) and stem(word) not in observed for word in tokens)
        own = observed - self.given
        if wording().rest_phrases.search(padded(tokens)) and len(own) <= REST:
            return Sentence.ASIDE
        specific = own - wording().vague - wording().attributes
        if specific and (not talk or talk < len(observed)) and unknown <= len(observed) + 2:
            return Sentence.OBSERVES
        if self._concludes(tokens) or _only_denies(tokens):
            return Sentence.CONCLUDES
        supposes = not wording().supposing.isdisjoint(tokens) and unknown <= SUPPOSED and not talk
        return Sentence.ASIDE if supposes else Sentence.HOLLOW

    def _observed(self, sentence: str) -> set[str]:
        """The stems of its words of observation, abbreviations (SVC, L4) among them."""
        found = {stem(word) for word in words(sentence) if self._observes(word)}
        short = (word.casefold() for word in _ABBREVIATION.findall(sentence) if not sentence.isupper())
        return found | {word for word in short if not wording().talks(word) and word not in _plain()}

    def _observes(self, word: str) -> bool:
        if len(word) < 2 or word in _plain() or wording().talks(word):
            return False
        return wording().describes(word) or stem(word) in self.context.known

    def _is_unknown(self, word: str) -> bool:
        if word in _plain() or word.isdigit() or wording().talks(word):
            return False
        return not self._observes(word) and stem(word) not in self.asked

    def _concludes(self, tokens: tuple[str, ...]) -> bool:
        """Names the answer, or says again what was asked, and little else."""
        if wording().asking & set(tokens):
            return False
        rest = {stem(word) for word in tokens if word not in _plain()} - wording().concluding
        return (self._names_answer(tokens) or bool(rest & self.asked)) and len(rest - self.asked) <= 1

    def _names_answer(self, tokens: tuple[str, ...]) -> bool:
        """By its text or another term for it, or where it is an option by its letter."""
        names, answer = {padded(words(self.context.answer))}, normal_words(self.context.answer)
        if answer and not names <= _ARTICLES and contains(normal_words(" ".join(tokens)), answer):
            return True
        letters = zip("abcdefghijklmnopqrstuvwxyz", self.context.options, strict=False)
        names |= {padded((letter,)) for letter, option in letters if padded(words(option)) in names}
        text = padded(tokens)
        return any(name in text for name in names - _ARTICLES) or any(
            text.endswith(name) or f"{before}{name}" in text for name in names & _ARTICLES for before in _BEFORE_LETTER
        )


@dataclass(frozen=True, slots=True)
class _Said:
    """A sentence as a claim: its content, and how it denies."""

    content: frozenset[str]
    denials: frozenset[str]

    @classmethod
    def of(cls, sentence: str) -> _Said:
        return cls(frozenset(map(stem, content_words(sentence))), NEGATORS & frozenset(words(sentence)))

    def repeats(self, earlier: _Said, answer: frozenset[str]) -> bool:
        """Four fifths of the content, under the same denials; only the answer may be named again by itself."""
        if bool(self.denials) != bool(earlier.denials) or self.content <= answer:
            return False
        return len(self.content & earlier.content) >= 0.8 * len(self.content | earlier.content)

    def contradicts(self, earlier: _Said) -> bool:
        """The same content, once denied and once not."""
        return bool(self.content) and self.content == earlier.content and bool(self.denials) != bool(earlier.denials)


@lru_cache(maxsize=4096)
def _spelled(answer: str) -> frozenset[str]:
    """The stems of the words for the answer's numbers: "two" for 2."""
    amounts = set(numbers(answer))
    return frozenset(stem(word) for word, amount in wording().numbers.items() if amount in amounts)


def _only_denies(tokens: tuple[str, ...]) -> bool:
    """Whether a few words only end a list: "none elsewhere", "there is no third"."""
    return not NEGATORS.isdisjoint(tokens) and len(tokens) > 1 and _plain().issuperset(tokens)


@lru_cache(maxsize=4096)
def _stems_of(texts: Iterable[str]) -> frozenset[str]:
    """The stems of the words that carry content."""
    return frozenset(stem(word) for text in texts for word in words(text) if word not in _plain())


@lru_cache(maxsize=4096)
def _rivals(answer: str) -> tuple[str, ...]:
    """What excludes the answer: who says "right" where the answer is "left" has not observed anything more."""
    said = set(words(answer))
    return tuple(rival for group in wording().opposites if said & set(group) for rival in group)


@lru_cache(maxsize=1)
def _plain() -> frozenset[str]:
    """Words of grammar, and of looking: neither for nor against a sentence."""
    return wording().function_words | wording().looking_words
