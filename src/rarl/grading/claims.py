"""What a text claims: whether it affirms a phrase, denies it, does both or neither; and its statements one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from rarl.grading.denials import clauses_of, denials, questions
from rarl.grading.lexicon import lexicon
from rarl.grading.reading import MARKS, SENTENCE_ENDS, read
from rarl.grading.tables import Words

_PRONOUNS = frozenset(("it", "they", "this", "these", "both", "one"))  # begin a sentence that goes on about the last
_GAP = 3  # modifiers between a number and its noun: "two small bright lesions"


class Mention(StrEnum):
    """What a text says of a phrase."""

    AFFIRMED = "affirmed"
    DENIED = "denied"
    BOTH = "both"
    ABSENT = "absent"


def mentions(text: str, phrase: str, context: frozenset[str] = frozenset()) -> Mention:
    """Whether the text states the phrase: as whole words, tolerant of case, number, hyphens, spelling and synonyms.

    A phrase that denies ("no lesions") is affirmed where what it denies is denied, and denied where it is affirmed.
    A question states nothing, so words of one are not counted. `context` (reading.context_of) settles abbreviations.
    """
    claims, wanted = _claims(text, context), normal_words(phrase, context)
    if wanted[:1] == ("no",) and len(wanted) > 1:
        found = {not affirmed for affirmed in claims.of(wanted[1:], whole=True)}
    else:
        found = set(claims.of(wanted))
    if not found:
        return Mention.ABSENT
    if len(found) == 2:
        return Mention.BOTH
    return Mention.AFFIRMED if found.pop() else Mention.DENIED


@dataclass(frozen=True, slots=True)
class Statement:
    """What belongs together in a text, in normalised words: a clause, a sentence, or one and what goes on about it."""

    affirmed: frozenset[str]
    denied: frozenset[str]


@lru_cache(maxsize=4096)
def statements(text: str, context: frozenset[str] = frozenset()) -> tuple[Statement, ...]:
    """Every clause and every sentence, and sentences with those that follow on them by a pronoun ("It is large.").

    Questions are left out.
    """
    claims = _claims(text, context)
    spans = [*clauses_of(claims.words), *_sentences_of(claims.words)]
    return tuple(dict.fromkeys(claims.within(start, end) for start, end in spans))


class Claims:
    """The words of a text, and which of them are denied or asked rather than stated."""

    __slots__ = ("asked", "denied", "places", "words")

    def __init__(self, words: Words) -> None:
        self.words = words
        self.denied = denials(words)
        self.asked = questions(words)
        self.places: dict[str, list[int]] = {}
        for at, found in enumerate(words):
            self.places.setdefault(found, []).append(at)

    def of(self, phrase: Words, whole: bool = False) -> Iterator[bool]:
        """True or False for each place that states or denies the phrase.

        `whole`: leave out denials of a part of the image only ("no lesion on the left" is not "no lesion").
        """
        for start in self.places.get(phrase[0], ()) if phrase else ():
            end = self._match(phrase, start)
            if end is None or self.asked[end - 1]:
                continue
            denied = self.denied[end - 1] and (phrase[0] != "no" or self.denied[start])
            if not (whole and denied and self._restricted(start)):
                yield not denied

    def within(self, start: int, end: int) -> Statement:
        """What these places affirm and deny, without marks and what is asked."""
        told = [at for at in range(start, end) if not self.asked[at] and self.words[at] not in MARKS]
        return Statement(
            frozenset(self.words[at] for at in told if not self.denied[at]),
            frozenset(self.words[at] for at in told if self.denied[at]),
        )

    def _match(self, phrase: Words, start: int) -> int | None:
        """Where the phrase that starts here ends; modifiers may stand between a number and its noun."""
        words = self.words
        if words[start : start + len(phrase)] == phrase:
            return start + len(phrase)
        if not phrase[0].isdigit() or len(phrase) == 1:
            return None
        for at in range(start + 1, min(start + 2 + _GAP, len(words))):
            if words[at : at + len(phrase) - 1] == phrase[1:]:
                return at + len(phrase) - 1
            if words[at] not in _modifiers():
                return None
        return None

    def _restricted(self, at: int) -> bool:
        places = _place_words()
        end = at
        while end < len(self.words) and self.words[end] not in SENTENCE_ENDS and self.words[end] != ",":
            end += 1
        while at > 0 and self.words[at - 1] not in MARKS:
            at -= 1
        return any(found in places for found in self.words[at:end])


def _sentences_of(words: Words) -> Iterator[tuple[int, int]]:
    """Where each sentence starts and ends; one that begins with a pronoun is taken with those before it."""
    start = began = 0
    for at, word in enumerate((*words, ".")):
        if word in SENTENCE_ENDS:
            if at > start:
                yield start, at
                began = began if words[start] in _PRONOUNS else start
                if began < start:
                    yield began, at
            start = at + 1


@lru_cache(maxsize=4096)
def _claims(text: str, context: frozenset[str]) -> Claims:
    return Claims(read(text, context))


@lru_cache(maxsize=4096)
def normal_words(phrase: str, context: frozenset[str] = frozenset()) -> Words:
    """A phrase as the vocabulary has it, without marks: "magnetic resonance imaging" is ("mri",)."""
    return tuple(found for found in read(phrase, context) if found not in MARKS)


@lru_cache(maxsize=1)
def _modifiers() -> frozenset[str]:
    return frozenset(lexicon().stands)


@lru_cache(maxsize=1)
def _place_words() -> frozenset[str]:
    return frozenset(word for slot in lexicon().slots for word, stand in slot.stands.items() if stand in slot.places)
