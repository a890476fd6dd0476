"""How long a million-row table keeps a run from its first example, and how much memory it takes.

    python benchmarks/stream_speed.py

writes tables of a million questions about 200,000 images, opens each in a process of its own with `stream`, decodes
the image of a first example from the middle, then compares all names of images with those of an evaluation, as a run
does at its start. Seconds and the largest size of the process go to benchmarks/results/data-stream.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from time import perf_counter

import rarl
from rarl.data.writing import FORMS
from rarl.environment import describe_environment

ROOT = Path(__file__).resolve().parents[1]
KINDS = {  # by name: the ending, and what a row has
    "csv": (".csv", ()),
    "csv, a split of two": (".csv", ("split",)),
    "jsonl": (".jsonl", ()),
    "jsonl, a split of two": (".jsonl", ("split",)),
    "parquet": (".parquet", ()),
    "parquet, a split of two": (".parquet", ("split",)),
    "conversations, jsonl": (".jsonl", ("conversations",)),
}


def row(number: int, also: Sequence[str]) -> dict[str, object]:
    finding = ("nodule", "effusion", "fracture", "mass")[number % 4]
    said: dict[str, object] = {
        "id": f"case-{number}",
        "image": f"scans/{number // 5}.png" if number % 5 else "scan.png",  # of one the file is there
        "question": f'Is there a "{finding}", and if so, on which side of the image does it lie?',
        "answer": ("left", "right", "none")[number % 3],
        "patient": f"p{number // 3}",
        "modality": ("ct", "mr", "x-ray")[number % 3],
    }
    if "split" in also:
        said["split"] = ("train", "test")[number % 2]
    if "conversations" in also:
        question, answer = said.pop("question"), said.pop("answer")
        turns = [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": answer}]
        said["conversations"] = turns
    return said


def write(folder: Path, suffix: str, also: Sequence[str], count: int) -> Path:
    path = folder / f"table{suffix}"
    rows = (row(number, also) for number in range(count))
    if suffix == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        part = list(islice(rows, 50_000))
        with parquet.ParquetWriter(path, pa.Table.from_pylist(part).schema) as writer:
            while part:
                writer.write_table(pa.Table.from_pylist(part))
                part = list(islice(rows, 50_000))
    else:
        FORMS[suffix[1:]].write(path, rows)
    rarl.load_dataset("phantom", split="train", limit=1)[0].images[0].read().save(folder / "scan.png")
    return path


def measured(path: Path) -> dict[str, float]:
    """In this process, which has done nothing else yet."""
    from rarl.data.images import FileImage

    start = perf_counter()
    data = rarl.load_dataset("table", root=str(path), stream=True)
    data[len(data) // 20 * 10].images[0].read()
    first = perf_counter() - start
    evaluated = {FileImage(path.parent / name) for name in ("scan.png", "another.png")}
    assert len(evaluated.intersection(data.images())) == 1
    seconds = perf_counter() - start - first
    return {"rows": len(data), "first_example_seconds": first, "comparing_seconds": seconds, "peak_bytes": peak()}


def peak() -> int:
    """Bytes of this process at its largest, all of Python included; not those of what it was forked from."""
    said = Path("/proc/self/status").read_text()
    return 1024 * int(said.partition("VmHWM:")[2].split()[0])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "data-stream.json")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.measure:
        print(json.dumps(measured(args.measure)))
        return
    found = {}
    for kind, (suffix, also) in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = write(Path(folder), suffix, also, args.rows)
            command = [sys.executable, __file__, "--measure", str(path)]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[kind] = {**json.loads(said), "table_bytes": path.stat().st_size}
        print(kind, found[kind])
    args.out.write_text(json.dumps({"tables": found, "environment": describe_environment()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
