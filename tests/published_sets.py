"""What the tests of published sets share: small images, tables and archives."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from PIL import Image


def picture(shade: int) -> bytes:
    """A PNG of one grey."""
    buffer = io.BytesIO()
    Image.new("L", (32, 32), shade).save(buffer, "PNG")
    return buffer.getvalue()


def write_pictures(folder: Path, names: Iterable[str]) -> None:
    """Images of the shades 0, 10, 20, .. in this order."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture(10 * number))


def zip_pictures(archive: Path, names: Iterable[str]) -> None:
    with ZipFile(archive, "w") as opened:
        for number, name in enumerate(names):
            opened.writestr(name, picture(10 * number))


def write_json(path: Path, rows: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")


def write_lines(path: Path, rows: Iterable[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
