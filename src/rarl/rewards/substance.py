"""Reward substance: does the reasoning say something about this image, in its own words and once?"""

from __future__ import annotations

import re

from rarl.rewards.columns import Row, asks_for_reasoning, rowwise
from rarl.rewards.wording import addresses_judge, content_words, padded, sentences, wording, words

ENOUGH_CONTENT = 3  # distinct content words from which on nothing more is earned
ENOUGH_OWN = 2  # of these, such as neither the prompt nor the answer holds
PENALTY = 0.5  # what each hollow sentence leaves of the value
COPIED = 5  # so many words in a row that stand in the prompt are a copy
_NEGATORS = frozenset({"no", "not", "without", "none"})
_PIECE = re.compile(r"[,;:/|&]")


@rowwise(applies=asks_for_reasoning, needs="a prompt that asks for reasoning")
def substance(row: Row) -> float:
    """What `substance_of` finds in the reasoning."""
    return substance_of(row)


def substance_of(row: Row) -> float:
    """min(1, content / 3, own content / 2) x 0.5 ^ hollow sentences.

    Content are distinct content words outside hollow sentences; own are those that neither the prompt nor the answer
    holds. Hollow: boilerplate, no content word, copied from the prompt, said before, repeated words, a bare list of
    words or of the options. Nothing is earned beyond three content words, so length never pays. 0 for talk to whoever
    scores.
    """
    reasoning = row.parsed.reasoning
    if not reasoning or addresses_judge(reasoning):
        return 0.0
    answer = set(content_words(row.parsed.answer or ""))
    prompt = padded(words(row.prompt or row.question)) + padded(words(" ".join(row.options)))
    content: set[str] = set()
    said: list[tuple[frozenset[str], frozenset[str]]] = []
    hollow = 0
    for sentence in sentences(reasoning):
        claim = _claim(sentence)
        if _is_hollow(sentence, prompt, row.options) or any(_same(claim, earlier, answer) for earlier in said):
            hollow += 1
        else:
            content |= claim[0]
            said.append(claim)
    own = content - answer - set(content_words(row.prompt or row.question))
    return min(1.0, len(content) / ENOUGH_CONTENT, len(own) / ENOUGH_OWN) * PENALTY**hollow


def _claim(sentence: str) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(content_words(sentence)), _NEGATORS & frozenset(words(sentence))


def _same(a: tuple[frozenset[str], frozenset[str]], b: tuple[frozenset[str], frozenset[str]], answer: set[str]) -> bool:
    """Four fifths of the content, under the same negations; only the answer may be named again by itself."""
    (content, negators), (earlier, earlier_negators) = a, b
    if negators != earlier_negators or content <= answer:
        return False
    return len(content & earlier) >= 0.8 * len(content | earlier)


def _is_hollow(sentence: str, prompt: str, options: tuple[str, ...]) -> bool:
    tokens, content = words(sentence), content_words(sentence)
    return (
        not content
        or wording().hollow_phrases.search(padded(tokens)) is not None
        or _copied(tokens, prompt)
        or _loops(tokens)
        or _is_bare_list(sentence)
        or _lists_options(tokens, options)
    )


def _copied(tokens: tuple[str, ...], prompt: str) -> bool:
    """Half of the sentence or more stands in the prompt as runs of five words."""
    starts = range(len(tokens) - COPIED + 1)
    covered = {i + k for i in starts if padded(tokens[i : i + COPIED]) in prompt for k in range(COPIED)}
    return 2 * len(covered) >= len(tokens) > 0


def _loops(tokens: tuple[str, ...]) -> bool:
    """The same words over and over: under 60 % of the runs of three, or half of four and more words, are distinct."""
    runs = list(zip(tokens, tokens[1:], tokens[2:], strict=False))
    if len(runs) >= 6 and len(set(runs)) < 0.6 * len(runs):
        return True
    return len(tokens) >= 4 and len(set(tokens)) <= len(tokens) / 2


def _is_bare_list(sentence: str) -> bool:
    """Six or more pieces of one or two words each, or eight words without any of grammar: keywords, not a sentence."""
    pieces = [words(piece) for piece in _PIECE.split(sentence)]
    if len(pieces) >= 6 and sum(map(len, pieces)) <= 2 * len(pieces):
        return True
    tokens = words(sentence)
    return len(tokens) >= 8 and wording().function_words.isdisjoint(tokens)


def _lists_options(tokens: tuple[str, ...], options: tuple[str, ...]) -> bool:
    """Names at least three options, and all of them but one at most."""
    text = padded(tokens)
    named = sum(padded(words(option)) in text for option in options)
    return named >= max(3, len(options) - 1)
