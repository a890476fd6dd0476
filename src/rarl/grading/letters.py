"""Options named by letter or by position: `(b)`, `Option B`, `**B**`, `\\boxed{B}`, "the second one"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from rarl.grading.tables import language, word_set
from rarl.grading.undressing import undress

_BEFORE, _BEHIND = 40, 20  # characters around a letter that tell whether it names an option

_WHOLE = re.compile(r"\W*(?:(?:option|choice|answer|letter)\W+(?:is\W+)?)?([A-Za-z])\W*", re.IGNORECASE)
_ALONE = re.compile(r"\b[A-Za-z]\b")
_JOINED_BEFORE, _JOINED_BEHIND = re.compile(r"(?:'|[\w.]-)$"), re.compile(r"'|-\w")  # X-ray, vitamin-C, patient's
_TOLD = re.compile(  # "the answer is", "option", "I choose"
    r"\b(?:(?:option|choice|answer|letter)s?\s*(?:(?:is|would be)\s*)?[:=-]?"
    r"|choose|select|pick|chose|go(?:ing)? with)\s*\(?$",
    re.IGNORECASE,
)
_LABEL_BEHIND = re.compile(r"\s?[).:\]](?=\s|$)")  # b) b. b: b]
_DASH_BEHIND = re.compile(r"\s*[-,]\s")  # B - text
_ENUMERATED = re.compile(r"\b[A-Z]\s*(?:,?\s*(?:,|/|&|\bor\b|\band\b)\s*|\s)$")  # A or B, A B, A, and B
_PART_OF_A_NAME = re.compile(r"\b(?:vitamin|hepatitis|influenza|type|stage|grade|class|factor)\s$", re.IGNORECASE)
_SENTENCE_BEHIND = re.compile(r"\s*(?:$|[,.;:!?)/&\]]|(?:and|or|is|are|because|since|as|not|nor|but|[A-J])\b(?!'))")
_X = r"\(?[A-J]\b\)?"
_JOINT = r"(?:\bor\b|\band\b|\bnor\b|/|&)"
_LIST = rf"(?:{_X}\s*,\s*)*(?:{_X}\s*,?\s*{_JOINT}\s*)*"  # of a list what stands before its last letter or this one
_DENIAL = (
    r"\b(?:not|\w+n't|never|neither|nor|than|of|except|rul(?:e|ed|ing)\s+out|exclud(?:e|ed|ing)|eliminat(?:e|ed|ing)"
    r"|reject(?:ed|ing)?|dismiss(?:ed|ing)?|discard(?:ed|ing)?|(?:all|everything|anything)\s+but)\s+"
    r"(?:(?:the|an?|be|both|options?|choices?|answers?|letters?|choose|select|pick|go with)\s+)*\(?"
)
_DENIED_BEFORE = re.compile(rf"{_DENIAL}{_LIST}$", re.IGNORECASE)  # not A, B or | C
_DENIED_TOLD = re.compile(rf"{_DENIAL}$", re.IGNORECASE)  # not | option B
_WRONG = (
    r"(?:wrong|incorrect|false|excluded|ruled out|eliminated|rejected|discarded|dismissed|unlikely|improbable"
    r"|implausible|not\b(?!\s+\(?[A-J]\b)|do(?:es)? not|do(?:es)?n't|(?:is|are)n't"
    r"|can(?:not|'t) be (?!excl|rul|elim|rej|dis))"
)
_DENIED_AFTER = re.compile(  # A is wrong; A | , B and C can be excluded
    rf"\)?(?:(?:\s*,\s*(?:options?\s+)?{_X})*\s*,?\s*{_JOINT}\s*(?:options?\s+)?{_X})*"
    rf"\s*(?:(?:is|are|was|were|can|could|may|must|be|been|have|has|all|both|clearly)\s+)*{_WRONG}",
    re.IGNORECASE,
)
_SAID = re.compile(r"\)?\s*(?:is|are|was|were)\s+(?:not\s+)?(?!the\b|an?\b)(\w+)", re.IGNORECASE)
_ANSWERED = re.compile(r"\)?\s*[-:.]\s*(\w+)(?: out)?\s*(?:[.,;)\n]|$)", re.IGNORECASE)  # A: no
_LABEL = re.compile(r"\s*\(?([A-Za-z])\s*[).:\]-]\s*(?=\S)")


_NOUNS = ("option", "choice", "answer", "alternative", "one")  # what is counted: "the second option"


class Claim(NamedTuple):
    """An option named by letter or position; `end` is where that ends in the undressed text."""

    option: int
    end: int


def claims(raw: str, options: Sequence[str], missing: str = "") -> list[Claim]:
    """The options named and not denied, in order. In an explanation only "the answer is B" names one.

    `missing`: the question, where it asks for what is not there, so that "B is not seen" names it.
    """
    text = undress(raw)
    if whole := _WHOLE.fullmatch(text):
        number = _index(whole[1])
        return [Claim(number, whole.end(1))] if number < len(options) else []
    found = sorted([*_by_letter(text, tuple(options)), *_by_position(text, options)])
    found = [row for row in found if row[2] < len(options) and not _denied(text, row[0], row[1], missing)]
    found = [row for row in found if not _answered_no(text, row[1], options)]
    reasons = reasons_after(text, found[0][0]) if found else 0
    return [Claim(option, end) for start, end, option, told in found if told or start < reasons]


def reasons_after(text: str, start: int) -> int:
    """Where, after the answer, an explanation starts, which may well name the other options."""
    found = _reasons().search(text, start)
    return found.start() if found else len(text)


@lru_cache(maxsize=1 << 12)
def unlabelled(options: tuple[str, ...]) -> tuple[str, ...]:
    """The options without letters of their own, where they all have them in order: ["A: liver", "B: spleen"]."""
    labels = [_LABEL.match(option) for option in options]
    if len(options) > 1 and all(label and _index(label[1]) == at for at, label in enumerate(labels)):
        return tuple(option[label.end() :].strip() for option, label in zip(options, labels, strict=True) if label)
    return options


def without_label(gold: str, options: tuple[str, ...]) -> str:
    """A gold that is an option with its letter as that option's text: "B. MRI" of ["CT", "MRI"]."""
    match, texts = _LABEL.match(gold), unlabelled(options)
    number = _index(match[1]) if match else len(texts)
    if match and number < len(texts) and gold[match.end() :].strip().lower() == texts[number].strip().lower():
        return texts[number]
    return gold


