"""The records of an evaluation on disk: one row a question, appended as answers come, never lost nor doubled."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rarl.errors import RunFolderError
from rarl.prompting import parse
from rarl.runlog import read_json, read_rows, write_json
from rarl.types import EvalRecord, Finish, Grade, QuestionKind, Shape

RECORDS, SETTINGS = "records.jsonl", "settings.json"


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
    _compare(read_json(folder / SETTINGS), known, folder)
    path = folder / RECORDS
    if not path.is_file():
        return []
    _drop_cut_row(path)
    records = read_records(folder)
    if len({record.id for record in records}) < len(records):
        raise RunFolderError(f"{path} has a question twice: two evaluations wrote to it; remove it and run again")
    return records


def append(folder: Path, records: Iterable[EvalRecord]) -> None:
    """Writes the records behind those already there."""
    with (folder / RECORDS).open("a", encoding="utf-8", newline="\n") as file:
        file.write("".join(json.dumps(_row(record), ensure_ascii=False) + "\n" for record in records))
        file.flush()
        os.fsync(file.fileno())


def _compare(old: Mapping[str, Any], new: Mapping[str, Any], folder: Path) -> None:
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key):
            raise RunFolderError(
                f"{folder} holds an evaluation with {key} = {old.get(key)!r}, not {new.get(key)!r}; "
                "choose another folder, or remove it"
            )


def _drop_cut_row(path: Path) -> None:
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    if end < len(data):
        os.truncate(path, end)


def kept_completion(record: EvalRecord) -> str:
    """The completion that the record's answer and reasoning are from: the first that gave the voted answer."""
    same = (text for text in record.completions if (parse(text, record.shape).answer or None) == record.answer)
    return next(same, record.completions[0])


def _row(record: EvalRecord) -> dict[str, Any]:
    return {**dataclasses.asdict(record), "completion": kept_completion(record)}


def _record(row: Mapping[str, Any]) -> EvalRecord:
    fields = {field.name: row[field.name] for field in dataclasses.fields(EvalRecord)}
    fields["kind"] = QuestionKind(row["kind"])
    fields["shape"] = Shape(row["shape"])
    fields["completions"] = tuple(row["completions"])
    fields["finishes"] = tuple(Finish(finish) for finish in row["finishes"])
    fields["grade"] = Grade(**{**row["grade"], "kind": QuestionKind(row["grade"]["kind"])})
    return EvalRecord(**fields)
