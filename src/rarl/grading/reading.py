"""From a text to normalised words and clause marks. Two texts that read the same are the same answer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import takewhile

from rarl.grading.lexicon import Phrases, Words, by_first_word, fillers, language, lexicon, normal_form, rewrite_words

MARKS = frozenset(".,;:?!()\n")
SENTENCE_ENDS = frozenset(".;?!\n")
_LONG = 6  # letters from which on a slip of one is forgiven

_LATEX = re.compile(r"\\(?:boxed|fbox|text\w*|math\w*|operatorname|mbox)\s*\{([^{}]*)\}")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DRESS = re.compile(r"\\[()\[\],;! ]|[*`#$~\"_|{}\\]|</?\w{1,12}>")
_TOKEN = re.compile(
    r"\d+(?:/\d+)+|\d+(?:[.,]\d+)*(?:st|nd|rd|th)?"  # 10/10  3.4  1,000  4th
    r"|[^\W\d_]{1,2}\d+[^\W\d_]{0,8}(?![^\W_])"  # t2  l5  t1w
    r"|[^\W\d_]+(?:'[^\W\d_]+)*"
    r"|[.,;:?!()\n%]"
)


@lru_cache(maxsize=1 << 12)
def undress(text: str) -> str:
    """The text without Unicode variants, LaTeX and Markdown, still in its own case."""
    text = unicodedata.normalize("NFKC", text).translate(_lookalikes())
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
        text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc") or c in "\n\t")
    while "\\" in text:  # \boxed{\text{B}}, from the inside out
        text, found = _LATEX.subn(r" \1 ", text)
        if not found:
            break
    return _DRESS.sub(" ", text.replace("\\%", "%").replace("\t", "\n"))


@lru_cache(maxsize=1 << 13)
def read(text: str, context: frozenset[str] = frozenset(), spelling: frozenset[str] = frozenset()) -> Words:
    """Normalised words and clause marks, synonyms rewritten to the term that stands for their group.

    `context` holds words of the question and of the gold answer: they settle what an ambiguous abbreviation means.
    `spelling` holds words as they are spelled right: a slip of one letter in one of them is put right.
    """
    tokens = _TOKEN.findall(_lead_ins().sub(" . ", undress(text).lower()))
    if spelling:
        tokens = [_spelled(token, spelling) for token in tokens]
    words: Words = tuple(word for token in tokens for word in _term(token))
    if context:
        words = _rewrite_phrases(words, _settled(context))
    return _rewrite_phrases(words, lexicon().phrases)


@lru_cache(maxsize=1 << 13)
def context_of(*texts: str) -> frozenset[str]:
    """The words that settle ambiguous abbreviations."""
    return frozenset(word for text in texts for word in read(text)) - MARKS


@lru_cache(maxsize=1 << 13)
def spelling_of(*texts: str) -> frozenset[str]:
    """The words of these texts that are long enough for a slip to be told from another word."""
    return frozenset(token for text in texts for token in _TOKEN.findall(undress(text).lower()) if len(token) >= _LONG)


def _spelled(written: str, spelling: frozenset[str]) -> str:
    if len(written) < _LONG or written in spelling or written in lexicon().known or written in fillers():
        return written
    meant = [word for word in spelling if _is_slip(written, word)]
    return meant[0] if len(meant) == 1 else written


def _is_slip(written: str, meant: str) -> bool:
    """One letter wrong, missing, too many, or two swapped; never the first."""
    if written[0] != meant[0] or abs(len(written) - len(meant)) > 1 or not (written.isalpha() and meant.isalpha()):
        return False
    at = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(written, meant, strict=False)))
    a, b = written[at:], meant[at:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def content(words: Iterable[str]) -> Words:
    """The words that carry meaning; all words where none does."""
    plain = tuple(word for word in words if word not in MARKS)
    return tuple(word for word in plain if word not in fillers()) or plain


def sentences(words: Words) -> Iterator[Words]:
    """The words cut at the ends of sentences."""
    start = 0
    for end, found in enumerate((*words, ".")):
        if found in SENTENCE_ENDS:
            if end > start:
                yield words[start:end]
            start = end + 1


def contains(words: Words, phrase: Words) -> bool:
    """Whether the phrase stands in the words, in order and without a gap."""
    return any(words[start : start + len(phrase)] == phrase for start in range(len(words) - len(phrase) + 1))


@lru_cache(maxsize=1 << 16)
def _term(token: str) -> Words:
    """One token as normalised words, single synonyms rewritten."""
    if token == "%":
        return ("percent",)
    if token[0].isdecimal():
        token = _number(token)
    if token in MARKS or not token.replace("'", "").isalpha():
        return rewrite_words((token,), lexicon().words)
    return rewrite_words(normal_form(token), lexicon().words)


def _number(text: str) -> str:
    if text[-1].isalpha() or "/" in text:
        return text
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    text = text.replace(",", ".")
    if text.count(".") > 1:
        return text
    whole, _, fraction = text.partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def _rewrite_phrases(words: Words, phrases: Phrases) -> Words:
    out: list[str] = []
    at = 0
    while at < len(words):
        for phrase, rewritten in phrases.get(words[at], ()):
            if words[at : at + len(phrase)] == phrase:
                out += rewritten
                at += len(phrase)
                break
        else:
            out.append(words[at])
            at += 1
    return tuple(out)


@lru_cache(maxsize=1 << 12)
def _settled(context: frozenset[str]) -> Phrases:
    return by_first_word(row for when, rows in lexicon().settled if when & context for row in rows)


@cache
def _lead_ins() -> re.Pattern[str]:
    phrases = sorted(language()["lead_ins"], key=len, reverse=True)
    told = "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in phrases if phrase.endswith(" is"))
    headed = "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in phrases)
    return re.compile(rf"\b(?:(?:{told})\b\s*[:=-]?|(?:{headed})\s*[:=-])")


@cache
def _lookalikes() -> dict[int, str]:
    return {ord(letter): latin for letter, latin in language()["lookalikes"].items()}
