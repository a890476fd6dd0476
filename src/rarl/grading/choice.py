"""One of several options: by letter in any dress, by text, and never by what comes nearest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import pairwise, takewhile

from rarl.grading.case import (
    Case,
    Outcome,
    asks_for_absence,
    denies_the_question,
    hedged,
    plain,
    right,
    sentences_with,
    wrong,
)
from rarl.grading.denials import denials
from rarl.grading.kinds import gold_option
from rarl.grading.letters import Claim, claims, reasons_after
from rarl.grading.lexicon import lexicon
from rarl.grading.reading import content, context_of, read
from rarl.grading.slots import conflict, flip
from rarl.grading.tables import Words, fillers, word_set
from rarl.grading.undressing import undress

_LABELLED = re.compile(r"\s?[).:\],-]+\s*([^\s.;\n][^.;\n]*)")


def grade_choice(case: Case, gold: str, options: Sequence[str], question: str) -> Outcome:
    """Right when letter and text, whichever are given, name the gold option and no other."""
    target = gold_option(gold, options)
    assert target is not None
    context = context_of(question, gold)
    texts = _texts(tuple(options), context)
    missing = asks_for_absence(case.question, case.prediction)
    lettered = claims(case.raw_prediction, options, question if missing else "")
    letters = {claim.option for claim in lettered}
    stated = _up_to_reasons(case.raw_prediction, lettered[0].end) if lettered else None
    bare = any(map(str.isdecimal, case.raw_prediction))
    named = _named(flip(read(stated, context)) if stated else case.prediction, texts, bare, missing)
    if len(letters) > 1:
        return wrong("several letters")
    labels = ((case.raw_prediction, claim, texts[claim.option]) for claim in lettered)
    if letters and (named - letters or any(_other_label(*label) for label in labels)):
        return wrong("letter and text contradict each other")
    if len(named) > 1:
        return wrong("several options")
    if not letters and any(_joined_to_another(case.prediction, option, texts) for option in named):
        return wrong("several options")
    own = (set(texts[option]) - set(case.question) for option in named if "no" not in texts[option])
    if any(denies_the_question(case, words) for words in own):
        return wrong("denied")
    chosen = letters or named
    if not chosen:
        return wrong("no option named")
    wanted = {chr(ord("a") + letter) for letter in letters} or {word for option in chosen for word in texts[option]}
    if hedged(case, sentences_with(case.prediction, wanted)):
        return wrong("hedged")
    rule = "letter" if letters else "option's text"
    return right(rule) if chosen == {target} else wrong(rule)


def _up_to_reasons(raw: str, start: int) -> str:
    text = undress(raw)
    return text[: reasons_after(text, start)]


@lru_cache(maxsize=1 << 12)
def _texts(options: tuple[str, ...], context: frozenset[str]) -> tuple[Words, ...]:
    whole = [plain(flip(read(option, context))) for option in options]
    cores = [_core(words) for words in whole]
    if len({*cores}) < len(cores):  # "high" and "very high"
        return tuple(whole)
    return tuple(cores)


def _core(words: Words) -> Words:
    """An option's words without articles and the like at its ends; all of them where nothing else is left."""
    words = plain(words)
    kept = [at for at, word in enumerate(words) if word not in fillers()]
    return words[kept[0] : kept[-1] + 1] if kept else words


def _named(words: Words, texts: Sequence[Words], bare: bool, missing: bool = False) -> set[int]:
    """The options whose whole text is stated; an option inside a longer one that is stated too does not count.

    Where none is, the one option that has the same meaningful words in another order. `bare`: it holds a digit,
    which may be an option's too. `missing`: the question asks for what is not there.
    """
    denied = denials(_rejected(words))
    if missing and _tells_of_presence(words):
        denied = tuple([not no for no in denied])  # "which is not seen?", "fever is absent"
    places: dict[str, list[int]] = {}
    for at, word in enumerate(words):
        places.setdefault(word, []).append(at)
    spans = []
    for number, text in enumerate(texts):
        for at in places.get(text[0], ()) if text else ():
            if words[at : at + len(text)] == text:
                last = at + len(text) - 1
                stated = (not denied[last] or (text[0] == "no" and not denied[at])) and words[at - 1 : at] != ("not",)
                spans.append((at, last, number, stated))
    if not spans and True not in denied:
        return _alike(words, texts, bare)
    inside = {s for s in spans for o in spans if (o[0] <= s[0] and s[1] <= o[1]) and (o[1] - o[0] > s[1] - s[0])}
    found = {span[2] for span in spans if span[3] and span not in inside}
    if len(found) > 1 and True in denied:
        found -= {number for number, text in enumerate(texts) if text == ("no",)}  # "two rather than three"
    return found


def _tells_of_presence(words: Words) -> bool:
    """Whether an answer says of something that it is there or not: "fever is absent", "there is no fever"."""
    told = (word_set("negation", "seen") - {"there"}) | word_set("negation", "after") | word_set("negation", "missing")
    return not told.isdisjoint(words) or any(be in ("is", "are", "has") and no == "no" for be, no in pairwise(words))


def _rejected(words: Words) -> Words:
    """The words with what rejects options as a denial: "eliminate B", and as "excluded" behind "be"."""
    rejecting = word_set("alternatives", "rejecting")
    if rejecting.isdisjoint(words):
        return words
    passive = word_set("negation", "be")
    pairs = zip(words, ("", *words), strict=False)
    return tuple([("excluded" if last in passive else "no") if word in rejecting else word for word, last in pairs])


@cache
def _answers() -> frozenset[str]:
    return word_set("alternatives", "wrong") | word_set("alternatives", "right")


def _essential(words: Words) -> set[str]:
    """The words with a meaning, without those that others imply: "T2-weighted MRI" is "T2"."""
    meant, implied = set(content(words)), lexicon().implied
    return {word for word in meant if word not in implied or meant.isdisjoint(implied[word])} or meant


def _alike(words: Words, texts: Sequence[Words], bare: bool) -> set[int]:
    """The one option with the same meaningful words, where those that all options share need not be said."""
    said, options = _essential(words), [_essential(text) for text in texts]
    shared = set[str]() if bare else set.intersection(*options)
    own = said - shared
    same = {number for number, option in enumerate(options) if said == option or (own and own == option - shared)}
    return same if len(same) == 1 else set()


def _joined_to_another(words: Words, option: int, texts: Sequence[Words]) -> bool:
    """Whether a word shared with another option joins the two: "acute and chronic appendicitis", "tibia or fibula"."""
    text = texts[option]
    others = {word for other in texts for word in other if len(other) == 1 or word not in fillers()} - set(text)
    for at in range(len(words) - len(text) + 1):
        end = at + len(text)
        if words[at:end] == text:
            before = words[at - 2 : at - 1] if words[at - 1 : at] in (("and",), ("or",)) else ()
            behind = words[end + 1 : end + 2] if words[end : end + 1] in (("and",), ("or",)) else ()
            if others & {*before, *behind} or conflict(text, before) or conflict(text, behind):
                return True
    return False


def _other_label(raw: str, claim: Claim, text: Words) -> bool:
    """Whether the letter is followed by a label that is not its option's text."""
    match = _LABELLED.match(undress(raw), claim.end)
    if not match:
        return False
    words = [word for word in plain(read(match.group(1))) if word not in ("a", "an", "the")]
    label = tuple(takewhile(lambda word: word not in fillers(), words))
    if not label or label[0] in _answers() or set(words[len(label) :][:1]) & word_set("polarity", "verbs"):
        return False  # a sentence that explains, not a label
    return not set(label) & set(text) or conflict(text, label) is not None
