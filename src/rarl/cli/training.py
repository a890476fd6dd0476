"""Verbs that train, and `plan`, which tells what that takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rarl.cli.shared import (
    ConfigFile,
    NeededConfig,
    Out,
    Overrides,
    app,
    load_arm,
    load_config,
    print_rows,
    print_table,
)
from rarl.errors import ConfigError
from rarl.terminal import starting

if TYPE_CHECKING:
    from rarl.assembly import Run


@app.command()
def demo(overrides: Overrides = None, out: Out = None) -> None:
    """Train the embedded tiny model on the embedded benchmark.

    A few minutes on two CPU cores, without any download.
    """
    from importlib.resources import as_file, files

    from rarl.files import free_path

    with as_file(files("rarl") / "assets" / "quickstart.toml") as recipe:
        config = load_config(recipe, overrides)
    with starting():
        from rarl import assembly

    _show(assembly.train(config, out=out or free_path(config.run.out, "demo")))


@app.command()
def plan(
    config: NeededConfig,
    overrides: Overrides = None,
    memory: Annotated[
        str, typer.Option(help="What there is, as 40GB, be the device here or not [default: the device's own].")
    ] = "",
    prompt_tokens: Annotated[
        int | None, typer.Option(help="The longest prompt's [default: model.max_vision_tokens and 128 of text].")
    ] = None,
    arm: Annotated[str, typer.Option(help="CONFIG is a study's file: plan this arm of it.")] = "",
) -> None:
    """Tell the memory that training needs, and what fits; exit code 1 if the config doesn't. Nothing is loaded."""
    settings = load_arm(config, arm, overrides) if arm else load_config(config, overrides)
    with starting():
        from rarl import planning

    found = planning.plan(settings, memory=memory, prompt_tokens=prompt_tokens)
    for table in planning.plan_tables(found):
        print_table(table)
        print()
    print("\n".join(planning.plan_notes(found)))
    if not found.fits:
        raise typer.Exit(1)


@app.command()
def train(
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Out = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with an interrupted run; --set may change its length.")
    ] = None,
) -> None:
    """Train with GRPO and LoRA, evaluate, report."""
    if resume is not None:
        if config is not None or out is not None:
            raise ConfigError("--resume goes on with the run's own config, in its folder: leave CONFIG and --out away")
        with starting():
            from rarl import assembly

        _show(assembly.resume(resume, overrides or ()))
    elif config is not None:
        settings = load_config(config, overrides)
        with starting():
            from rarl import assembly

        _show(assembly.train(settings, out=out))
    else:
        raise ConfigError("say what to train: rarl train CONFIG, or rarl train --resume RUN")


@app.command()
def sft(
    config: NeededConfig,
    overrides: Overrides = None,
    out: Out = None,
) -> None:
    """Fine-tune on answers or rationales: the arm to compare with."""
    settings = load_config(config, overrides)
    with starting():
        from rarl import assembly

    _show(assembly.sft(settings, out=out))


@app.command()
def study(
    file: Annotated[Path, typer.Argument(metavar="STUDY", help="A TOML file; configs/study-embedded.toml is one.")],
    out: Annotated[Path | None, typer.Option(help="Its folder, new or begun [default: runs/NAME].")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Arms to run at once.")] = None,
) -> None:
    """Compare arms over seeds and sets, and answer the claims fixed in a file; goes on where it stopped."""
    with starting():
        from rarl.studies import run_study
        from rarl.studies.tables import claims_table, comparison_table, left_out

    results = run_study(file, out=out, workers=workers)
    for number, each in enumerate(results.claims, start=1):
        print(f"{number}. {each.claim.says}")
    claims = claims_table(results).only("claim", "contrast", "effect", "p (Holm)", "verdict")
    for table in (claims, comparison_table(results, brief=True)):
        print()
        print_rows(table.title, table.header, table.rows)
    print()
    for name, why in left_out(results).items():
        print(f"Left out: {name} ({why})")
    print(f"Results: {results.folder / 'results.md'}, {results.folder / 'results.html'}")


def _show(run: Run) -> None:
    from rarl.reporting import headline_table, of_guards
    from rarl.runlog import RunFolder

    for result in run.results:
        print_table(headline_table(result))
    if fired := of_guards(RunFolder(run.folder).firings()):
        print(fired)
    print(f"Report: {run.folder / 'report.html'}")
