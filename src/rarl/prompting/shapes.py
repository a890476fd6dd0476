"""The shapes of a completion: `<think>` and `<answer>` blocks in a fixed order, read and written here only."""

import re
from dataclasses import dataclass

from rarl.errors import DataError
from rarl.types import Shape

_ORDER = {
    Shape.THINK: ("think", "answer"),
    Shape.DIRECT: ("answer",),
    Shape.THINK_AFTER: ("answer", "think"),
}
_TAG = re.compile(r"<(/?)(think|answer)>")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a completion says. None: no such block, or more than one, so nothing that could be meant."""

    reasoning: str | None
    answer: str | None
    well_formed: bool


def tags_of(shape: Shape) -> list[str]:
    """The tags of a completion of that shape, in order."""
    return [tag for kind in _ORDER[shape] for tag in (f"<{kind}>", f"</{kind}>")]


def tags_in(text: str) -> list[str]:
    """The tags that a text holds, in order."""
    return [tag.group() for tag in _TAG.finditer(text)]


def parse(text: str, shape: Shape) -> Parsed:
    """The blocks of a completion, and whether they are exactly the shape's, in order, with nothing outside.

    A block counts when its kind is opened and closed once in the whole text, with no tag inside, and when it does not
    start inside a block that is still open: an answer in an unclosed <think> is still thought, not answer. Tags are
    case-sensitive. A block may be empty: that is then an empty answer, which no grading accepts.
    """
    tags = list(_TAG.finditer(text))
    names = [tag.group() for tag in tags]
    blocks = {kind: _block(text, tags, names, kind) for kind in ("think", "answer")}
    well_formed = names == tags_of(shape) and not _outside(text, tags).strip()
    return Parsed(reasoning=blocks["think"], answer=blocks["answer"], well_formed=well_formed)


def _block(text: str, tags: list[re.Match[str]], names: list[str], kind: str) -> str | None:
    if names.count(f"<{kind}>") != 1 or names.count(f"</{kind}>") != 1:
        return None
    start = names.index(f"<{kind}>")
    if names[start + 1 : start + 2] != [f"</{kind}>"] or (start > 0 and not tags[start - 1].group(1)):
        return None
    return text[tags[start].end() : tags[start + 1].start()].strip()


def _outside(text: str, tags: list[re.Match[str]]) -> str:
    """The text before, between and after blocks, where `tags` alternate between opening and closing."""
    starts = [0, *(tag.end() for tag in tags[1::2])]
    ends = [*(tag.start() for tag in tags[0::2]), len(text)]
    return "".join(text[start:end] for start, end in zip(starts, ends, strict=True))


def render(shape: Shape, reasoning: str | None, answer: str) -> str:
    """A completion of that shape, single spaces around each content; `parse` gives the stripped contents back.

    Errors: DataError when the shape wants a reasoning and there is none, or when a content holds a tag itself.
    """
    contents = {"think": reasoning, "answer": answer}
    blocks = []
    for kind in _ORDER[shape]:
        content = contents[kind]
        if content is None:
            raise DataError(f"the shape {shape.value!r} needs a reasoning; use 'direct' where there is none")
        if tag := _TAG.search(content):
            raise DataError(f"the {kind} content holds the tag {tag.group()} itself: {content[:60]!r}; remove it")
        blocks.append(f"<{kind}> {content.strip()} </{kind}>")
    return " ".join(blocks)
