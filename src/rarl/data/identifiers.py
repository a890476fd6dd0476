"""What in a text looks as if it named a patient: a help for who looks through data, no promise that nothing is left."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rarl.types import Example

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_PATTERNS = {
    "date": re.compile(
        rf"\b(?:(?:19|20)\d\d([-/.])\d{{1,2}}\1\d{{1,2}}|\d{{1,2}}([-/.])\d{{1,2}}\2(?:19|20)\d\d"
        rf"|\d{{1,2}}\.? {_MONTH},? (?:19|20)\d\d|{_MONTH} \d{{1,2}},? (?:19|20)\d\d)\b",
        re.IGNORECASE,
    ),
    "e-mail": re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.-]+"),
    "telephone": re.compile(r"(?<![\w.])(?:\+\d{1,3}[ -]?)?(?:\(\d{2,5}\)|\d{2,5})[ -]\d{3,4}[ -]\d{3,5}\b"),
    "social security": re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"),
    "record number": re.compile(
        r"\b(?:mrn|medical record|accession|patient(?:'s)? (?:id|number|no))\b\W{0,3}(?:number|no|id)?\W{0,3}\w*\d{3}",
        re.IGNORECASE,
    ),
    "long number": re.compile(r"(?<![\w.])\d{7,}(?![\w.])"),
    "DICOM UID": re.compile(r"(?<![\w.])[0-2](?:\.\d+){5,}(?![\w])"),
    "name": re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof)\.? [A-Z][a-z]+"),
}
_FIELDS = ("question", "answer", "rationale")


class Suspect(NamedTuple):
    """Where something looks like an identifier, and what kind; the text itself stays where it is."""

    id: str
    field: str
    looks_like: str


def suspects(examples: Iterable[Example]) -> Iterator[Suspect]:
    """Each field of an example once for every kind of identifier that it seems to have."""
    for example in examples:
        for field in _FIELDS:
            text = getattr(example, field) or ""
            yield from (Suspect(example.id, field, kind) for kind, sign in _PATTERNS.items() if sign.search(text))
