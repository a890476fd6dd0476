"""What published data sets share: clean fields, the hub or a copy of it, tables, and images in folders or archives."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from rarl.data.archives import members
from rarl.data.images import BytesImage, FileImage, ZippedImage
from rarl.data.loading import Problem
from rarl.errors import DataError
from rarl.extras import needed_for
from rarl.hub import go_offline_if_unreachable
from rarl.registry import nearest
from rarl.types import Example

Values = Mapping[str, Any]  # a row as it was published


def check_split(name: str, split: str, splits: Sequence[str]) -> None:
    """DataError if the data set has no such split."""
    if split not in splits:
        raise DataError(f"{name} has no split {split!r}{nearest(split, splits)} Splits: {', '.join(splits)}")


def text(values: Values, key: str) -> str:
    """A field as clean text; numbers are written out. DataError if there is none, or it is something else."""
    value = values.get(key)
    if isinstance(value, bool) or value in (math.inf, -math.inf):
        raise DataError(f"its {key} must be a text or a number (got {json.dumps(value)})")
    found = " ".join(str(value).split()) if isinstance(value, str | int | float) else ""
    if found in ("", "NULL") or value != value:  # NaN is what pandas writes where nothing was
        raise DataError(f"it has no {key}")
    return found


def right_answers(values: Values, key: str) -> tuple[str, ...]:
    """A field that is an answer or a list of right ones, as clean texts, each once. DataError if there is none."""
    value = values.get(key)
    several = value if isinstance(value, list) else [value]
    found = dict.fromkeys(text({key: each}, key) for each in several)
    if not found:
        raise DataError(f"it has no {key}")
    return tuple(found)


def label(values: Values, key: str) -> str | None:
    """A field that may be missing, as clean text in lower case."""
    try:
        return text(values, key).lower()
    except DataError:
        return None


def examples(rows: Iterable[tuple[str, Values]], make: Callable[[Values], Example], problem: Problem) -> list[Example]:
    """What `make` gives for each (where, row); its DataErrors go to `problem`, and the row is left out."""
    found = []
    for where, values in rows:
        try:
            example = make(values)
        except DataError as error:
            problem(where, str(error))
        else:
            found.append(example)
    return found


# --- files


def folder_at(root: str, layout: str) -> Path:
    """The folder that data.root names. DataError, which says what it must hold, if there is none."""
    try:
        folder = Path(root).expanduser()
    except RuntimeError:
        raise DataError(f"data.root: {root} names a user whose home is not known; write the path out") from None
    if not folder.exists():
        raise DataError(f"data.root: {folder} does not exist; it must hold {layout}")
    return folder


def read_table(path: Path) -> list[Values]:
    """The rows of a JSON file that is a list of objects, or of a JSON Lines file. DataError for anything else."""
    return parsed_table(read_utf8(path), path)


def parsed_table(content: str, path: Path) -> list[Values]:
    """The same of a file's text, which may have been in an archive."""
    if path.suffix.lower() == ".jsonl":
        lines = enumerate(content.split("\n"), start=1)
        rows = [parsed_json(line, path, number) for number, line in lines if line.strip()]
    else:
        rows = parsed_json(content, path)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path} must hold a list of objects, one a question")
    return rows


def read_csv(path: Path) -> list[Values]:
    """The rows of a table with a header; what lies beyond it stands under None. DataError where it can't be read."""
    try:
        return list(csv.DictReader(io.StringIO(read_utf8(path), newline="")))
    except csv.Error as error:
        raise DataError(f"{path} is not a CSV file ({error}); write it again") from None


