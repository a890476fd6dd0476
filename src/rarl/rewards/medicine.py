"""What the rewards know of medicine (medicine.toml): what excludes each other, and what a finding is seen by."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from rarl.grading import Mention
from rarl.grading.claims import normal_words, statements
from rarl.grading.lexicon import lexicon
from rarl.grading.reading import contains, context_of
from rarl.grading.tables import Words, fillers
from rarl.rewards.wording import stem, words

_NO = frozenset(("no", "not"))
# Slots in which one image may take several stands.
_LOOSE = frozenset(("state", "normality", "filling", "multiplicity", "sides"))


@dataclass(frozen=True, slots=True)
class Sign:
    """A finding, by what it is seen, what speaks against it, and the stems of words that only say it again."""

    of: Words
    same: frozenset[str]
    by: tuple[str, ...]
    against: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Medicine:
    """The tables, and the grader's slots beside the groups of what excludes each other."""

    exclusive: tuple[tuple[str, ...], ...]
    rivals: tuple[tuple[str, ...], ...]
    broad: frozenset[str]
    conclusive: frozenset[str]
    unions: Mapping[str, tuple[str, ...]]
    signs: tuple[Sign, ...]


@cache
def medicine() -> Medicine:
    """The tables, read once."""
    table = tomllib.loads(files(__package__).joinpath("medicine.toml").read_text(encoding="utf-8"))
    slots = (slot for slot in lexicon().slots if slot.name not in _LOOSE and not slot.optional_with)
    return Medicine(
        exclusive=(*map(tuple, table["exclusive"]), *(tuple(slot.stands) for slot in slots)),
        rivals=tuple(map(tuple, table["rivals"])),
        broad=frozenset(word for phrase in table["broad"].split() for word in normal_words(phrase)),
        conclusive=frozenset(table["conclusive"].split()),
        unions={word: tuple(parts) for word, parts in table["unions"].items()},
        signs=tuple(map(_sign, table["sign"])),
    )


def _sign(row: Mapping[str, object]) -> Sign:
    of, same, by, against = (row[key] for key in ("of", "same", "by", "against"))
    assert isinstance(by, list)
    assert isinstance(against, list)
    return Sign(normal_words(str(of)), frozenset(map(stem, words(f"{of} {same}"))), tuple(by), tuple(against))


@lru_cache(maxsize=4096)
def signs_of(text: str) -> tuple[Sign, ...]:
    """The signs of the findings that a question or an answer names."""
    named = normal_words(text, context_of(text))
    return tuple(sign for sign in medicine().signs if contains(named, sign.of))


@lru_cache(maxsize=4096)
def restating(text: str) -> frozenset[str]:
    """The stems of words that only say again what a text names: its synonyms, and what its findings are."""
    named = normal_words(text, context_of(text))
    groups = (group for word in named for group in _groups().get(word, ()) if contains(named, group[0]))
    return frozenset[str]().union(
        (stem(word) for group in groups for term in group for word in term), *(sign.same for sign in signs_of(text))
    )


@cache
def _groups() -> Mapping[str, tuple[tuple[Words, ...], ...]]:
    """The vocabulary's groups by the first word of the term that stands for all, which is the first."""
    found: dict[str, tuple[tuple[Words, ...], ...]] = {}
    for group in lexicon().groups:
        if not group.when and group.source:
            first = normal_words(" ".join(group.terms[0]))
            found[first[0]] = (*found.get(first[0], ()), (first, *group.terms))
    return found


def shows(reasoning: str, sign: Sign, context: frozenset[str]) -> bool | None:
    """Whether the reasoning sees the sign, or something against it; None where it says nothing on it, or both."""
    seen = {together(reasoning, phrase, context) for phrase in sign.by}
    against = {together(reasoning, phrase, context) for phrase in sign.against}
    for_it = Mention.AFFIRMED in seen
    against_it = Mention.AFFIRMED in against or (Mention.DENIED in seen and not for_it)
    return for_it if for_it is not against_it else None


def together(text: str, phrase: str, context: frozenset[str] = frozenset()) -> Mention:
    """Whether one clause or sentence of the text holds all words of the phrase, in any order.

    What stands behind a "no" in the phrase has to be denied. The narrowest statements decide.
    """
    wanted, unwanted = sides_of(phrase, context)
    if not wanted | unwanted:
        return Mention.ABSENT
    found = [s for s in statements(text, context) if wanted | unwanted <= s.affirmed | s.denied]
    narrowest = min((len(s.affirmed | s.denied) for s in found), default=0)
    said = {wanted <= s.affirmed and unwanted <= s.denied for s in found if len(s.affirmed | s.denied) == narrowest}
    if not said:
        return Mention.ABSENT
    if len(said) == 2:
        return Mention.BOTH
    return Mention.AFFIRMED if said.pop() else Mention.DENIED


@lru_cache(maxsize=4096)
def sides_of(phrase: str, context: frozenset[str] = frozenset()) -> tuple[frozenset[str], frozenset[str]]:
    """The words with a meaning that a phrase affirms, and those that it denies."""
    read = statements(phrase, context)
    empty = fillers() | _NO
    affirmed = frozenset[str]().union(*(s.affirmed for s in read)) - empty
    denied = frozenset[str]().union(*(s.denied for s in read)) - empty
    return affirmed - denied, denied
