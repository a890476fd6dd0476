"""A text without its dress: Unicode variants, HTML, LaTeX, Markdown. Letters keep their case."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import cache, lru_cache

from rarl.grading.tables import language

_LATEX = re.compile(r"\\(?:boxed|fbox|text\w*|math\w*|operatorname|mbox|mbox|underline|emph)\s*\{([^{}]*)\}")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}")
_PLAIN = re.compile(r"[\w\s.,;:?!'()%/+-]*", re.ASCII)
_DRESS = re.compile(
    r"\\(?:[()\[\],;:! ]|(?:q?quad|displaystyle|left|right|bf|it|rm|approx|sim)\b)"
    r"|```[a-z]*\n|[*`#$~\"_|{}\\]|</?[A-Za-z][A-Za-z0-9]{0,11}(?:\s[^<>]{0,80})?/?>|<!--.{0,200}?-->"
)
_BOUND = re.compile(r"([<>\u2264\u2265])\s?(=?)\s?(?=\d)")
_OR_MORE = re.compile(r"(?<![\w.])(\d+)\+(?!\w)")
_SHORT = re.compile(r"\bw/(o\b)?", re.IGNORECASE)
_YEARS_OLD = re.compile(r"(?<=\d)[ -]?y/o\b", re.IGNORECASE)
_FIRST, _SECOND = re.compile(r"(?<!\w)\(?1[.)]\s*(?=[^\W\d])"), re.compile(r"(?<!\w)\(?2[.)]\s*(?=[^\W\d])")
_NUMBERED = re.compile(r"(?<!\w)\(?\d{1,2}[.)]\s*(?=[^\W\d])")
_WORDED = {
    "<": " less than ", "<=": " up to ", "\u2264": " up to ", "\u2264=": " up to ",
    ">": " more than ", ">=": " at least ", "\u2265": " at least ", "\u2265=": " at least ",
}  # fmt: skip
_RELATION = re.compile(r"\\(geq?|leq?|gt|lt)\b")
_RELATIONS = {"ge": ">=", "geq": ">=", "le": "<=", "leq": "<=", "gt": ">", "lt": "<"}


@lru_cache(maxsize=1 << 12)
def undress(text: str) -> str:
    """The text in plain letters, digits and punctuation."""
    if "&" in text:
        text = html.unescape(text).replace("&", " and ")
    if not text.isascii():
        text = _latin(text)
    if "\\" in text:
        text = _without_latex(text)
    if not _PLAIN.fullmatch(text):
        text = _BOUND.sub(lambda found: _WORDED[found[1] + found[2]], text)
        text = _DRESS.sub(" ", text.replace("\\%", "%")).replace("[", "(").replace("]", ")")
    if "+" in text:
        text = _OR_MORE.sub(r"at least \1", text)
    if "w/" in text or "W/" in text:
        text = _SHORT.sub(lambda found: "without " if found[1] else "with ", text)
    if "/o" in text or "i.e" in text:
        text = _YEARS_OLD.sub(" year old", text).replace("i.e.", "that is")
    if "1" in text and "2" in text and _FIRST.search(text) and _SECOND.search(text):
        text = _NUMBERED.sub(", ", text)  # 1. liver 2. spleen
    return text.replace("\t", "\n")


def _latin(text: str) -> str:
    """Compatibility forms, look-alikes and accents as plain letters; marks that can't be seen are dropped."""
    text = unicodedata.normalize("NFKC", text.translate(_before()).translate(_lookalikes())).translate(_lookalikes())
    if text.isascii():
        return text
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc") or c in "\n\t")


def _without_latex(text: str) -> str:
    r"""\boxed{\text{B}} as B, from the inside out."""
    text = _RELATION.sub(lambda found: _RELATIONS[found[1]], text)
    text = _FRACTION.sub(r" \1/\2 ", text).replace("\\times", " x ").replace("\\pm", " ")
    while "\\" in text:
        text, found = _LATEX.subn(r" \1 ", text)
        if not found:
            break
    return text


@cache
def _lookalikes() -> dict[int, str]:
    return {ord(letter): latin for letter, latin in language()["lookalikes"].items()}


@cache
def _before() -> dict[int, str]:
    """Signs that compatibility forms would join to what stands before them: 1½ is 1 1/2 and not 11/2."""
    signs = {chr(c): unicodedata.normalize("NFKC", chr(c)) for c in (*range(0xBC, 0xBF), *range(0x2150, 0x215F))}
    return {ord(sign): f" {form}".replace("\u2044", "/") for sign, form in signs.items()}
