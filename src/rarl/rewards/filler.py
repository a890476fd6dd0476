"""Sentences that only fill, by their form: questions, orders, lists, loops, copies, boilerplate, invented precision."""

from __future__ import annotations

import re
from itertools import groupby

from rarl.rewards.wording import NEGATORS, content_words, padded, wording, words

COPIED = 5  # so many words in a row that stand in the prompt are a copy
LISTED = 6  # so many names in a row are a list of keywords
BARE = 5  # or so many single words, and nothing else
STRUNG = 8  # or so many words without one of grammar between them
_PIECE = re.compile(r"[,;:/|&#•·]|\b(?:and|or|vs|versus)\b", re.IGNORECASE)
_ASKS = re.compile(r"\?\W*$")
_INVENTED = re.compile(  # more digits than anyone reads off a picture, and sources that it does not show
    r"\d{2}\.\d{2}|\d\.\d{3}|\d+\.\d+\s*%|\b\d{4}\s*[;)]|\bp\s*[<=]\s*0?\.\d|(?:\d\.\d\D+){4}|\bet al\b|\[\d+\]",
    re.IGNORECASE,
)


def is_filler(sentence: str, body: str) -> bool:
    """Says nothing of the image, whatever words are in it. `body` is the sentence without a number or heading."""
    known, tokens = wording(), words(body)
    return (
        not tokens
        or _ASKS.search(sentence) is not None
        or tokens[0] in known.imperatives
        or known.hollow_phrases.search(padded(tokens)) is not None
        or sum(word in known.hedges for word in tokens) >= 2
        or _INVENTED.search(sentence) is not None
        or _tells_how(tokens)
        or _loops(tokens)
        or _is_bare_list(body, tokens, open_ended=not (known.hedges | known.alternatives).isdisjoint(words(sentence)))
        or _leaves_open(tokens)
    )


def is_copied(tokens: tuple[str, ...], prompt: str) -> bool:
    """Half of the sentence or more stands in the prompt as runs of five words."""
    starts = range(len(tokens) - COPIED + 1)
    covered = {i + k for i in starts if padded(tokens[i : i + COPIED]) in prompt for k in range(COPIED)}
    return 2 * len(covered) >= len(tokens) > 0


def _tells_how(tokens: tuple[str, ...]) -> bool:
    """Whether it says what the writer did: "I located the tube, then compared it with the landmarks"."""
    return not {"i", "we"}.isdisjoint(tokens) and len(wording().process & set(tokens)) > 1


def _loops(tokens: tuple[str, ...]) -> bool:
    """The same words over and over: under 60 % of the runs of three, or half of four and more words, are distinct."""
    runs = list(zip(tokens, tokens[1:], tokens[2:], strict=False))
    if len(runs) >= 6 and len(set(runs)) < 0.6 * len(runs):
        return True
    stutters = any(len({*run}) == 1 for run in runs)
    return stutters or (len(tokens) >= 4 and len(set(tokens)) <= len(tokens) / 2)


def _is_bare_list(sentence: str, tokens: tuple[str, ...], open_ended: bool) -> bool:
    """Names in a row: keywords, or everything that it could be. Not what is denied, nor what is called normal."""
    if len(tokens) >= STRUNG and wording().function_words.isdisjoint(tokens):
        return True
    if any(_longest_string(words(piece)) >= STRUNG for piece in _PIECE.split(sentence)):
        return True  # with a sentence behind it as well
    names = [words(piece) for piece in _PIECE.split(sentence)]
    if len(names) >= BARE and all(len(name) == 1 for name in names):
        return True
    run: list[tuple[str, ...]] = []
    for piece in (*map(words, _PIECE.split(sentence)), ("",) * 9):
        if len(piece) > 8 or len(content_words(" ".join(piece))) > 2:
            if len(run) >= (3 if open_ended else LISTED) and not _is_said_of_all(run[0], run[-1]):
                return True
            run = []
        elif content_words(" ".join(piece)):
            run.append(piece)
    return False


def _longest_string(tokens: tuple[str, ...]) -> int:
    """The most words in a row without one of grammar."""
    grammar = wording().function_words
    runs = (list(group) for plain, group in groupby(tokens, grammar.__contains__) if not plain)
    return max((sum(len(word) > 1 and word.isalpha() for word in run) for run in runs), default=0)


def _is_said_of_all(first: tuple[str, ...], last: tuple[str, ...]) -> bool:
    """Whether a list denies its members, or calls them normal: "no mass, ...", "liver, ... and spleen are normal"."""
    return not NEGATORS.isdisjoint(first) or (len(last) > 1 and not wording().sound.isdisjoint(last))


def _leaves_open(tokens: tuple[str, ...]) -> bool:
    """Joins what excludes each other by "or": left or right, small or large."""
    said = set(tokens)
    if said.isdisjoint({"or", "vs", "versus"}) or said & NEGATORS:
        return False
    return any(len(said & set(group)) > 1 for group in wording().opposites)


def lists_options(tokens: tuple[str, ...], options: tuple[str, ...]) -> bool:
    """Names at least three options, and all of them but one at most."""
    text = padded(tokens)
    named = sum(padded(words(option)) in text for option in options)
    return named >= max(3, len(options) - 1)
