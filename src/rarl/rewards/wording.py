"""Texts as words: sentences, content words, and the phrases that say nothing (tables in wording.toml)."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"(?<![\w.])(?:\d+(?:\.\d+)?|[a-z]+)(?!\w)", re.ASCII)
_SENTENCE_END = re.compile(r"(?:(?<=[.!?;])(?=\s)|[\n\r]+|\s(?=[-*•]\s))")


@dataclass(frozen=True, slots=True)
class Wording:
    """The tables; the patterns find one of their phrases in `padded` words."""

    function_words: frozenset[str]
    generic_words: frozenset[str]
    hollow_phrases: re.Pattern[str]
    judge_phrases: re.Pattern[str]
    opposites: tuple[tuple[str, ...], ...]
    abnormal: tuple[str, ...]
    normal: tuple[str, ...]
    numbers: Mapping[str, int]


@cache
def wording() -> Wording:
    """The tables, read once."""
    table = tomllib.loads(files(__package__).joinpath("wording.toml").read_text(encoding="utf-8"))
    return Wording(
        function_words=frozenset(table["function_words"].split()),
        generic_words=frozenset(table["generic_words"].split()),
        hollow_phrases=_phrases(table["hollow_phrases"]),
        judge_phrases=_phrases(table["judge_phrases"]),
        opposites=tuple(tuple(group) for group in table["opposites"]),
        abnormal=tuple(table["abnormal"]),
        normal=tuple(table["normal"]),
        numbers=table["numbers"],
    )


def _phrases(lines: str) -> re.Pattern[str]:
    phrases = (" ".join(words(line)) for line in lines.splitlines() if line.strip())
    return re.compile(f" (?:{'|'.join(map(re.escape, phrases))}) ")


@lru_cache(maxsize=16384)
def words(text: str) -> tuple[str, ...]:
    """The words of a text, in order: NFKC, case folded, split at everything but letters and digits."""
    return tuple(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def addresses_judge(text: str) -> bool:
    """Whether a text talks to whoever scores it ("10/10", "full marks")."""
    return wording().judge_phrases.search(padded(words(text))) is not None


def padded(tokens: Iterable[str]) -> str:
    """Words as one string in which `" a b "` is found only at whole words."""
    return f" {' '.join(tokens)} "


def sentences(text: str) -> list[str]:
    """Sentences, lines and list items, without empty ones."""
    return [piece.strip() for piece in _SENTENCE_END.split(text) if words(piece)]


@lru_cache(maxsize=16384)
def content_words(text: str) -> tuple[str, ...]:
    """The words that may name a finding, in order and in the singular: neither grammar nor talk about looking."""
    known = wording()
    kept = (word for word in words(text) if word not in known.function_words and word not in known.generic_words)
    return tuple(_singular(word) for word in kept if len(word) > 1 or word.isdigit() or not word.isascii())


@lru_cache(maxsize=16384)
def numbers(text: str) -> tuple[float, ...]:
    """The numbers of a text, as digits or words, in order; "no" before its first word counts as 0 ("no lesions")."""
    known = wording().numbers
    found = [
        float(known.get(word, word)) for word in _NUMBER.findall(text.casefold()) if word in known or word[0].isdigit()
    ]
    return tuple(found) if found or words(text)[:1] != ("no",) else (0.0,)


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
