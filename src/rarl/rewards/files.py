"""`rarl score`: the rewards of completions in a file, so that anyone can check them on cases of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

from rarl.errors import DataError, RunFolderError
from rarl.files import require_free, write_text
from rarl.grading import derive_kind
from rarl.grading.files import golds_of, options_of
from rarl.prompting import Pool, ask
from rarl.rewards.combine import Scorer
from rarl.terminal import progress
from rarl.types import Example, Fact, Finish, Prompt, QuestionKind, Rollout, Score, Shape

T = TypeVar("T")

BATCH = 256  # rows scored at once
ADDED = ("parts", "total", "not_applicable")


@dataclass(frozen=True, slots=True)
class ScoredFile:
    """How many rows were scored, and the means over those that could be."""

    rows: int
    unscored: int  # rows without a total
    total: float | None
    parts: Mapping[str, float | None]


def score_file(source: Path, out: Path, scorer: Scorer, pool: Pool) -> ScoredFile:
    """Score every row of a JSONL file and write it, with all its own fields, to `out`.

    A row has question, gold (a text, or a list of right ones), options (a list or null) and completion, and may have
    kind, shape ("think" where there is none), rationale and facts. `parts` holds every reward that applies, null where
    it could not be scored; `not_applicable` names the others; `total` is what training would pay, or null. The prompt
    is the pool's own for that shape. Errors: DataError for a row that is none of this, by file and line; RunFolderError
    if `out` is there.
    """
    require_free(out)
    rows = list(_rows(source))
    if not rows:
        raise DataError(f"{source} holds no rows; each line is an object with question, gold and completion")
    rollouts = [_rollout(row, place, pool) for place, row in rows]
    scores: list[Score] = []
    for start in progress(range(0, len(rollouts), BATCH), "scoring", total=-(-len(rollouts) // BATCH)):
        scores += scorer.score(rollouts[start : start + BATCH])
    names = list(scorer.weights)
    scored = (_scored(row, score, names) for (_, row), score in zip(rows, scores, strict=True))
    try:
        write_text(out, "".join(map(_line, scored)))
    except OSError as error:
        raise RunFolderError(f"cannot write {out}: {error.strerror}") from None
    return _summary(scores, names)


def _line(row: Mapping[str, Any]) -> str:
    """One row as JSON; escaped throughout where a text has half a character, which no file can hold."""
    line = json.dumps(row, ensure_ascii=False) + "\n"
    return line if _is_whole(line) else json.dumps(row) + "\n"


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _scored(row: Mapping[str, Any], score: Score, names: Sequence[str]) -> dict[str, Any]:
    absent = [name for name in names if name not in score.parts]
    return {**row, "parts": dict(score.parts), "total": score.total, "not_applicable": absent}


def _summary(scores: Sequence[Score], names: Sequence[str]) -> ScoredFile:
    totals = [score.total for score in scores]
    parts = {name: _mean([score.parts.get(name) for score in scores]) for name in names}
    return ScoredFile(len(scores), totals.count(None), _mean(totals), parts)


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return fmean(there) if there else None


def _rows(source: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row with its place, "FILE, line N"; empty lines are skipped."""
    try:
        text = source.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{source} can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{source} is not UTF-8 text: {error}") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            place = f"{source}, line {number}"
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                raise DataError(f"{place}: not JSON; one object a line is needed") from None
            if not isinstance(row, dict):
                raise DataError(f"{place}: {line.strip():.40}; an object with question, gold and completion is needed")
            taken = [name for name in ADDED if name in row]
            if taken:
                raise DataError(f"{place}: has a field {taken[0]!r} already, which scoring adds; rename it")
            yield place, row


def _rollout(row: Mapping[str, Any], place: str, pool: Pool) -> Rollout:
    """The row as a completion of a prompt; its tokens, which no shipped reward reads, are its words."""
    text = _text(row, "completion", place)
    tokens = tuple(range(len(text.split())))
    return Rollout(_prompt(row, place, pool), tokens, (0.0,) * len(tokens), text, Finish.STOP, seed=0)


def _prompt(row: Mapping[str, Any], place: str, pool: Pool) -> Prompt:
    question, options = _text(row, "question", place), _read(place, options_of, row)
    gold, *references = [""] if row.get("gold") is None else _read(place, golds_of, row)
    shape = _one_of(Shape, row.get("shape") or Shape.THINK, "shape", place)
    kind = row.get("kind") or derive_kind(question, gold, options)
    example = Example(
        id=place,
        cluster=place,
        images=(),
        question=question,
        answer=gold,
        references=tuple(references),
        options=options,
        kind=_one_of(QuestionKind, kind, "kind", place),
        rationale=_text(row, "rationale", place) if row.get("rationale") is not None else None,
        facts=tuple(_facts(row.get("facts"), place)),
    )
    template = next((t for t in (pool.reasoning, pool.direct, *pool.templates) if t.shape is shape), None)
    if template is None:
        raise DataError(f"{place}: the pool {pool.name!r} has no instruction of the shape {shape.value!r}")
    return ask(example, template)


def _read(place: str, read: Callable[..., T], *given: Any) -> T:
    """What grading reads of a row, its errors with the place."""
    try:
        return read(*given)
    except DataError as error:
        raise DataError(f"{place}: {error}") from None


def _one_of(kinds: Any, value: Any, name: str, place: str) -> Any:
    try:
        return kinds(value)
    except ValueError:
        raise DataError(f"{place}: {name} must be one of {', '.join(kinds)} (got {value!r})") from None


def _text(row: Mapping[str, Any], name: str, place: str) -> str:
    if name not in row:
        raise DataError(f"{place}: the field {name!r} is missing")
    if not isinstance(row[name], str):
        raise DataError(f"{place}: {name} must be a text (got {row[name]!r:.60})")
    return str(row[name])


def _texts(values: Any, name: str, place: str) -> tuple[str, ...]:
    if values is None:
        return ()
    if not isinstance(values, list) or not all(isinstance(value, str | int | float) for value in values):
        raise DataError(f"{place}: {name} must be a list of texts or null (got {values!r:.60})")
    return tuple(map(str, values))


def _facts(values: Any, place: str) -> Iterator[Fact]:
    """Facts as tables of name, value and alternatives; also as {name: value or values}, or as phrases that hold."""
    if isinstance(values, dict):
        lists = ((name, value if isinstance(value, list) else [value]) for name, value in values.items())
        values = [{"name": name, "value": value} for name, each in lists for value in each]
    elif isinstance(values, str):
        values = [values]
    if not isinstance(values or [], list):
        raise DataError(f"{place}: facts must be a list of tables or of phrases (got {values!r:.60})")
    for fact in values or ():
        fact = {"name": fact, "value": fact} if isinstance(fact, str) else fact
        if not isinstance(fact, dict) or not isinstance(fact.get("name"), str):
            raise DataError(f"{place}: a fact must be a table with name and value (got {fact!r:.60})")
        value = fact.get("value")
        if isinstance(value, dict | list) or not fact["name"].strip():
            raise DataError(f"{place}: a fact's value must be a text, a number, true, false or null (got {fact!r:.60})")
        alternatives = _texts(fact.get("alternatives"), "alternatives of a fact", place)
        yield Fact(fact["name"], None if value is None else str(value), alternatives)
