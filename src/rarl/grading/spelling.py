"""How a word is spelled: American, singular, contractions apart; and when another spelling is a slip of the pen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import takewhile

from rarl.grading.tables import Words, language

_ROOT = 4  # letters that two forms of a word share at least
_LONG = 6  # letters from which on a slip of one is forgiven
_MAKES_PLURAL = re.compile(r"(?:ss|x|ch|sh)es$")
_KEEPS_ITS_S = re.compile(r"(?:ss|us|is|as|os)$")
_OPERATION = re.compile(r"(?:ec|os|o)tom(?:y|ies)$")  # removed, opened for good, cut into: a letter apart

Spellings = Mapping[str, tuple[str, ...]]  # first letter -> words spelled right


@lru_cache(maxsize=1 << 16)
def normal_form(raw: str) -> Words:
    """A lower-case word as grading compares it."""
    if raw.endswith("n't") and raw != "n't":
        stem = raw[:-3]
        return ({"ca": "can", "wo": "will", "sha": "shall"}.get(stem, stem), "not")
    raw = raw.partition("'")[0]
    tables = language()
    if raw == "cannot":
        return ("can", "not")
    if raw in tables["numbers"]:
        return (str(tables["numbers"][raw]),)
    if raw in tables["ordinals"]:
        return (tables["ordinals"][raw],)
    for piece, spelled in tables["spelling"].items():
        raw = raw.replace(piece, spelled)
    if raw.endswith("ening"):
        raw = raw[:-3] + "ed"  # thickening is thickened
    if len(raw) > 6 and raw.endswith(("ally", "iorly", "ously")):
        raw = raw[:-2]  # laterally is lateral
    return (_singular(raw, tables["plurals"]),) if raw else ()


def _singular(text: str, irregular: Mapping[str, str]) -> str:
    if text in irregular:
        return irregular[text]
    if len(text) <= 3 or not text.endswith("s") or not text.isalpha():
        return text
    if text.endswith("ies"):
        return text[:-3] + "y" if len(text) > 4 else text
    if _MAKES_PLURAL.search(text):
        return text[:-2]
    if text.endswith("omas"):
        return text[:-1]
    return text if _KEEPS_ITS_S.search(text) else text[:-1]


@lru_cache(maxsize=1 << 12)
def roots(word: str) -> tuple[str, ...]:
    """What a word may come from: itself, and without each of the endings of its forms."""
    if not word.isalpha():
        return ()
    endings = ("", *language()["forms"]["endings"])
    return tuple([word.removesuffix(end) for end in endings if word.endswith(end) and len(word) - len(end) >= _ROOT])


def spellings(tokens: Iterable[str]) -> Spellings:
    """Those of the tokens that are long enough for a slip to be told from another word."""
    found: dict[str, tuple[str, ...]] = {}
    for token in sorted({token for token in tokens if len(token) >= _LONG and token.isalpha()}):
        found[token[0]] = (*found.get(token[0], ()), token)
    return found


def put_right(written: str, right: Spellings, sure: frozenset[str]) -> str:
    """The one word that this is a slip of; itself where there is none, or where a form of it is a word of its own.

    `sure` holds the words that are spelled right and their roots.
    """
    near = [word for word in right.get(written[0], ()) if abs(len(word) - len(written)) < 2]
    if (
        not near
        or len(written) < _LONG
        or written in near
        or not sure.isdisjoint({*normal_form(written), *roots(written)}.difference(near))
    ):
        return written
    meant = [word for word in near if _is_slip(written, word)]
    return meant[0] if len(meant) == 1 else written


def _is_slip(written: str, meant: str) -> bool:
    """One letter wrong, missing, too many, or two swapped; never the first."""
    if not written.isalpha():
        return False
    at = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(written, meant, strict=False)))
    a, b = written[at:], meant[at:]
    if not (a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])):
        return False
    did, does = _OPERATION.search(written), _OPERATION.search(meant)
    return did is None or does is None or did[0][:2] == does[0][:2]
