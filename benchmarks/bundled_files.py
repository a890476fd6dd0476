"""What comes of every file that pydicom and nibabel bring with them for their tests, as the table of docs/images.md.

python benchmarks/bundled_files.py --write docs/images.md
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

from rarl.data.images import load_image
from rarl.errors import RarlError

SUITES = {"pydicom": "data", "nibabel": "tests/data"}
NO_DATA = (".py", ".pyc", ".txt", ".rst", ".md", ".json", ".csv", ".dump", ".m")
BEGIN, END = "<!-- bundled: begin -->\n", "<!-- bundled: end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    page = parser.parse_args().write
    shown = table()
    if page:
        text = page.read_text(encoding="utf-8")
        page.write_text(text[: text.index(BEGIN)] + BEGIN + shown + text[text.index(END) :], encoding="utf-8")
    print(shown, end="")


def table() -> str:
    """Markdown: a row for each outcome, with the files where they are few."""
    lines = ["| from | outcome | files | which |", "|---|---|---|---|"]
    for suite, folder in SUITES.items():
        found = defaultdict(list)
        for path in sorted(Path(str(files(suite))).joinpath(folder).rglob("*")):
            if path.is_file() and path.suffix not in NO_DATA and path.name[0] != "." and path.name != "README":
                found[outcome(path)].append(path.name)
        for said, names in sorted(found.items(), key=lambda item: -len(item[1])):
            lines.append(f"| {suite} | {said} | {len(names)} | {', '.join(names) if len(names) < 9 else ''} |")
    return "\n".join(lines) + "\n"


def outcome(path: Path) -> str:
    try:
        load_image(path)
    except RarlError as error:
        return re.sub(r"[,;(].*", "", str(error).removeprefix(str(path))).strip(": ")
    return "an image"


if __name__ == "__main__":
    main()
