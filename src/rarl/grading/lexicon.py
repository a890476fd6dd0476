"""The vocabulary and the slots, compiled: what means the same, and what excludes each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from rarl.grading.numerals import ordinal
from rarl.grading.spelling import normal_form
from rarl.grading.tables import Words, language, read_table, vocabulary

Rewriting = tuple[Words, Words]  # a phrase, and what it is rewritten to
Phrases = Mapping[str, Mapping[str | None, tuple[Rewriting, ...]]]  # first word -> second, if any -> longest first

_ARTICLES = ("a", "an", "the", "any")
_LEVELS = (("c", "cervical", 8), ("t", "thoracic", 12), ("l", "lumbar", 5), ("s", "sacral", 5))


@dataclass(frozen=True, slots=True)
class Group:
    """Terms that mean the same; the first stands for all. `when`: counts only beside one of these words.

    `source` names where the equivalence can be looked up. Whole terms only, longest first; a test refuses a term in
    two groups.
    """

    terms: tuple[Words, ...]
    when: frozenset[str]
    source: str


@dataclass(frozen=True, slots=True)
class Slot:
    """Words that exclude each other: word -> the stand it takes.

    `places`: stands that name a part of the image. `binary`: "not <one>" means the other. `quality`: a question may
    ask for it, and naming the other stand then says no. `optional_with`: only one of two answers need take a stand.
    """

    name: str
    stands: Mapping[str, str]
    places: frozenset[str]
    binary: bool
    quality: bool
    optional_with: str | None


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Everything in normalised words (`normal_form`), so that a lookup needs no further work."""

    words: Mapping[str, Words]  # a single word -> what it is rewritten to, unconditionally
    phrases: tuple[Rewriting, ...]
    settled: tuple[tuple[frozenset[str], tuple[Rewriting, ...]], ...]  # (context words, rewritings)
    groups: tuple[Group, ...]
    slots: tuple[Slot, ...]
    stands: Mapping[str, tuple[tuple[str, str], ...]]  # word -> (slot, the stand it takes)
    implied: Mapping[str, frozenset[str]]  # a word -> those that say it already
    known: frozenset[str]  # words that are spelled right, so never a slip


@cache
def lexicon() -> Lexicon:
    """The tables, compiled once."""
    groups = (*_negation_groups(), *_levels(), *map(_group, vocabulary()))
    words = _single_words(groups)
    phrases: list[Rewriting] = []
    settled = []
    for group in groups:
        rewritten = rewrite_words(group.terms[0], words)
        terms = tuple((rewrite_words(term, words), rewritten) for term in group.terms)
        if group.when:
            rows = tuple((term, new) for term, new in terms if term != new or len(term) > 1)
            settled.append((frozenset(rewrite_words(sorted(group.when), words)), rows))
        else:
            phrases += ((term, new) for term, new in terms if len(term) > 1 or len(new) > 1)
    table = read_table("slots")
    slots = tuple(map(_slot, table["slot"]))
    implied: dict[str, frozenset[str]] = {}
    for row in table["implied"]:
        implied |= {word: implied.get(word, frozenset()) | frozenset(row["by"]) for word in row["words"]}
    known = _known(groups, slots)
    return Lexicon(words, tuple(phrases), tuple(settled), groups, slots, _stands(slots), implied, known)


def _single_words(groups: Iterable[Group]) -> Mapping[str, Words]:
    """Words rewritten to one other word. What becomes several waits for the phrases: "crohn disease" is not
    "crohn disease disease"."""
    groups = [group for group in groups if not group.when and len(group.terms[0]) == 1]
    return {term[0]: group.terms[0] for group in groups for term in group.terms if len(term) == 1}


def indexed(rows: Iterable[Rewriting]) -> Phrases:
    """The phrases by their first two words, in the order in which they are tried."""
    found: dict[str, dict[str | None, list[Rewriting]]] = {}
    for row in sorted(rows, key=lambda row: -len(row[0])):
        first, second = (*row[0], None)[:2]
        found.setdefault(str(first), {}).setdefault(second, []).append(row)
    return {first: {second: tuple(rows) for second, rows in table.items()} for first, table in found.items()}


def rewrite_words(words: Iterable[str], table: Mapping[str, Words]) -> Words:
    """Each word as the table has it, or as it is."""
    return tuple(new for old in words for new in table.get(old, (old,)))


def _split(term: str) -> Words:
    return tuple(new for old in term.split() for new in normal_form(old))


def _group(row: Mapping[str, Any]) -> Group:
    return Group(tuple(map(_split, row["terms"])), frozenset(row.get("when", ())), row["source"])


def _negation_groups() -> Iterator[Group]:
    """Denials as groups: everything that means "no", that means "not", and the look-alikes, joined to one word each."""
    negation = language()["negation"]
    for cue in ("no", "not", "because", "except", "untrue", "that"):
        yield Group(((cue,), *map(_split, negation[cue])), frozenset(), "")
    longer = [phrase for phrase in negation["no"] if " " in phrase]  # "no evidence of a fracture" is "no fracture"
    yield Group((("no",), *(_split(f"{phrase} {word}") for phrase in longer for word in _ARTICLES)), frozenset(), "")
    for phrase in negation["pseudo"]:
        yield Group(((phrase.replace(" ", "_"),), _split(phrase)), frozenset(), "")


def _levels() -> Iterator[Group]:
    """Vertebrae by letter and number or by name: "l5", "5th lumbar vertebra" (MeSH: Spine)."""
    for letter, region, count in _LEVELS:
        for number in range(1, count + 1):
            level, nth = f"{letter}{number}", ordinal(number)
            names = (
                f"{level} vertebra",
                f"{level} vertebra body",
                f"{nth} {region} vertebra",
                f"{region} vertebra {number}",
                f"{region} {number}",
            )
            yield Group(((level,), *(tuple(name.split()) for name in names)), frozenset(), "MeSH: Spine")


def _slot(row: Mapping[str, Any]) -> Slot:
    stands = {word: stand for stand, words in row["values"].items() for word in words}
    places = frozenset(row.get("places", ()))
    return Slot(
        row["name"], stands, places, row.get("binary", False), row.get("quality", False), row.get("optional_with")
    )


def _stands(slots: Iterable[Slot]) -> Mapping[str, tuple[tuple[str, str], ...]]:
    index: dict[str, tuple[tuple[str, str], ...]] = {}
    for slot in slots:
        for word, stand in slot.stands.items():
            index[word] = (*index.get(word, ()), (slot.name, stand))
    return index


def _known(groups: Iterable[Group], slots: Iterable[Slot]) -> frozenset[str]:
    known = {word for group in groups for term in group.terms for word in term}
    known |= {word for slot in slots for stand in slot.stands for word in stand.split()}
    return frozenset(known | set(language()["distinct"]["words"]))
