"""What a judge is given about one query: instructions outside, everything judged inside markers that it can't forge."""

from __future__ import annotations

import hashlib
import json
import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rarl.judges.rubrics import Rubric
from rarl.types import Fact, ImageSource, JudgeQuery

CODE_LENGTH = 20  # hex digits: too many to search for a text that holds its own code
# Of all widths, since tokenizers may normalise them, to single angle quotation marks, which stay what they are.
_BRACKETS = {ord(c): "\u2039" for c in "<\ufe64\uff1c"} | {ord(c): "\u203a" for c in ">\ufe65\uff1e"}
_CONTROL = re.compile(r"\[(/?[A-Z_]{3,})\]")  # [INST], [/INST]: control tokens of some chat formats


@dataclass(frozen=True, slots=True)
class Sheet:
    """Instructions (`system`), then the marked texts and the task (`user`), and images for a judge that sees them."""

    system: str
    user: str
    images: tuple[ImageSource, ...] = ()

    def digest(self) -> str:
        """A hash of all that the judge is given, pixels included. DataError for an image that can't be read."""
        digest = hashlib.sha256(json.dumps([self.system, self.user]).encode())
        for source in self.images:
            image = source.read()
            digest.update(f"{image.mode} {image.size} ".encode() + image.tobytes())
        return digest.hexdigest()


def sheet(query: JudgeQuery, rubric: Rubric, *, images: bool = False) -> Sheet:
    """The query under the rubric. `images`: whether the judge gets them.

    The markers bear a code that is a hash of everything between them: the same for the same query, and not to be known
    to whoever writes a text, as it changes with that text. What could pass for a marker inside is made harmless.
    """
    shown = [(label, neutral(text)) for field, label in rubric.shows.items() if (text := _text(query, field))]
    code = hashlib.sha256(json.dumps([rubric.sha256, shown]).encode()).hexdigest()[:CODE_LENGTH]
    blocks = [f"<<<{label} {code}>>>\n{text}\n<<<end {label} {code}>>>" for label, text in shown]
    attached = query.images if images else ()
    anchors = "\n".join(f"{score}: {anchor}" for score, anchor in enumerate(rubric.anchors))
    seen = rubric.seen["with_images" if attached else "without_images"]
    system = rubric.system.replace("{anchors}", anchors).replace("{seen}", seen).replace("{code}", code)
    return Sheet(system, "\n\n".join([*blocks, rubric.task.replace("{code}", code)]), attached)


def neutral(text: str) -> str:
    """A text without anything that markers or chat formats are made of; to a reader it says the same.

    Angle brackets become look-alikes, so there is no marker, tag or control token (`<|im_end|>`, `</think>`) in it;
    bracketed capitals (`[INST]`) get round brackets; characters that one can't see, but a model can, are dropped.
    """
    text = text.translate(_BRACKETS).replace("\r\n", "\n")
    visible = (c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))
    return _CONTROL.sub(r"(\1)", "".join(visible)).strip()


def _text(query: JudgeQuery, field: str) -> str:
    value: Any = getattr(query, field)
    if field == "options":
        return "\n".join(f"{letter}) {option}" for letter, option in zip(_letters(value), value, strict=True))
    if field == "facts":
        return "\n".join(dict.fromkeys(map(_fact, value)))
    if field == "gold":
        return "\nor: ".join(each for each in (value, *query.references) if each)
    return value or ""


def _letters(options: Sequence[str]) -> Sequence[str]:
    """As the policy's prompt names them; beyond the alphabet, numbers."""
    alphabet = string.ascii_uppercase
    return alphabet[: len(options)] if len(options) <= len(alphabet) else [str(i + 1) for i in range(len(options))]


def _fact(fact: Fact) -> str:
    if fact.value is not None:
        return f"{fact.name}: {fact.value}"
    return f"{fact.name}: none of {', '.join(fact.alternatives)}" if fact.alternatives else f"{fact.name}: none"
