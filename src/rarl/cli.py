"""The command line: each verb is a thin call of a Python function.

What brings torch is imported inside a verb, after its input was found to be sound: mistakes are told at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rarl.errors import ConfigError, RarlError, RunFolderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rarl.assembly import Run
    from rarl.config import RunConfig

app = typer.Typer(
    help="Teach small medical vision-language models to reason.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Look at data sets.", no_args_is_help=True)
bench_app = typer.Typer(help="Measure time and memory.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(bench_app, name="bench")

ConfigFile = Annotated[Path | None, typer.Argument(metavar="CONFIG", help="A TOML file; configs/ has some.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting.")]
Out = Annotated[Path | None, typer.Option(help="The folder to write; must be new or empty.")]
Base = Annotated[str, typer.Option(help='Hub id or folder of the base model, or "tiny".')]
Adapter = Annotated[str | None, typer.Option(help="Folder of a LoRA adapter in PEFT's format.")]
Root = Annotated[str, typer.Option(help="Where the data set's files are, if it needs any.")]


def main() -> None:
    """The entry point of `rarl`: a mistake in the input is one line, not a traceback."""
    # Read when torch is first imported. Threads that spin while they wait rob each other where the cores are busy:
    # small models on a CPU then take many times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        app()
    except RarlError as error:
        print(f"rarl: error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)


def _print_version(asked: bool) -> None:
    if asked:
        from rarl.environment import VERSION

        print(f"rarl {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(overrides: Overrides = None, out: Out = None) -> None:
    """Train the embedded tiny model on the embedded benchmark.

    A few minutes on two CPU cores, without any download.
    """
    from importlib.resources import as_file, files

    from rarl.runlog import free_path

    with as_file(files("rarl") / "assets" / "quickstart.toml") as recipe:
        config = _config(recipe, overrides)
    from rarl import assembly

    _show(assembly.train(config, out=out or free_path(config.run.out, "demo")))


@app.command()
def plan(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file; configs/ has some.")],
    overrides: Overrides = None,
    memory: Annotated[
        str, typer.Option(help="What there is, as 40GB, be the device here or not [default: the device's own].")
    ] = "",
    prompt_tokens: Annotated[
        int | None, typer.Option(help="The longest prompt's [default: model.max_vision_tokens and 128 of text].")
    ] = None,
) -> None:
    """Tell the memory that training needs, and what fits; exit code 1 if the config doesn't. Nothing is loaded."""
    settings = _config(config, overrides)
    from rarl import planning

    found = planning.plan(settings, memory=memory, prompt_tokens=prompt_tokens)
    for table in planning.plan_tables(found):
        _print(table)
        print()
    print("\n".join(planning.plan_notes(found)))
    if not found.fits:
        raise typer.Exit(1)


@app.command()
def train(
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Out = None,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Go on with an interrupted run.")] = None,
) -> None:
    """Train with GRPO and LoRA, evaluate, report."""
    if resume is not None:
        if config is not None or overrides or out is not None:
            raise ConfigError("--resume goes on with the run's own config: leave CONFIG, --set and --out away")
        from rarl import assembly

        _show(assembly.resume(resume))
    elif config is not None:
        settings = _config(config, overrides)
        from rarl import assembly

        _show(assembly.train(settings, out=out))
    else:
        raise ConfigError("say what to train: rarl train CONFIG, or rarl train --resume RUN")


@app.command()
def sft(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file; configs/ has some.")],
    overrides: Overrides = None,
    out: Out = None,
) -> None:
    """Fine-tune on answers or rationales: the arm to compare with."""
    settings = _config(config, overrides)
    from rarl import assembly

    _show(assembly.sft(settings, out=out))


@app.command("eval")
def evaluate(
    base: Base,
    data: Annotated[str, typer.Option(help="A data set; `rarl data list` names them.")],
    split: Annotated[str, typer.Option(help="Its split.")],
    adapter: Adapter = None,
    root: Root = "",
    overrides: Overrides = None,
    out: Out = None,
) -> None:
    """Evaluate a base, or a base with an adapter, on a split."""
    from rarl.config import RunConfig
    from rarl.runlog import free_path

    runs = RunConfig().override(overrides or ()).run.out
    folder = out or free_path(runs, f"eval-{Path(data).name}-{split}")
    from rarl import assembly
    from rarl.reporting import summary_table

    summary = assembly.evaluate(
        base, adapter=adapter, data=data, split=split, root=root, out=folder, overrides=overrides or ()
    )
    print(f"Records: {folder / 'records.jsonl'}")
    _print(summary_table(summary))


@app.command()
def predict(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="PNG or JPEG files.")],
    base: Base,
    question: Annotated[str, typer.Option(help="What to ask about the images.")],
    adapter: Adapter = None,
    options: Annotated[str, typer.Option(help="Answers to choose from, separated by commas.")] = "",
    direct: Annotated[bool, typer.Option("--direct", help="Answer without reasoning first.")] = False,
) -> None:
    """Answer a question about images, reasoning shown.

    A research tool: its answers are not for clinical use.
    """
    from rarl import assembly

    choices = tuple(choice.strip() for choice in options.split(",") if choice.strip())
    prediction = assembly.predict(base, images, question, adapter=adapter, options=choices, reasoning=not direct)
    if prediction.reasoning:
        print(f"Reasoning: {prediction.reasoning}")
    print(f"Answer: {prediction.answer}" if prediction.answer else f"No answer in: {prediction.text}")


@app.command()
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The file to write [default: RUN/report.html].")
    ] = None,
) -> None:
    """Write the report of a run again, as one HTML file."""
    from rarl.reporting import write_report

    print(write_report(run, out))


@app.command()
def export(
    base: Base,
    adapter: Annotated[str, typer.Option(help="Folder of a LoRA adapter in PEFT's format.")],
    out: Annotated[Path, typer.Option(help="The folder to write; must be new or empty.")],
    merge: Annotated[
        bool, typer.Option("--merge", help="Merge the adapter into the weights (the one form so far).")
    ] = False,
) -> None:
    """Write base + adapter as one transformers checkpoint."""
    from rarl import exporting

    if not merge:
        raise ConfigError("say --merge: the adapter itself is in PEFT's format already")
    print(exporting.export_merged(base, adapter, out))


@data_app.command("list")
def list_data() -> None:
    """The data sets that can be asked for by name."""
    from rarl.registry import datasets

    print("\n".join(datasets.names()))


@data_app.command("show")
def show_data(
    name: Annotated[str, typer.Argument(help="A data set, or file.py:function.")],
    split: Annotated[str, typer.Option(help="Its split.")],
    root: Root = "",
    number: Annotated[int, typer.Option("-n", help="How many examples to show.")] = 5,
) -> None:
    """Count the examples of a split, and show some."""
    from rarl.data import load_dataset
    from rarl.reporting import dataset_tables

    for table in dataset_tables(load_dataset(name, split=split, root=root), number):
        _print(table)


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
    from rarl import benchmarking
    from rarl.reporting import step_table

    found = benchmarking.bench_step(shape, dtype, device)
    _print(step_table(found))
    if out is not None:
        from rarl.runlog import write_json

        write_json(out, found)


def _config(path: Path, overrides: Sequence[str] | None) -> RunConfig:
    from rarl.config import RunConfig

    return RunConfig.load(path, overrides or ())


def _show(run: Run) -> None:
    from rarl.reporting import headline_table

    for result in run.results:
        _print(headline_table(result))
    print(f"Report: {run.folder / 'report.html'}")


def _print(table: object) -> None:
    from rich.console import Console

    Console().print(table)


if __name__ == "__main__":
    main()
