"""Verbs on what was trained: evaluate, ask, report, export."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rarl.cli.shared import Adapter, Base, Overrides, app, print_table
from rarl.errors import ConfigError, UnscoredError
from rarl.terminal import starting

if TYPE_CHECKING:
    from rarl.evaluation import Summary


@app.command("eval")
def evaluate(
    base: Base,
    data: Annotated[
        list[str], typer.Option(metavar="NAME", help="A data set; `rarl data list` names them. Again for several.")
    ],
    split: Annotated[list[str], typer.Option(metavar="SPLIT", help="Its split. Again for several.")],
    adapter: Adapter = None,
    root: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Where the files of a set are, if it needs any.")
    ] = None,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write, or to go on with where it stopped.")] = None,
) -> None:
    """Evaluate a base, or a base with an adapter, on a split, or on several.

    Several --data, --split and --root belong together in their order; one alone of a kind holds for all.
    """
    from rarl.config import RunConfig

    RunConfig().override(overrides or ())  # a mistake is told before torch is imported
    sets = _in_step({"--data": data, "--split": split, "--root": root or [""]})
    with starting():
        from rarl import assembly

    try:
        found = assembly.evaluate_sets(base, sets, adapter=adapter, out=out, overrides=overrides or ())
    except UnscoredError as error:
        _show(error.found)
        raise
    _show(found)


def _show(found: Mapping[Path, Summary]) -> None:
    from rarl.reporting import calibration_table, summary_table

    for folder, summary in found.items():
        print(f"Records: {folder / 'records.jsonl'}")
        if whole := summary.settings.get("drawn_from"):
            print(f"{summary.settings['questions']} of {whole} questions, drawn by their ids: the same for every model")
        print_table(summary_table(summary))
        if summary.calibration:
            print_table(calibration_table(summary.calibration))


def _in_step(options: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """The n-th of each option together; what is given once holds for all. ConfigError for other numbers."""
    count = max(map(len, options.values()))
    for name, given in options.items():
        if len(given) not in (1, count):
            raise ConfigError(
                f"{name} is given {len(given)} times: give it once, or {count} times, in step with the others"
            )
    return list(zip(*([*given] * (count // len(given)) for given in options.values()), strict=True))


@app.command()
def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Runs or evaluations; the first is the reference.")
    ],
    form: Annotated[str, typer.Option("--format", help="md, csv or latex, to be copied [default: a table here].")] = "",
) -> None:
    """Compare runs on the questions that they share: differences, intervals, p-values."""
    from rich.text import Text

    from rarl.evaluation import compare as compared
    from rarl.reporting import comparison_notes, comparison_tables, comparison_text

    found = compared(runs)
    if form:
        print(comparison_text(found, form), end="")
        return
    for table in comparison_tables(found):
        print_table(table)
        print()
    print_table(Text("\n".join(comparison_notes(found))))


@app.command()
def predict(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...", help="PNG, JPEG, DICOM, NIfTI and further files.")
    ],
    base: Base,
    question: Annotated[str, typer.Option(help="What to ask about the images.")],
    adapter: Adapter = None,
    options: Annotated[str, typer.Option(help="Answers to choose from, separated by commas.")] = "",
    direct: Annotated[bool, typer.Option("--direct", help="Answer without reasoning first.")] = False,
    window: Annotated[str, typer.Option(help='Of DICOM and volumes: "lung", ..., or "CENTRE,WIDTH".')] = "",
    frame: Annotated[int | None, typer.Option(help="Of several frames or slices, from 0 [default: middle].")] = None,
) -> None:
    """Answer a question about images, reasoning shown; exit code 1 if what the model says has no answer in it.

    A research tool: its answers are not for clinical use.
    """
    with starting():
        from rarl import assembly
        from rarl.data.windows import parse_window

    choices = tuple(choice.strip() for choice in options.split(",") if choice.strip())
    prediction = assembly.predict(
        base,
        images,
        question,
        adapter=adapter,
        options=choices,
        reasoning=not direct,
        window=parse_window(window),
        frame=frame,
    )
    if prediction.reasoning:
        print(f"Reasoning: {prediction.reasoning}")
    if not prediction.answer:
        print(f"rarl: error: no answer in {prediction.text!r}", file=sys.stderr)
        raise typer.Exit(1)
    print(f"Answer: {prediction.answer}")


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs, or of evaluations.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The file to write [default, for one: RUN/report.html].")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Write the report of one run or of several as one HTML file.

    With --set report.images=false it holds no image of a patient.
    """
    from rarl.config import RunConfig

    with starting():
        from rarl.reporting import write_report

    for each in overrides or ():
        if not each.strip().startswith("report."):
            raise ConfigError(f"--set {each}: a report takes report.images alone; all else is as the runs have it")
    images = RunConfig().override(overrides or ()).report.images
    print(write_report(runs, out, images=images))


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
    with starting():
        from rarl import exporting

    if not merge:
        raise ConfigError("say --merge: the adapter itself is in PEFT's format already")
    print(exporting.export_merged(base, adapter, out))
