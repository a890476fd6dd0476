"""Data sets written out, in formats that others read and that the data set "table" reads back."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from rarl.data.archives import member
from rarl.data.images import BytesImage, FileImage, ZippedImage
from rarl.data.tables import BATCH
from rarl.errors import ConfigError, DataError
from rarl.extras import needed_for
from rarl.files import file_name, folder_aside, require_free
from rarl.prompting.asking import question_lines
from rarl.registry import nearest
from rarl.terminal import progress
from rarl.types import Example, ImageSource

Row = dict[str, Any]

PICTURES = "images"  # the folder of them, beside the tables
SUFFIXES = {b"\x89PNG\r\n\x1a\n": ".png", b"\xff\xd8\xff": ".jpg"}  # every reader of these formats reads the same
LISTS = ("images", "options", "references")
TEXTS = ("id", "question", "answer", "patient", "modality", "task", "kind", "rationale")


class Written(NamedTuple):
    """What came of it: the tables, and how many images they name."""

    tables: tuple[Path, ...]
    images: int


class Form(NamedTuple):
    """How a split is written: what a row becomes, the file's ending ("" for a folder), and what writes it."""

    about: str
    shape: Callable[[Example, Row], Row]
    suffix: str
    write: Callable[[Path, Iterator[Row]], None]
    embeds: bool = False  # the images are in the table


def write_sets(parts: Mapping[str, Sequence[Example]], out: Path, form: str) -> Written:
    """Every split as a table in the folder `out`, which must be new, with the images below it, each once.

    PNG and JPEG files are copied byte for byte; what else there is, as DICOM, becomes a PNG of the pixels that a model
    would be shown, and none of its header. Facts, by which some rewards check findings, have no place in a table.
    The whole is written, or nothing; its owner alone can read it. Errors: DataError, RunFolderError, MissingExtraError.
    """
    chosen = require_form(form)
    for split in parts:
        if file_name(split) != split:
            raise DataError(f"a split named {split!r} gives no file name; rename it")
    out = require_free(out)
    with folder_aside(out) as aside:
        aside.chmod(0o700)
        pictures = _Pictures(aside, chosen.embeds)
        for split, examples in parts.items():
            each = progress(examples, f"writing {split}", total=len(examples))
            rows = (chosen.shape(example, _row(example, pictures)) for example in each)
            chosen.write(aside / f"{split}{chosen.suffix}", rows)
    return Written(tuple(out / f"{split}{chosen.suffix}" for split in parts), pictures.count)


def require_form(name: str) -> Form:
    """The format of that name. Errors: ConfigError."""
    if name not in FORMS:
        raise ConfigError(f"unknown format {name!r}{nearest(name, FORMS)} Known: {', '.join(FORMS)}")
    return FORMS[name]


class _Pictures:
    """Images by what a table says of them: a file's name, or, where they are embedded, their bytes."""

    def __init__(self, folder: Path, embeds: bool) -> None:
        self._folder, self._embeds = folder, embeds
        self._said: dict[ImageSource, str] = {}
        self._taken: dict[str, str] = {}  # the digest of what bears a name

    @property
    def count(self) -> int:
        return len(self._taken)

    def of(self, image: ImageSource) -> Any:
        """What the table says of it. Errors: DataError for one that can't be read."""
        if image in self._said and not self._embeds:
            return self._said[image]
        data, suffix = _content(image)
        name = self._named(f"{file_name(PurePosixPath(image.name).stem)}{suffix}", data)
        if self._embeds:
            return {"bytes": data, "path": name}
        path = self._folder / PICTURES / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_bytes(data)
        self._said[image] = f"{PICTURES}/{name}"
        return self._said[image]

    def _named(self, name: str, data: bytes) -> str:
        """The name, with a part of the content's hash where other content bears it; by letters of either case."""
        digest = hashlib.sha256(data).hexdigest()
        if self._taken.setdefault(name.lower(), digest) == digest:
            return name
        other = f"{PurePosixPath(name).stem}-{digest[:16]}{PurePosixPath(name).suffix}"
        self._taken[other.lower()] = digest
        return other


def _content(image: ImageSource) -> tuple[bytes, str]:
    """The bytes of a PNG or JPEG file, and its ending."""
    whole = isinstance(image, FileImage | BytesImage | ZippedImage) and image.window is None and image.frame is None
    data = _file_of(image) if whole else b""
    for head, suffix in SUFFIXES.items():
        if data.startswith(head):
            return data, suffix
    drawn = io.BytesIO()
    image.read().save(drawn, format="PNG")
    return drawn.getvalue(), ".png"


def _file_of(image: ImageSource) -> bytes:
    try:
        if isinstance(image, BytesImage):
            return image.data
        if isinstance(image, ZippedImage):
            return member(image.archive, image.member).getvalue()
        return image.path.read_bytes() if isinstance(image, FileImage) else b""
    except OSError as error:
        raise DataError(f"{image.name} cannot be read: {error.strerror}") from None


