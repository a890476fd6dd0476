"""The words that grading knows, read once from the TOML files beside it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "lexicon"
_MAKES_PLURAL = re.compile(r"(?:ss|x|ch|sh)es$")
_KEEPS_ITS_S = re.compile(r"(?:ss|us|is|as|os)$")

Words = tuple[str, ...]
Phrases = Mapping[str, tuple[tuple[Words, Words], ...]]  # first word -> (phrase, rewritten), longest first


@dataclass(frozen=True, slots=True)
class Group:
    """Terms that mean the same; the first stands for all. `when`: counts only beside one of these words."""

    terms: tuple[Words, ...]
    when: frozenset[str]
    source: str


@dataclass(frozen=True, slots=True)
class Slot:
    """Words that exclude each other: word -> the stand it takes."""

    name: str
    stands: Mapping[str, str]
    places: frozenset[str]
    binary: bool
    optional_with: str | None


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Everything in normalised words (`normal_form`), so that a lookup needs no further work."""

    words: Mapping[str, Words]  # a single word -> what it is rewritten to, unconditionally
    phrases: Phrases
    settled: tuple[tuple[frozenset[str], tuple[tuple[Words, Words], ...]], ...]  # (context words, phrase -> rewritten)
    groups: tuple[Group, ...]
    slots: tuple[Slot, ...]
    stands: Mapping[str, tuple[tuple[str, str], ...]]  # word -> (slot, the stand it takes)
    implied: tuple[tuple[str, frozenset[str]], ...]
    known: frozenset[str]  # words that are spelled right, so never a slip


@cache
def language() -> Mapping[str, Any]:
    """The raw tables of language.toml."""
    return _read("language.toml")


@cache
def word_set(table: str, key: str) -> frozenset[str]:
    """A list of single words of language.toml."""
    return frozenset(language()[table][key])


@cache
def fillers() -> frozenset[str]:
    """Words that an answer may have or lack without being another answer."""
    return frozenset(language()["fillers"])


@cache
def lexicon() -> Lexicon:
    """The vocabulary and the slots, compiled."""
    groups = [*_negation_groups(), *map(_group, _read("vocabulary.toml")["group"])]
    words = {term[0]: _canonical(g) for g in groups if not g.when for term in g.terms if len(term) == 1}
    phrases: list[tuple[Words, Words]] = []
    settled = []
    for group in groups:
        rewritten = rewrite_words(_canonical(group), words)
        terms = tuple((rewrite_words(term, words), rewritten) for term in group.terms)
        if group.when:
            settled.append((group.when, terms))
        else:
            phrases += ((term, new) for term, new in terms if len(term) > 1 and term != new)
    table = _read("slots.toml")
    slots = tuple(map(_slot, table["slot"]))
    implied = tuple((row["word"], frozenset(row["by"])) for row in table["implied"])
    return Lexicon(
        words,
        by_first_word(phrases),
        tuple(settled),
        tuple(groups),
        slots,
        _stands(slots),
        implied,
        _known(groups, slots),
    )


def by_first_word(phrases: Iterable[tuple[Words, Words]]) -> Phrases:
    """The phrases in the order in which they are tried."""
    found: dict[str, list[tuple[Words, Words]]] = {}
    for phrase, rewritten in phrases:
        found.setdefault(phrase[0], []).append((phrase, rewritten))
    return {first: tuple(sorted(rows, key=lambda row: -len(row[0]))) for first, rows in found.items()}


def rewrite_words(words: Iterable[str], table: Mapping[str, Words]) -> Words:
    """Each word as the table has it, or as it is."""
    return tuple(new for old in words for new in table.get(old, (old,)))


@lru_cache(maxsize=1 << 16)
def normal_form(raw: str) -> Words:
    """A lower-case word as grading compares it: American, singular, contractions apart, numbers as digits."""
    if raw.endswith("n't") and raw != "n't":
        stem = raw[:-3]
        return ({"ca": "can", "wo": "will", "sha": "shall"}.get(stem, stem), "not")
    raw = raw.partition("'")[0]
    tables = language()
    if raw == "cannot":
        return ("can", "not")
    if raw in tables["numbers"]:
        return (str(tables["numbers"][raw]),)
    if raw in tables["ordinals"]:
        return (tables["ordinals"][raw],)
    for piece, spelled in tables["spelling"].items():
        raw = raw.replace(piece, spelled)
    return (_singular(raw, tables["plurals"]),) if raw else ()


def _singular(text: str, irregular: Mapping[str, str]) -> str:
    if text in irregular:
        return irregular[text]
    if len(text) <= 3 or not text.endswith("s") or not text.isalpha():
        return text
    if text.endswith("ies"):
        return text[:-3] + "y" if len(text) > 4 else text
    if _MAKES_PLURAL.search(text):
        return text[:-2]
    if text.endswith("omas"):
        return text[:-1]
    return text if _KEEPS_ITS_S.search(text) else text[:-1]


def _read(name: str) -> Mapping[str, Any]:
    return tomllib.loads((_FOLDER / name).read_text(encoding="utf-8"))


def _split(term: str) -> Words:
    return tuple(new for old in term.split() for new in normal_form(old))


def _group(row: Mapping[str, Any]) -> Group:
    return Group(tuple(map(_split, row["terms"])), frozenset(row.get("when", ())), row["source"])


def _negation_groups() -> list[Group]:
    """Denials as groups: everything that means "no", that means "not", and the look-alikes, joined to one word each."""
    negation = language()["negation"]
    real = [Group((("no",), *map(_split, negation["no"])), frozenset(), "")]
    real.append(Group((("not",), *map(_split, negation["not"])), frozenset(), ""))
    return real + [Group(((p.replace(" ", "_"),), _split(p)), frozenset(), "") for p in negation["pseudo"]]


def _canonical(group: Group) -> Words:
    return group.terms[0]


def _slot(row: Mapping[str, Any]) -> Slot:
    stands = {word: stand for stand, words in row["values"].items() for word in words}
    places = frozenset(row.get("places", ()))
    return Slot(row["name"], stands, places, row.get("binary", False), row.get("optional_with"))


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
