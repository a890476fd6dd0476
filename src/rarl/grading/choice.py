"""One of several options: by letter in any dress, by text, and never by what comes nearest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import takewhile
from typing import NamedTuple

from rarl.grading.case import Case, Outcome, conflict, flip, hedged, plain, right, sentences_with, wrong
from rarl.grading.claims import denials
from rarl.grading.kinds import gold_option
from rarl.grading.lexicon import Words, fillers, word_set
from rarl.grading.reading import context_of, read, undress

_WHOLE = re.compile(r"\W*(?:(?:option|choice|answer|letter)\W+(?:is\W+)?)?([A-Za-z])\W*", re.IGNORECASE)
_DRESSED = re.compile(
    r"\(\s*([A-Za-z])\s*\)"  # (b)
    r"|\b(?:[Oo]ption|[Cc]hoice|[Aa]nswer|[Ll]etter)\s*(?:is\s*)?[:=]?\s*\(?([A-Za-z])\b(?![\w'-])"  # option b
    r"|(?<![\w.'-])([A-Za-z])\s?[).:\]](?=\s|$)"  # b) or b. or b:
    r"|^\W*([A-Z])\s*[-,](?=\s)"  # B - text
    r"|\b[A-Z]\s*(?:,|/|&|\bor\b|\band\b)\s*([A-Z])\b(?!['-])"  # A or B
)
_BARE = re.compile(r"(?<![\w'.-])([A-Z])\b(?=\s*(?:$|[,.;:!?)/&\]]|(?:and|or|is|are|because|since|as|not|nor|but)\b))")
_DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|isn't|never|neither|nor|than|of|except|excluding)\s+(?:option\s+|choice\s+)?\(?)$", re.IGNORECASE
)
_DENIED_AFTER = re.compile(r"\)?\s*(?:is|are|was)?\s*(?:wrong|incorrect|false|not\b|excluded|ruled out)", re.IGNORECASE)
_LABELLED = re.compile(r"\s?[).:\],-]+\s*([^\s.;\n][^.;\n]*)")


def grade_choice(case: Case, gold: str, options: Sequence[str], question: str) -> Outcome:
    """Right when letter and text, whichever are given, name the gold option and no other."""
    target = gold_option(gold, options)
    assert target is not None
    context = context_of(question, gold)
    texts = _texts(tuple(options), context)
    claims = _letter_claims(case.raw_prediction, options)
    letters = {claim.option for claim in claims}
    stated = _up_to_reasons(case.raw_prediction, claims[0].end) if claims else None
    named = _named(flip(read(stated, context)) if stated else case.prediction, texts)
    if len(letters) > 1:
        return wrong("several letters")
    labels = ((case.raw_prediction, claim, texts[claim.option]) for claim in claims)
    if letters and (named - letters or any(_other_label(*label) for label in labels)):
        return wrong("letter and text contradict each other")
    if len(named) > 1:
        return wrong("several options")
    chosen = letters or named
    if not chosen:
        return wrong("no option named")
    wanted = {chr(ord("a") + letter) for letter in letters} or {word for option in chosen for word in texts[option]}
    if hedged(case, sentences_with(case.prediction, wanted)):
        return wrong("hedged")
    rule = "letter" if letters else "option's text"
    return right(rule) if chosen == {target} else wrong(rule)


class _LetterClaim(NamedTuple):
    """An option named by letter; `end` is where its letter ends in the undressed text."""

    option: int
    end: int


def names_a_letter(raw: str, options: Sequence[str]) -> bool:
    """Whether the prediction names an option by its letter."""
    return bool(_letter_claims(raw, options))


def _letter_claims(raw: str, options: Sequence[str]) -> list[_LetterClaim]:
    """The options named by letter and not denied, in order."""
    text = undress(raw)
    whole = _WHOLE.fullmatch(text)
    spelled = {word.upper() for option in options for word in re.findall(r"\b[A-Za-z]\b", option)}
    bare = (match for match in _BARE.finditer(text) if match.group(1) not in spelled)
    claims = []
    for match in [whole] if whole else [*_DRESSED.finditer(text), *bare]:
        group = match.lastindex or 1
        number = ord(match.group(group).upper()) - ord("A")
        before, after = text[: match.start(group)], text[match.end(group) :]
        if number < len(options) and not _DENIED_BEFORE.search(before) and not _DENIED_AFTER.match(after):
            claims.append(_LetterClaim(number, match.end(group)))
    return sorted(claims, key=lambda claim: claim.end)


def _up_to_reasons(raw: str, start: int) -> str:
    """The text up to where, after the answer, an explanation starts, which may well name the other options."""
    text = undress(raw)
    reasons = _reasons().search(text, start)
    return text[: reasons.start()] if reasons else text


@cache
def _reasons() -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(sorted(word_set('alternatives', 'reasons')))})\b", re.IGNORECASE)


@lru_cache(maxsize=1 << 12)
def _texts(options: tuple[str, ...], context: frozenset[str]) -> tuple[Words, ...]:
    return tuple(_core(flip(read(option, context))) for option in options)


def _core(words: Words) -> Words:
    """An option's words without articles and the like at its ends; all of them where nothing else is left."""
    words = plain(words)
    kept = [at for at, word in enumerate(words) if word not in fillers()]
    return words[kept[0] : kept[-1] + 1] if kept else words


def _named(words: Words, texts: Sequence[Words]) -> set[int]:
    """The options whose whole text is stated; an option inside a longer one that is stated too does not count."""
    denied = denials(words)
    spans = []
    for number, text in enumerate(texts):
        for at in range(len(words) - len(text) + 1):
            if text and words[at : at + len(text)] == text:
                last = at + len(text) - 1
                stated = not denied[last] or (text[0] == "no" and not denied[at])
                spans.append((at, last, number, stated))
    inside = {s for s in spans for o in spans if (o[0] <= s[0] and s[1] <= o[1]) and (o[1] - o[0] > s[1] - s[0])}
    return {span[2] for span in spans if span[3] and span not in inside}


def _other_label(raw: str, claim: _LetterClaim, text: Words) -> bool:
    """Whether the letter is followed by a label that is not its option's text."""
    match = _LABELLED.match(undress(raw), claim.end)
    if not match:
        return False
    words = [word for word in plain(read(match.group(1))) if word not in ("a", "an", "the")]
    label = tuple(takewhile(lambda word: word not in fillers(), words))
    if not label or set(words[len(label) :][:1]) & word_set("polarity", "verbs"):
        return False  # a sentence that explains, not a label
    return not set(label) & set(text) or conflict(text, label) is not None
