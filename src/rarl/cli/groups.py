"""Verbs in groups: `rarl data` and `rarl bench`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rarl.cli.shared import Options, Root, app, data_options, print_rows, print_table
from rarl.errors import RunFolderError
from rarl.files import require_free
from rarl.terminal import starting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rarl.data import Dataset
    from rarl.types import Example

Name = Annotated[str, typer.Argument(help="A data set, or file.py:function.")]
Splits = Annotated[list[str] | None, typer.Option("--split", help="A split; again for several [default: its own].")]
NewFolder = Annotated[Path, typer.Option("--out", help="The folder to write; must be new or empty.")]
Form = Annotated[
    str,
    typer.Option("--to", metavar="FORMAT", help="jsonl, csv, tsv, parquet, datasets, llava, swift or trl."),
]
OnError = Annotated[
    str, typer.Option(metavar="raise|skip", help="At a row that cannot be used: stop, or leave it out and name it.")
]

data_app = typer.Typer(help="Look at data sets.", no_args_is_help=True)
cache_app = typer.Typer(help="What is kept between runs, and its end.", no_args_is_help=True)
bench_app = typer.Typer(help="Measure time and memory.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(bench_app, name="bench")
app.add_typer(cache_app, name="cache")


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
    name: Name,
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
    name: Name,
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
        from rarl.data.quality import check_sets
        from rarl.reporting import quality_tables

    parts = [*_loaded(name, split, root, option, "skip").values()]
    if against:
        parts += _loaded(against, against_split, against_root, None, "skip").values()
    found = check_sets(parts)
    for table in quality_tables(found):
        print_table(table)
    if out is not None:
        from rarl.files import write_json

        write_json(out, found.to_json())


@data_app.command("convert")
def convert_data(
    name: Name,
    out: NewFolder,
    to: Form = "jsonl",
    split: Splits = None,
    root: Root = "",
    option: Options = None,
    on_error: OnError = "raise",
) -> None:
    """Write a data set as tables and images that other tools read."""
    from rarl.data.writing import require_form

    require_form(to)
    require_free(out)
    parts = _loaded(name, split, root, option, on_error)
    _write(parts, parts.values(), out, to)


@data_app.command("split")
def split_data(
    name: Name,
    out: NewFolder,
    share: Annotated[
        list[str] | None,
        typer.Option(metavar="SPLIT=PART", help="A split to make; again for each [default: train=0.8, test=0.2]."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw: equal data and seed give equal splits.")] = 0,
    to: Form = "jsonl",
    split: Splits = None,
    root: Root = "",
    option: Options = None,
    on_error: OnError = "raise",
) -> None:
    """Divide a data set anew, no patient and no image in two splits, and write it as convert does."""
    from rarl.data.splitting import parsed_shares, split_apart, together
    from rarl.data.writing import require_form
    from rarl.draws import Draws

    require_form(to)
    require_free(out)
    shares = parsed_shares(share or ("train=0.8", "test=0.2"))
    parts = _loaded(name, split, root, option, on_error)
    _write(split_apart(together(parts), shares, Draws(seed).at("split")), parts.values(), out, to)


def _loaded(
    name: str, splits: Sequence[str] | None, root: str, option: Sequence[str] | None, on_error: str
) -> dict[str, Dataset]:
    from rarl.data import load_dataset
    from rarl.data.catalogue import splits_to_check

    options = data_options(option)
    return {
        split: load_dataset(name, split=split, root=root, on_error=on_error, **options)
        for split in splits or splits_to_check(name)
    }


def _write(parts: Mapping[str, Sequence[Example]], loaded: Iterable[Dataset], out: Path, form: str) -> None:
    from rarl.data.writing import write_sets

    written = write_sets(parts, out, form)
    rows = [
        (split, f"{len(part):,}", f"{len({example.cluster for example in part}):,}", str(table))
        for (split, part), table in zip(parts.items(), written.tables, strict=True)
    ]
    print_rows(f"{written.images:,} images", ("split", "examples", "clusters", "table"), rows)
    skipped = [each for part in loaded for each in part.skipped]
    for where, why in skipped:
        print(f"left out: {where}: {why}")


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


CacheFolder = Annotated[Path | None, typer.Option("--dir", help="As model.cache_dir [default: the user's own].")]


@cache_app.command("show")
def show_cache(folder: CacheFolder = None) -> None:
    """What is kept, where, and how much of it."""
    from rarl.caches import caches

    rows = (
        (each.what, f"{len(each.files):,}", f"{each.nbytes / 1e6:,.1f} MB", str(each.path)) for each in caches(folder)
    )
    print_rows("Kept between runs", ("what", "files", "size", "where"), rows)


@cache_app.command("clear")
def clear_cache(
    folder: CacheFolder = None,
    keep_verdicts: Annotated[
        bool, typer.Option("--keep-verdicts", help="Not what judges said: it may have cost money.")
    ] = False,
) -> None:
    """Remove all that is kept of images, questions and answers."""
    from rarl.caches import VERDICTS, caches

    for each in caches(folder):
        if keep_verdicts and each.path.name == VERDICTS:
            continue
        size = each.nbytes
        if left := each.clear():
            raise RunFolderError(f"{left} of the files in {each.path} cannot be removed; remove them as their owner")
        print(f"removed {len(each.files):,} files of {each.what}, {size / 1e6:,.1f} MB: {each.path}")
