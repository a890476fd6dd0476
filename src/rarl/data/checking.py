"""What an example must be before a run starts on it: hours later, the same mistake costs hours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rarl.grading.kinds import CLOSED
from rarl.types import Example, Fact, QuestionKind

RESERVED = re.compile(r"<\|[a-z_]+\|>")  # what the chat format of the supported models marks turns and images with


def trouble(example: Example) -> str | None:
    """Why the example cannot be used, or None. The files of its images are not looked at."""
    return _wrong_type(example) or _wrong_text(example)


def _wrong_type(example: Example) -> str | None:
    for name in ("id", "cluster", "question", "answer"):
        if not isinstance(getattr(example, name), str):
            return f"its {name} must be a text (got {getattr(example, name)!r})"
    for name in ("modality", "task", "rationale"):
        if not isinstance(getattr(example, name), str | None):
            return f"its {name} must be a text or None (got {getattr(example, name)!r})"
    if not isinstance(example.kind, QuestionKind):
        return f"its kind must be a QuestionKind (got {example.kind!r})"
    for name in ("images", "options", "facts", "references"):
        if not isinstance(getattr(example, name), tuple | list):
            return f"its {name} must be a tuple (got {getattr(example, name)!r})"
    if not all(hasattr(image, "read") and hasattr(image, "name") for image in example.images):
        return "its images must be ImageSources, as FileImage(path) is"
    for name in ("options", "references"):
        if not all(isinstance(text, str) for text in getattr(example, name)):
            return f"its {name} must be texts"
    if not all(isinstance(fact, Fact) for fact in example.facts):
        return "its facts must be Facts"
    return None


def _wrong_text(example: Example) -> str | None:
    for name in ("id", "question", "answer"):
        if not getattr(example, name).strip():
            return f"it has no {name}"
    if not all(reference.strip() for reference in example.references):
        return "one of its references is empty"
    if example.references and (example.options or example.kind in CLOSED):
        return "a choice, or a question of yes or no, has one right answer; this has references besides"
    texts = (*example.options, *example.references)
    shown = (example.id, example.question, example.answer, example.rationale or "", *texts)
    named = (example.cluster, example.modality or "", example.task or "", *_texts_of(example.facts))
    for text in (*shown, *named):
        try:
            text.encode()
        except UnicodeEncodeError:
            return f"{text[:40]!r} is no valid Unicode"
    for text in shown:
        reserved = RESERVED.search(text)
        if reserved:
            return f"its text must not contain {reserved[0]}, which marks turns and images for the model"
    return None


def _texts_of(facts: Iterable[Fact]) -> Iterator[str]:
    for fact in facts:
        yield from map(str, (fact.name, fact.value, *fact.alternatives))