def _by_letter(text: str, options: tuple[str, ...]) -> Iterator[tuple[int, int, int, bool]]:
    """(start, end, option, told) of each letter that names an option; told: "the answer is B"."""
    spelled = _single_letters(options)
    for match in _ALONE.finditer(text):
        start, end = match.span()
        letter, before, behind = match[0], text[max(0, start - _BEFORE) : start], text[end : end + _BEHIND]
        if _JOINED_BEFORE.search(before[-2:]) or _JOINED_BEHIND.match(behind) or _PART_OF_A_NAME.search(before):
            continue
        if told := _TOLD.search(before):
            yield start - len(told[0]), end, _index(letter), True
            continue
        free, first = letter.upper() not in spelled, not before.rpartition("\n")[2].strip(" .")
        bracketed = before.rstrip().endswith("(") and behind.lstrip().startswith(")")
        labels = (free or first) and bool(_LABEL_BEHIND.match(behind))
        dashed = first and bool(_DASH_BEHIND.match(behind))
        remark = letter not in "AI" and behind.startswith(" (")  # B (A is wrong)
        alone = dashed or bool(_ENUMERATED.search(before)) or (free and bool(_SENTENCE_BEHIND.match(behind) or remark))
        if bracketed or labels or (letter.isupper() and alone):
            yield start, end, _index(letter), False


def _by_position(text: str, options: Sequence[str]) -> Iterator[tuple[int, int, int, bool]]:
    """ "the second option", "the last one", "option 2"; "the third" where that is no option's own word."""
    lower = text.lower()
    if len(lower) > _BEFORE and not any(noun in lower for noun in _NOUNS):
        return
    for match in _position().finditer(lower):
        word = match[1] or match[2] or match[3]
        if match[3] and any(word in option.lower() for option in options):
            continue
        number = int(word) if word.isdigit() else language()["positions"][word]
        yield match.start(), match.end(), number - 1 if number > 0 else len(options) - 1, True


@cache
def _position() -> re.Pattern[str]:
    words = "|".join(language()["positions"])
    nouns = "|".join(_NOUNS)
    return re.compile(
        rf"\b({words})\s+(?:{nouns})\b|\b(?:option|choice|alternative)\s*(?:number\s*|no\.?\s*)?(\d)\b(?!\.\d)"
        rf"|\A\W*(?:the\s+)?({words})\W*\Z"
    )


def _denied(text: str, start: int, end: int, missing: str) -> bool:
    """Whether a denial stands before what names the option, or before its letter or their list, or behind it."""
    letter = max(start, end - 1)
    return bool(
        _DENIED_TOLD.search(text[max(0, start - _BEFORE) : start])
        or _DENIED_BEFORE.search(text[max(0, letter - 2 * _BEFORE) : letter])
        or (_DENIED_AFTER.match(text, end) and not _echoes(text, end, missing))
    )


def _echoes(text: str, end: int, question: str) -> bool:
    """Whether what is said of a letter is what the question asks for: "B is not seen" to "which is not seen?"."""
    said = _SAID.match(text, end)
    return bool(said and re.search(rf"\b{said[1]}\b", question, re.IGNORECASE))


def _answered_no(text: str, end: int, options: Sequence[str]) -> bool:
    """Whether the letter is followed by a no that is no option's text: "A: no. B: yes."."""
    found = _ANSWERED.match(text, end)
    word = found[1].lower() if found else ""
    return word in word_set("alternatives", "wrong") and not any(
        word in option.lower().split()[:1] for option in options
    )


def _index(letter: str) -> int:
    return ord(letter.upper()) - ord("A")


@lru_cache(maxsize=1 << 12)
def _single_letters(options: tuple[str, ...]) -> frozenset[str]:
    """Letters that stand alone in an option's text ("vitamin C"), so that they name none."""
    return frozenset(word.upper() for option in options for word in re.findall(r"\b[A-Za-z]\b", option))


@cache
def _reasons() -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(sorted(word_set('alternatives', 'reasons')))})\b", re.IGNORECASE)
