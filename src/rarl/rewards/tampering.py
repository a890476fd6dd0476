"""What is meant for whoever scores and not for whoever reads: talk to a judge, hidden characters, markup, code."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from rarl.rewards.wording import wording

_RUN = re.compile(r"[^\W\d_]{3,}")
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")  # have letters that pass for each other's
_HIDDEN = ("Cf", "Co", "Cn", "Cs")  # format characters (zero width, direction, tags), private and unassigned ones


@lru_cache(maxsize=16384)
def tampers(text: str) -> bool:
    """Whether a text talks to whoever scores it, or holds what a reader does not see or is not meant to read."""
    plain = unicodedata.normalize("NFKC", text)
    flat = " ".join(plain.lower().split())
    known = wording()
    return (
        known.judge_talk.search(flat) is not None
        or known.code.search(flat) is not None
        or (not text.isascii() and (_hides(text) or _mixes_scripts(plain)))
    )


def _hides(text: str) -> bool:
    return any(unicodedata.category(character) in _HIDDEN for character in text)


def _mixes_scripts(text: str) -> bool:
    """Whether a word has letters of two scripts, as in a Latin word with a Cyrillic "e"."""
    return any(not run.isascii() and len(_scripts(run)) > 1 for run in _RUN.findall(text))


def _scripts(run: str) -> set[str]:
    names = (unicodedata.name(letter, "").partition(" ")[0] for letter in run)
    return {name for name in names if name in _SCRIPTS}
