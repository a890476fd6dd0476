"""Verbs in groups: `rarl data` and `rarl bench`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rarl.cli.shared import Options, Root, app, data_options, print_rows, print_table
from rarl.errors import RunFolderError
from rarl.terminal import starting

data_app = typer.Typer(help="Look at data sets.", no_args_is_help=True)
bench_app = typer.Typer(help="Measure time and memory.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(bench_app, name="bench")


@data_app.command("list")
def list_data(
    as_json: Annotated[bool, typer.Option("--json", help="All that is known of them, citations too, as JSON.")] = False,
) -> None:
    """The data sets that can be asked for by name."""
    from rarl.data.catalogue import catalogue

    sets = catalogue()
    if as_json:
        print(json.dumps(sets, indent=2, ensure_ascii=False))
        return
    rows = []
    for name, known in sets.items():
        counts = known.get("questions", {}).items()
        sizes = "\n".join(f"{split} {count:,}" if count is not None else split for split, count in counts)
        rows.append((name, known.get("about", ""), sizes, known.get("licence", "")))
    print_rows("Data sets", ("name", "about", "questions", "licence"), rows)


@data_app.command("show")
def show_data(
    name: Annotated[str, typer.Argument(help="A data set, or file.py:function.")],
    split: Annotated[str, typer.Option(help="Its split.")],
    root: Root = "",
    option: Options = None,
    number: Annotated[int, typer.Option("-n", help="How many examples to show.")] = 5,
) -> None:
    """Count the examples of a split, and show some."""
    from rarl.data import load_dataset
    from rarl.reporting import dataset_tables

    for table in dataset_tables(load_dataset(name, split=split, root=root, **data_options(option)), number):
        print_table(table)


@data_app.command("check")
def check_data(
    name: Annotated[str, typer.Argument(help="A data set, or file.py:function.")],
    split: Annotated[
        list[str] | None, typer.Option(help="A split; again for several, train first [default: its own].")
    ] = None,
    root: Root = "",
    option: Options = None,
    against: Annotated[str, typer.Option(metavar="NAME", help="A data set that should share nothing with it.")] = "",
    against_split: Annotated[list[str] | None, typer.Option(help="Its split; again for several.")] = None,
    against_root: Root = "",
    out: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="All that was found, as JSON.")] = None,
) -> None:
    """Damage, duplicates, contradictions and leaks, within a data set, between its splits and against another."""
    if out is not None and out.exists():
        raise RunFolderError(f"{out} exists; nothing is written over: give another file")
    with starting():
        from rarl.data import load_dataset
        from rarl.data.catalogue import splits_to_check
        from rarl.data.quality import check_sets
        from rarl.reporting import quality_tables

    options = data_options(option)
    parts = [
        load_dataset(name, split=part, root=root, on_error="skip", **options) for part in split or splits_to_check(name)
    ]
    if against:
        parts += [
            load_dataset(against, split=part, root=against_root, on_error="skip")
            for part in against_split or splits_to_check(against)
        ]
    found = check_sets(parts)
    for table in quality_tables(found):
        print_table(table)
    if out is not None:
        from rarl.files import write_json

        write_json(out, found.to_json())


@bench_app.command("step")
def bench_step(
    shape: Annotated[str, typer.Option(help="tiny, mid or qwen2-vl-2b: random weights of that shape.")] = "tiny",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="A JSON file for all that was measured.")] = None,
) -> None:
    """Seconds and peak memory of one GRPO step, beside the plain path and the least possible on this device."""
    if out is not None and out.exists():
        raise RunFolderError(f"{out} exists; nothing is written over: give another file")
    with starting():
        from rarl import benchmarking
        from rarl.reporting import step_table

    found = benchmarking.bench_step(shape, dtype, device)
    print_table(step_table(found))
    if out is not None:
        from rarl.files import write_json

        write_json(out, found)
