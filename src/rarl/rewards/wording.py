"""Texts as words: sentences, content words, and the phrases that say nothing (tables in wording.toml)."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from rarl.grading.tables import language

# Words that deny what is near them.
NEGATORS = frozenset({"no", "not", "without", "none", "neither", "nor", "absent", "negative", "never", "cannot"})
_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"(?<![\w.])(?:\d+(?:\.\d+)?|[a-z]+)(?!\w)", re.ASCII)
_SENTENCE_END = re.compile(r"(?:(?<=[.!?;。\uff01\uff1f])(?=\s)|[\n\r]+|\s(?=[-*•]\s))")
_OPENING = re.compile(r"(?<=[\w)\]])\s+(?=(I|[A-Z][a-z]+)\b)")  # of a sentence, where the last one lacks its mark

_NUMBERED = re.compile(r"\(?\d{1,2}[.)]")


@dataclass(frozen=True, slots=True)
class Wording:
    """The tables. Phrases are found in `padded` words; `judge_talk` and `code` search lower-case text."""

    function_words: frozenset[str]
    looking_words: frozenset[str]
    talk_words: frozenset[str]
    asking: frozenset[str]
    concluding: frozenset[str]
    imperatives: frozenset[str]
    alternatives: frozenset[str]
    hedges: frozenset[str]
    sound: frozenset[str]
    roles: frozenset[str]
    absences: frozenset[str]
    elsewhere: frozenset[str]
    process: frozenset[str]
    supposing: frozenset[str]
    summing: frozenset[str]
    after_a_person: frozenset[str]
    hollow_phrases: re.Pattern[str]
    rest_phrases: re.Pattern[str]
    vague: frozenset[str]  # stems
    attributes: frozenset[str]  # stems
    judge_talk: re.Pattern[str]
    code: re.Pattern[str]
    general: re.Pattern[str]  # searches words in single spaces
    of_all: re.Pattern[str]  # as well
    of_this: frozenset[str]
    definite: frozenset[str]
    sides: frozenset[str]
    defining: frozenset[str]
    general_verbs: frozenset[str]
    opposites: tuple[tuple[str, ...], ...]
    abnormal: tuple[str, ...]
    normal: tuple[str, ...]
    deviations: tuple[str, ...]
    numbers: Mapping[str, int]
    observations: frozenset[str]  # words in which an image is described, and their stems
    findings: frozenset[str]  # the stems of those that name what is found
    medical: re.Pattern[str]  # words that begin or end as such do

    def talks(self, word: str) -> bool:
        """Whether a lower-case word is about answering, being right and being judged."""
        return word in self.talk_words or singular(word) in self.talk_words

    def describes(self, word: str) -> bool:
        """Whether a lower-case word is one in which images are described."""
        return word in self.observations or stem(word) in self.observations or self.medical.search(word) is not None


_SETS = (
    *(
        "function_words",
        "looking_words",
        "talk_words",
        "asking",
        "imperatives",
        "alternatives",
        "hedges",
        "sound",
        "roles",
    ),
    *("elsewhere", "process", "supposing", "summing", "after_a_person", "of_this", "definite", "sides", "defining"),
    *("general_verbs", "absences"),
)


@cache
def wording() -> Wording:
    """The tables, read once."""
    table, described = _read("wording.toml"), _read("observations.toml")
    observations = " ".join(described[key] for key in ("places", "findings", "properties", "modalities"))
    return Wording(
        **{key: frozenset(table[key].split()) for key in _SETS},
        concluding=frozenset(map(stem, table["concluding"].split())),
        hollow_phrases=_phrases(table["hollow_phrases"]),
        rest_phrases=_phrases(table["rest_phrases"]),
        vague=frozenset(map(stem, table["vague"].split())),
        attributes=frozenset(map(stem, table["attributes"].split())),
        judge_talk=re.compile("|".join(language()["address"]["patterns"])),
        code=re.compile("|".join(table["code_patterns"])),
        general=re.compile("|".join(table["general_patterns"])),
        of_all=re.compile("|".join(table["of_all_patterns"])),
        opposites=tuple(tuple(group) for group in table["opposites"]),
        abnormal=tuple(table["abnormal"]),
        normal=tuple(table["normal"]),
        deviations=tuple(table["deviations"]),
        numbers=table["numbers"],
        observations=frozenset(form for word in words(observations) for form in (word, singular(word), stem(word))),
        findings=frozenset(map(stem, described["findings"].split())),
        medical=re.compile(f"^(?:{_either(described['roots'])})..|...(?:{_either(described['suffixes'])})$"),
    )


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))


def _either(text: str) -> str:
    return "|".join(map(re.escape, text.split()))


def _phrases(lines: str) -> re.Pattern[str]:
    phrases = (" ".join(words(line)) for line in lines.splitlines() if line.strip())
    return re.compile(f" (?:{'|'.join(map(re.escape, phrases))}) ")


@lru_cache(maxsize=16384)
def words(text: str) -> tuple[str, ...]:
    """The words of a text, in order: NFKC, case folded, split at everything but letters and digits."""
    return tuple(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def padded(tokens: Iterable[str]) -> str:
    """Words as one string in which `" a b "` is found only at whole words."""
    return f" {' '.join(tokens)} "


def sentences(text: str) -> list[str]:
    """Sentences, lines and list items, without empty ones; the number of a list's item stays with it."""
    found: list[str] = []
    for piece in _SENTENCE_END.split(closed(text)):
        if found and _NUMBERED.fullmatch(found[-1]):
            piece = f"{found.pop()} {piece.strip()}"
        if words(piece):
            found.append(piece.strip())
    return found


@lru_cache(maxsize=4096)
def closed(text: str) -> str:
    """The text with a mark behind sentences that lack it, where the next one opens with a word that is capitalised
    nowhere else."""
    return _OPENING.sub(_end_before, text)


def _end_before(gap: re.Match[str]) -> str:
    word, known = gap[1].lower(), wording()
    opens = word in known.function_words or word in known.looking_words or word in known.talk_words
    return ".\n" if opens else gap[0]


@lru_cache(maxsize=16384)
def content_words(text: str) -> tuple[str, ...]:
    """The words that may name a finding, in order and in the singular: no grammar, no talk of looking or answering."""
    known = wording()
    kept = (word for word in words(text) if word not in known.function_words and word not in known.looking_words)
    kept = (word for word in kept if word not in known.talk_words)
    return tuple(singular(word) for word in kept if len(word) > 1 or word.isdigit() or not word.isascii())


@lru_cache(maxsize=16384)
def numbers(text: str) -> tuple[float, ...]:
    """The numbers of a text, as digits or words, in order; "no" before its first word counts as 0 ("no lesions")."""
    known = wording().numbers
    found = [
        float(known.get(word, word)) for word in _NUMBER.findall(text.casefold()) if word in known or word[0].isdigit()
    ]
    return tuple(found) if found or words(text)[:1] != ("no",) else (0.0,)


_ENDING = re.compile(r"(?<=....)(?:ement|ation|ition|ment|ings?|ions?|ed|al|ous|ic|ity|ly|is|es|s|e)$")


@lru_cache(maxsize=16384)
def stem(word: str) -> str:
    """What forms of a word share: "metastasis" and "metastatic", "enlarged" and "enlargement"."""
    return _ENDING.sub("", word)[:7]


def singular(word: str) -> str:
    """A lower-case word without the ending of a plural."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
