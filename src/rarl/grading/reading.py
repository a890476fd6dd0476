"""From a text to normalised words and clause marks. Two texts that read the same are the same answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import chain

from rarl.grading.bounds import Bounds
from rarl.grading.lexicon import Phrases, indexed, lexicon, rewrite_words
from rarl.grading.numerals import arabic
from rarl.grading.spelling import Spellings, normal_form, put_right, roots, spellings
from rarl.grading.tables import Words, fillers, language, word_set
from rarl.grading.undressing import undress
from rarl.grading.units import in_base_units

MARKS = frozenset(".,;:?!()/\n")
SENTENCE_ENDS = frozenset(".;?!\n")
_DIRECTIONS = frozenset(("anterior", "posterior", "superior", "inferior", "medial", "lateral"))
_REMEMBERED = 1 << 16  # distinct words
_SPACED_RANGE = re.compile(r"(?<=\d) - (?=\d)")
_HEADED = re.compile(r"\A\W*(?:the |my |final )*answer\W*\n+")  # a line of its own
_DASHED_ANSWER = re.compile(r"\b(yes|no) - ")
_SPACED_LEVELS = re.compile(r"\b([clst]\d{1,2}) ?- ?(?=[clst]?\d)")

_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_LEVELS = re.compile(r"([clst])(\d{1,2})[-/]\1?(\d{1,2})")
_TOKEN = re.compile(
    r"[a-z]{3,}(?:'[a-z]+)*"  # most words, first since it is fast
    r"|[clst]\d{1,2}[-/][clst]?\d{1,2}(?!\w|\.\d)"  # l4-5  l4/l5
    r"|\d+(?:/\d+)+|\d+(?:[.,]\d+)*(?:st|nd|rd|th|[a-d](?![^\W_]))?"  # 10/10  3.4  1,000  4th  3a
    r"|[^\W\d_]{1,2}\d+[^\W\d_]{0,8}(?![^\W_])"  # t2  l5  t1w
    r"|[^\W\d_]+(?:'[^\W\d_]+)*"
    r"|(?<=[^\W\d_])/(?=[^\W\d_])"  # liver/spleen
    r"|(?<=\d)-(?=\d)"  # 2-3
    r"|[.,;:?!()\n%]"
)


class Reader:
    """Reads texts about one question.

    `context` holds words of the question and of the gold answer: they settle what an ambiguous abbreviation means.
    `right` holds words as they are spelled right: a slip of one letter in one of them is put right.
    """

    __slots__ = ("_context", "_right", "_settled")

    def __init__(self, context: frozenset[str] = frozenset(), right: Spellings | None = None) -> None:
        self._context = context
        self._right = right
        self._settled = _settled(context)

    def read(self, text: str) -> Words:
        """Normalised words and clause marks, synonyms rewritten to the term that stands for their group."""
        words = self.words(text)
        if self._settled:
            words = _rewrite_phrases(words, self._settled)
        return tuple(_bounds().joined(_rewrite_phrases(words, _phrases())))

    def words(self, text: str) -> list[str]:
        """The same before phrases and what waits for a context are rewritten."""
        found: Sequence[str] = _tokens(text)
        if right := self._right:
            unsure = (token for token in set(found) - _sure() if token[0] in right)
            slips = {token: meant for token in unsure if (meant := put_right(token, right, _sure())) != token}
            found = [slips.get(token, token) for token in found] if slips else found
        return in_base_units(list(chain.from_iterable(map(_TERMS.__getitem__, arabic(found, self._context)))))


def read(text: str, context: frozenset[str] = frozenset()) -> Words:
    """The text as a Reader with this context reads it, without putting slips right."""
    return _read(text, context)


@lru_cache(maxsize=1 << 13)
def _read(text: str, context: frozenset[str]) -> Words:
    return _reader(context).read(text)


@lru_cache(maxsize=1 << 12)
def _reader(context: frozenset[str]) -> Reader:
    return Reader(context)


@lru_cache(maxsize=1 << 13)
def context_of(*texts: str) -> frozenset[str]:
    """Those words of the texts that settle ambiguous abbreviations and Roman numerals."""
    return frozenset().union(*map(_settled_by, texts))


@lru_cache(maxsize=1 << 13)
def _settled_by(text: str) -> frozenset[str]:
    """With its phrases rewritten, and before."""
    return _settling().intersection((*read(text), *chain.from_iterable(map(_TERMS.__getitem__, _tokens(text)))))


def spellings_of(*texts: str) -> Spellings:
    """The long words of these texts as they are spelled."""
    return spellings(token for text in texts for token in _tokens(text))


def _lower(text: str) -> str:
    """Undressed, in lower case, words with a prefix in one: "extra-axial", "supra- and infratentorial"."""
    text = _HEADED.sub("", undress(text).lower())
    if "-" in text:
        text = _SPACED_RANGE.sub("-", _SPACED_LEVELS.sub(r"\1-", text))
        shared, joined = _prefixed()
        text = _DASHED_ANSWER.sub(r"\1, ", joined.sub(r"\1", shared.sub(r"\1\4 \2 \3\4", text)))
    return text


@lru_cache(maxsize=256)
def content(words: Words) -> Words:
    """The words that carry meaning; all words where none does."""
    empty = fillers()
    return tuple([word for word in words if word not in MARKS and word not in empty]) or tuple(
        [word for word in words if word not in MARKS]
    )


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
    first = phrase[:1]
    return any(
        words[start : start + 1] == first and words[start : start + len(phrase)] == phrase
        for start in range(len(words) - len(phrase) + 1)
    )


class _Remembered(dict[str, Words]):
    """What each text comes to, looked up as in any dict: a call a word would take most of the time."""

    def __init__(self, find: Callable[[str], Words]) -> None:
        self._find = find

    def __missing__(self, key: str) -> Words:
        if len(self) >= _REMEMBERED:
            self.clear()
        self[key] = words = self._find(key)
        return words


@lru_cache(maxsize=1 << 12)
def _tokens(text: str) -> tuple[str, ...]:
    """Words, numbers and marks as they are written."""
    return tuple(chain.from_iterable(map(_PIECES.__getitem__, _lower(text).replace("\n", " \n ").split(" "))))


@cache
def _prefixed() -> tuple[re.Pattern[str], re.Pattern[str]]:
    prefix = "|".join(language()["prefixes"]["words"])
    return (
        re.compile(rf"\b({prefix})-\s+(and|or)\s+({prefix})-?([a-z]{{3,}})"),
        re.compile(rf"\b({prefix})-(?=[a-z]{{3}})"),
    )


def _directions(token: str) -> Words | None:
    """ "posteroinferior" as posterior and lower; not the two projections."""
    if token in ("anteroposterior", "posteroanterior"):
        return None
    for prefix, direction in language()["prefixes"]["directions"].items():
        if token.startswith(prefix) and token[len(prefix) :] in _DIRECTIONS:
            return (direction, *rewrite_words((token[len(prefix) :],), lexicon().words))
    return None


def _term(token: str) -> Words:
    """One token as normalised words, single synonyms rewritten."""
    if token == "-":
        return ("to",)
    if token == "%":
        return ("percent",)
    if token[0] == "x" and token[1:].isdecimal():
        return ("x", _number(token[1:]))  # 2x3 cm, x40
    if directions := _directions(token):
        return directions
    if levels := _LEVELS.fullmatch(token):
        return (f"{levels[1]}{levels[2]}", f"{levels[1]}{levels[3]}")
    if token[0].isdecimal():
        token = _number(token)
    if token in MARKS or not token.replace("'", "").isalpha():
        return rewrite_words(re.split(r"[-/]", token) if token[0].isalpha() else (token,), lexicon().words)
    return rewrite_words(normal_form(token), lexicon().words)


_PIECES = _Remembered(lambda piece: tuple(_TOKEN.findall(piece)))  # what stands between spaces -> tokens
_TERMS = _Remembered(_term)


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


def _rewrite_phrases(words: list[str], phrases: Phrases) -> list[str]:
    """Each phrase of the table rewritten, the longest first, from left to right."""
    out: list[str] = []
    kept = 0  # words before it are in `out`
    for at in [at for at, word in enumerate(words) if word in phrases]:
        if at < kept:
            continue
        rows = phrases[words[at]]
        following = words[at + 1] if at + 1 < len(words) else None
        if following not in rows and None not in rows:
            continue
        for phrase, rewritten in (*rows.get(following, ()), *rows.get(None, ())):
            if len(phrase) < 3 or tuple(words[at : at + len(phrase)]) == phrase:
                out += words[kept:at]
                out += rewritten
                kept = at + len(phrase)
                break
    return out + words[kept:] if kept else words


@cache
def _sure() -> frozenset[str]:
    """Words that are no slip of another, and what their forms come from."""
    known = lexicon().known | fillers()
    return known.union(root for word in known for root in roots(word) if len(word) - len(root) > 1)


@cache
def _settling() -> frozenset[str]:
    return word_set("numerals", "graded").union(*(when for when, _ in lexicon().settled))


@lru_cache(maxsize=1 << 12)
def _settled(context: frozenset[str]) -> Phrases:
    return indexed(row for when, rows in lexicon().settled if not when.isdisjoint(context) for row in rows)


@cache
def _bounds() -> Bounds:
    reader = Reader()
    return Bounds(lambda phrase: _rewrite_phrases(reader.words(phrase), _phrases()))


@cache
def _phrases() -> Phrases:
    """The vocabulary's phrases, and what introduces an answer, which ends a clause: "the answer is", "answer:"."""
    rows: list[tuple[Words, Words]] = []
    for phrase in language()["lead_ins"]:
        words = tuple(word for token in phrase.split() for word in _term(token))
        told = words[-1] in ("is", "be")
        rows += [((*words, ":"), (".",)), *([(words, (".",))] if told else [])]
    return indexed((*lexicon().phrases, *rows))