# --- what a row becomes


def _row(example: Example, pictures: _Pictures) -> Row:
    """An example by the names that the data set "table" has for its columns."""
    return {
        "id": example.id,
        "images": [pictures.of(image) for image in example.images],
        "question": example.question,
        "answer": example.answer,
        "options": list(example.options),
        "references": list(example.references),
        "patient": example.cluster,
        "modality": example.modality,
        "task": example.task,
        "kind": example.kind.value,
        "rationale": example.rationale,
    }


def _plain(example: Example, row: Row) -> Row:
    return row


def _flat(example: Example, row: Row) -> Row:
    """A cell a field: of several images with ";" between them, of other lists as JSON."""
    lists = {name: json.dumps(row[name], ensure_ascii=False) if row[name] else "" for name in LISTS[1:]}
    texts = {name: "" if row[name] is None else row[name] for name in TEXTS}
    return {name: {**texts, **lists, "images": ";".join(row["images"])}[name] for name in row}


def _llava(example: Example, row: Row) -> Row:
    marks = "<image>\n" * len(example.images)
    said = [
        {"from": "human", "value": marks + "\n".join(question_lines(example))},
        {"from": "gpt", "value": example.answer},
    ]
    names = row.pop("images")
    return {"image": names[0] if len(names) == 1 else names, "conversations": said, **row}


def _swift(example: Example, row: Row) -> Row:
    marks = "<image>" * len(example.images)
    said = [
        {"role": "user", "content": marks + "\n".join(question_lines(example))},
        {"role": "assistant", "content": example.answer},
    ]
    return {"messages": said, **row}


def _trl(example: Example, row: Row) -> Row:
    def part(kind: str, text: str | None = None) -> Row:
        return {"type": kind, "text": text}

    asked = [part("image") for _ in example.images] + [part("text", "\n".join(question_lines(example)))]
    return {
        "prompt": [{"role": "user", "content": asked}],
        "completion": [{"role": "assistant", "content": [part("text", example.answer)]}],
        **row,
    }


# --- what writes it


def _json_lines(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _json_list(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number, row in enumerate(rows):
            file.write((",\n" if number else "[\n") + json.dumps(row, ensure_ascii=False))
        file.write("\n]\n")


def _separated(comma: str) -> Callable[[Path, Iterable[Row]], None]:
    def write(path: Path, rows: Iterable[Row]) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=comma, lineterminator="\n")
            for number, row in enumerate(rows):
                if not number:
                    writer.writerow(row)
                writer.writerow(row.values())

    return write


def _parquet(path: Path, rows: Iterator[Row]) -> None:
    """With the types of `datasets` in its head, so that it and the hub see images in it."""
    with needed_for(f"writing {path.name}"):
        import datasets
        import pyarrow as pa
        from pyarrow import parquet
    batch = list(islice(rows, BATCH))
    schema = _features(datasets, batch[0]).arrow_schema
    with parquet.ParquetWriter(path, schema) as writer:
        while batch:
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            batch = list(islice(rows, BATCH))


def _features(datasets: Any, row: Row) -> Any:
    text = datasets.Value("string")
    types = dict.fromkeys(TEXTS, text) | {name: datasets.List(text) for name in LISTS}
    talk = datasets.List({"role": text, "content": datasets.List({"type": text, "text": text})})
    types |= {"images": datasets.List(datasets.Image()), "prompt": talk, "completion": talk}
    return datasets.Features({name: types[name] for name in row})


def _saved(path: Path, rows: Iterator[Row]) -> None:
    with needed_for(f"writing {path.name}"):
        import datasets
    # Beside what is written, not in a cache of the user's: these may be a hospital's images.
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        table = Path(folder) / "rows.parquet"
        _parquet(table, rows)
        with _silent(datasets):
            datasets.Dataset.from_parquet(str(table), cache_dir=folder).save_to_disk(path)
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        # By default drawn at random, and what `datasets` calls equal data by.
        with table.open("rb") as file:
            state["_fingerprint"] = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        (path / "state.json").write_text(json.dumps(state, indent=2, sort_keys=True), encoding="utf-8")


@contextmanager
def _silent(datasets: Any) -> Iterator[None]:
    """Without the bars of `datasets`: there is one of ours."""
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


FORMS: dict[str, Form] = {
    "jsonl": Form("an object a line", _plain, ".jsonl", _json_lines),
    "csv": Form("a table that Excel opens", _flat, ".csv", _separated(",")),
    "tsv": Form("the same with tabs", _flat, ".tsv", _separated("\t")),
    "parquet": Form("a table with the images in it", _plain, ".parquet", _parquet, True),
    "datasets": Form("what load_from_disk reads", _plain, "", _saved, True),
    "llava": Form("LLaVA's and ShareGPT's conversations", _llava, ".json", _json_list),
    "swift": Form("ms-swift's messages", _swift, ".jsonl", _json_lines),
    "trl": Form("TRL's prompt and completion, for load_from_disk", _trl, "", _saved, True),
}
