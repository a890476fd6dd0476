"""The records of an evaluation on disk: one row a question, appended as answers come, never lost nor doubled."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rarl.errors import RunFolderError
from rarl.files import append_text, read_json, read_rows, write_json, write_text
from rarl.prompting import parse
from rarl.types import EvalRecord, Finish, Grade, QuestionKind, Shape, Verdict

RECORDS, SETTINGS = "records.jsonl", "settings.json"
WEIGHTS = "adapter_sha256"  # of settings
VERDICTS = "verdicts.jsonl"  # a judge's, on their way into the records


def read_records(folder: str | Path) -> list[EvalRecord]:
    """The records in an evaluation's folder, in the order they were made. RunFolderError if there are none."""
    path = Path(folder) / RECORDS
    if not path.is_file():
        raise RunFolderError(f"{folder} holds no {RECORDS}; give the folder of an evaluation")
    try:
        return [_record(row) for row in read_rows(path)]
    except (KeyError, TypeError, ValueError) as error:
        raise RunFolderError(f"{path} was damaged: a row is no record ({type(error).__name__}: {error})") from None


def resume(folder: Path, settings: Mapping[str, Any]) -> list[EvalRecord]:
    """What an earlier, killed evaluation under the same settings left; a row that was cut short is dropped.

    A new folder gets the settings written down. Errors: RunFolderError where they differ, or where the folder holds
    something else.
    """
    known = json.loads(json.dumps(settings))
    if not (folder / SETTINGS).is_file():
        if folder.exists() and (not folder.is_dir() or any(path.name[0] != "." for path in folder.iterdir())):
            raise RunFolderError(f"{folder} exists and is no evaluation; choose another folder, or remove it")
        write_json(folder / SETTINGS, known)
        return []
    remedy = "choose another folder, or remove it"
    before = read_json(folder / SETTINGS)
    if before.get(WEIGHTS) and before[WEIGHTS] == known.get(WEIGHTS):
        known = {**known, "adapter": before["adapter"]}  # wherever it is now, or is called from
    require_same(before, known, f"{folder} holds an evaluation", remedy)
    path = folder / RECORDS
    if not path.is_file():
        return []
    drop_cut_row(path)
    records = read_records(folder)
    if len({record.id for record in records}) < len(records):
        raise RunFolderError(f"{path} has a question twice: two evaluations wrote to it; remove it and run again")
    return records


def append(folder: Path, records: Iterable[EvalRecord]) -> None:
    """Writes the records behind those already there."""
    append_rows(folder / RECORDS, map(_row, records))


def rewrite(folder: Path, records: Iterable[EvalRecord]) -> None:
    """Puts the records in the place of those that are there; a kill leaves the one or the other."""
    write_text(folder / RECORDS, "".join(map(_line, map(_row, records))))


def append_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes rows behind those already there, and doesn't return before they are on disk."""
    append_text(path, "".join(map(_line, rows)), lasting=True)


def require_same(old: Mapping[str, Any], new: Mapping[str, Any], what: str, remedy: str) -> None:
    """RunFolderError for the first setting that is another one; of tables within, for the first of theirs."""
    for key in dict.fromkeys((*new, *old)):
        was, now = old.get(key), new.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            require_same(was, now, what, remedy)
        elif was != now:
            raise RunFolderError(f"{what} with {key} = {was!r}, not {now!r}; {remedy}")


def drop_cut_row(path: Path) -> None:
    """Removes what a kill left of a row behind the last whole one."""
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    if end < len(data):
        os.truncate(path, end)


def kept_completion(record: EvalRecord) -> str:
    """The completion that the record's answer and reasoning are from: the first that gave the voted answer."""
    same = (text for text in record.completions if (parse(text, record.shape).answer or None) == record.answer)
    return next(same, record.completions[0])


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _row(record: EvalRecord) -> dict[str, Any]:
    return {**dataclasses.asdict(record), "completion": kept_completion(record)}


def _record(row: Mapping[str, Any]) -> EvalRecord:
    """What a row of an earlier version lacks is as the record has it by default."""
    known = {field.name for field in dataclasses.fields(EvalRecord)}
    fields = {name: value for name, value in row.items() if name in known}
    fields["kind"] = QuestionKind(row["kind"])
    fields["shape"] = Shape(row["shape"])
    fields["completions"] = tuple(row["completions"])
    fields["options"] = tuple(row.get("options", ()))
    fields["references"] = tuple(row.get("references", ()))
    fields["verdicts"] = {axis: Verdict(**verdict) for axis, verdict in row.get("verdicts", {}).items()}
    fields["finishes"] = tuple(Finish(finish) for finish in row["finishes"])
    fields["grade"] = Grade(**{**row["grade"], "kind": QuestionKind(row["grade"]["kind"])})
    return EvalRecord(**fields)