def read_utf8(path: Path) -> str:
    """The text of a file, its line ends as they are. DataError where it can't be read, or is not UTF-8."""
    try:
        return decoded(path.read_bytes(), path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def decoded(data: bytes, path: Path) -> str:
    """UTF-8 as text. DataError where it is something else."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; save it as that") from None


def parsed_json(content: str, path: Path, line: int = 1) -> Any:
    """The JSON that a file holds from a line on. DataError where it is none, or can't be read."""
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        why = f"line {line + error.lineno - 1}, column {error.colno}: {error.msg}"
    except RecursionError:
        why = "it is nested too deeply"
    except ValueError:
        why = "it holds a number of too many digits"
    raise DataError(f"{path} is not a {path.suffix[1:].upper()} file ({why}); fetch or write it again")


def needs(columns: Iterable[str], rows: Sequence[Values], path: Path) -> None:
    """DataError where a column is in no row of a table: it names those that are missing, and those that are there."""
    there = {str(name) for row in rows for name in row if name is not None} or set(columns)  # None: beyond csv's header
    missing = sorted(set(columns) - there)
    if missing:
        raise DataError(f"{path} lacks the field(s) {', '.join(missing)}; it has {', '.join(sorted(there))}")


def numbered(path: Path, rows: Iterable[Values]) -> Iterator[tuple[str, Values]]:
    """Each row of a table and where it stands, for an error."""
    return ((f"{path}, row {number}", values) for number, values in enumerate(rows))


# --- images


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """A folder of images, or an archive of it that nobody has unpacked."""

    path: Path
    members: frozenset[str] = field(default=frozenset(), repr=False)  # of the archive

    def image(self, name: str) -> FileImage | ZippedImage:
        """The image of that name; it is not looked at. DataError for a name that leads out, or is in no archive."""
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or "\\" in name or ":" in name or PurePosixPath(name).is_absolute():
            raise DataError(f"{name!r} leads out of the image folder")
        if not self.members:
            return FileImage(self.path / name)
        for member in (name, f"{self.path.stem}/{name}"):
            if member in self.members:
                return ZippedImage(self.path, member)
        raise DataError(f"{self.path} has no image {name!r}")


def images_in(name: str, *folders: Path) -> ImageFolder:
    """The images `name` in the first of the folders that has them: unpacked, or else as name.zip. DataError if none."""
    for folder in folders:
        if (folder / name).is_dir():
            return ImageFolder(folder / name)
    for archive in (folder / f"{name}.zip" for folder in folders):
        if archive.is_file():
            return ImageFolder(archive, members(archive))
    raise DataError(f"{folders[0]} has no folder {name!r} with the images, and no {name}.zip; put one of them there")


def image_folder(root: Path, names: Iterable[str], missing: str) -> Path:
    """The folder at or under `root` that has most of the named images. DataError, ending in `missing`, if none has."""
    heads = {PurePosixPath(name).parts[0] for name in names if PurePosixPath(name).parts}
    folders = [root, *sorted(path for pattern in ("*/", "*/*/") for path in root.glob(pattern))]
    found = {folder: len(heads & {path.name for path in folder.iterdir()}) for folder in folders}
    best = max(found, key=lambda folder: found[folder])
    if not found[best]:
        raise DataError(f"{root} has the questions, but no folder with their images; {missing}")
    return best


# --- the hub, and copies of it


def fetch_files(hub: str, patterns: Sequence[str], layout: str) -> Path:
    """The folder, in the hub's cache, of those files of a data set. DataError where they can't be had."""
    with needed_for(f"fetching {hub}"):
        from huggingface_hub import snapshot_download

    go_offline_if_unreachable()
    try:
        return Path(snapshot_download(hub, repo_type="dataset", allow_patterns=list(patterns)))
    except (OSError, ValueError) as error:
        raise _not_fetched(hub, error, layout) from None


def fetch_tables(hub: str, layout: str, **which: str) -> Any:
    """The hub's tables by split, or one of them by `split=`. DataError where they can't be had."""
    with needed_for(f"fetching {hub}"):
        import datasets

    go_offline_if_unreachable()
    try:
        return datasets.load_dataset(hub, **which)
    except (OSError, ValueError) as error:  # no network, a proxy, an incomplete cache
        raise _not_fetched(hub, error, layout) from None


def _not_fetched(hub: str, error: Exception, layout: str) -> DataError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return DataError(f"cannot fetch {hub} ({reason}); pass data.root, a folder with {layout}")


def tables_in(folder: Path, splits: Sequence[str], name: str, layout: str) -> Any:
    """The tables, by split, of a copy of the hub's version: its parquet files, or what `save_to_disk` wrote."""
    saved = (folder / "dataset_dict.json").is_file()
    tables = {split: _parquet(folder, split) for split in splits}
    if not saved and not all(tables.values()):
        raise DataError(f"data.root: {folder} holds no copy of {name}; put there {layout}")
    with needed_for(f"data.root: reading {folder}, a copy of the hub's version,"):
        import datasets

    try:
        return datasets.load_from_disk(str(folder)) if saved else datasets.load_dataset("parquet", data_files=tables)
    except Exception as error:  # as many kinds as there are ways to be damaged
        raise DataError(
            f"data.root: {folder} holds a damaged copy of {name} ({type(error).__name__}); fetch it again"
        ) from error


def _parquet(folder: Path, split: str) -> list[str]:
    """The split's files where a download of the hub's repository has them; nothing else of the folder is looked at."""
    named = [path for place in (folder, folder / "data") for path in place.glob(f"{split}*.parquet")]
    converted = [*(folder / split).glob("*.parquet"), *(folder / "default" / split).glob("*.parquet")]
    return sorted(str(path) for path in named or converted)


def with_image_bytes(published: Mapping[str, Any], split: str, source: str) -> Any:
    """A split with the columns image, question and answer, whose images are left as the bytes of their files."""
    import datasets

    if split not in published or not {"image", "question", "answer"} <= set(published[split].column_names):
        raise DataError(f"{source} must have a split {split!r} with the columns image, question, answer")
    try:
        return published[split].cast_column("image", datasets.Image(decode=False))
    except Exception as error:  # whatever the types of columns lead to
        raise DataError(f"{source} {split}: its column image holds no images ({type(error).__name__})") from error


def image_within(values: Values, known: dict[bytes, BytesImage]) -> BytesImage:
    """The image in a row, named by the hash of its bytes; rows with equal bytes share it, by way of `known`."""
    data = (values["image"] or {}).get("bytes")
    if not data:
        raise DataError("it has no image")
    if data not in known:
        known[data] = BytesImage(data, hashlib.sha256(data).hexdigest()[:16])
    return known[data]
