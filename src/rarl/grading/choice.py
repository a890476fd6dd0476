"""One of several options: by letter in any dress, by text, and never by what comes nearest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from rarl.grading.case import Case, Outcome, conflict, flip, hedged, plain, right, wrong
from rarl.grading.claims import denials
from rarl.grading.kinds import gold_option
from rarl.grading.lexicon import Words, fillers, word_set
from rarl.grading.reading import content, context_of, read, sentences, undress

_WHOLE = re.compile(r"\W*(?:(?:option|choice|answer|letter)\W+(?:is\W+)?)?([A-Za-z])\W*", re.IGNORECASE)
_DRESSED = re.compile(
    r"\(\s*([A-Za-z])\s*\)"  # (b)
    r"|\b(?:[Oo]ption|[Cc]hoice|[Aa]nswer|[Ll]etter)\s*(?:is\s*)?[:=]?\s*\(?([A-Za-z])\b(?![\w'-])"  # option b
    r"|(?<![\w.'-])([A-Za-z])\s?[).:\]](?=\s|$)"  # b) or b. or b:
    r"|^\W*([A-Z])\s*[-,](?=\s)"  # B - text
)
_BARE = re.compile(r"(?<![\w'.-])([A-Z])\b(?=\s*(?:$|[,.;:!?)/&\]]|(?:and|or|is|are|because|since|as|not|nor|but)\b))")
_DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|isn't|never|neither|nor|than|of|except|excluding)\s+(?:option\s+|choice\s+)?\(?)$", re.IGNORECASE
)
_DENIED_AFTER = re.compile(r"\)?\s*(?:is|are|was)?\s*(?:wrong|incorrect|false|not\b|excluded|ruled out)", re.IGNORECASE)
_LABEL = 3  # words that may follow a letter as its text; more are an explanation


def grade_choice(case: Case, gold: str, options: Sequence[str], question: str) -> Outcome:
    """Right when letter and text, whichever are given, name the gold option and no other."""
    target = gold_option(gold, options)
    assert target is not None
    texts = _texts(tuple(options), context_of(question, gold))
    letters = letters_named(case.raw_prediction, options)
    named = _named(case, texts)
    if len(letters) > 1:
        return wrong("several letters")
    if letters and (named - letters or _other_label(case, texts[min(letters)])):
        return wrong("letter and text contradict each other")
    if len(named) > 1:
        return wrong("several options")
    chosen = letters or named
    if not chosen:
        return wrong("no option named")
    if hedged(case, next(sentences(case.prediction), ())):
        return wrong("hedged")
    rule = "letter" if letters else "option's text"
    return right(rule) if chosen == {target} else wrong(rule)


def letters_named(raw: str, options: Sequence[str]) -> set[int]:
    """The options named by letter and not denied."""
    text = undress(raw)
    whole = _WHOLE.fullmatch(text)
    spelled = {word.upper() for option in options for word in re.findall(r"\b[A-Za-z]\b", option)}
    found = (
        [whole]
        if whole
        else [*_DRESSED.finditer(text), *(m for m in _BARE.finditer(text) if m.group(1) not in spelled)]
    )
    letters = set()
    for match in found:
        group = match.lastindex or 1
        number = ord(match.group(group).upper()) - ord("A")
        before, after = text[: match.start(group)], text[match.end(group) :]
        if number < len(options) and not _DENIED_BEFORE.search(before) and not _DENIED_AFTER.match(after):
            letters.add(number)
    return letters


@lru_cache(maxsize=1 << 12)
def _texts(options: tuple[str, ...], context: frozenset[str]) -> tuple[Words, ...]:
    return tuple(_core(flip(read(option, context))) for option in options)


def _core(words: Words) -> Words:
    """An option's words without articles and the like at its ends; all of them where nothing else is left."""
    words = plain(words)
    kept = [at for at, word in enumerate(words) if word not in fillers()]
    return words[kept[0] : kept[-1] + 1] if kept else words


def _named(case: Case, texts: Sequence[Words]) -> set[int]:
    """The options whose whole text is stated; an option inside a longer one that is stated too does not count."""
    words = _without_reasons(case.prediction)
    denied = denials(words)
    spans = []
    for number, text in enumerate(texts):
        for at in range(len(words) - len(text) + 1):
            if text and words[at : at + len(text)] == text:
                last = at + len(text) - 1
                stated = not denied[last] or (text[0] == "no" and not denied[at])
                spans.append((at, last, number, stated))
    inside = {s for s in spans for o in spans if (o[0] <= s[0] and s[1] <= o[1]) and (o[1] - o[0] > s[1] - s[0])}
    return {number for at, last, number, stated in spans if stated and (at, last, number, stated) not in inside}


def _without_reasons(words: Words) -> Words:
    """The words up to where an explanation starts, which may well name the other options."""
    starts = word_set("alternatives", "reasons")
    end = next((at for at, word in enumerate(words) if word in starts and at), len(words))
    return words[:end]


def _other_label(case: Case, text: Words) -> bool:
    """Whether a letter is followed by a short text that is not its option's."""
    raw = undress(case.raw_prediction)
    match = re.match(r"\W*(?:option|choice|answer)?\W*[A-Za-z]\s?[).:\],-]\s*(\S.*)", raw, re.IGNORECASE | re.DOTALL)
    if not match:
        return False
    label = (
        {word for word in content(read(match.group(1))) if word not in fillers()}
        - set(plain(case.question))
        - {"no", "not"}
    )
    if not label or len(label) > _LABEL:
        return False
    return not label & set(text) or conflict(text, label) is not None
