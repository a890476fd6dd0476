"""Verbs on answers and rewards: grade, score, probe. No model is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rarl.cli.shared import NeededConfig, Overrides, app, load_config, print_table
from rarl.terminal import starting

Source = Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="One JSON object a line.")]
NewFile = Annotated[Path, typer.Option("-o", "--out", metavar="OUT.jsonl", help="The file to write; must be new.")]


@app.command()
def grade(source: Source, out: NewFile) -> None:
    """Grade answers against their gold answers, by rules.

    Rows have question, gold, prediction, options (a list or null) and perhaps kind.
    """
    from rarl.grading import grade_file, graded_table

    print_table(graded_table(grade_file(source, out)))
    print(f"Grades: {out}")


@app.command()
def score(
    source: Source,
    out: NewFile,
    config: Annotated[Path | None, typer.Option(help="A TOML file; of it, rewards and judge count.")] = None,
    overrides: Overrides = None,
) -> None:
    """Tell what training would pay for completions: every reward and the total.

    Rows have question, gold, options and completion, and perhaps facts, rationale, shape and kind.
    """
    from rarl.config import RunConfig

    settings = load_config(config, overrides) if config else RunConfig().override(overrides or ())
    with starting():
        from rarl import assembly
        from rarl.reporting import scored_table

    print_table(scored_table(assembly.score(source, out, settings)))
    print(f"Scores: {out}")


@app.command("judge-check")
def judge_check(
    labels: Annotated[Path, typer.Argument(metavar="LABELS.csv", help="Answers and human scores: docs/judges.md.")],
    config: Annotated[Path | None, typer.Option(help="A TOML file; of it, the judge counts.")] = None,
    overrides: Overrides = None,
) -> None:
    """Hold a judge against human labels: agreement, and what sways it."""
    from rarl.config import RunConfig

    settings = load_config(config, overrides) if config else RunConfig().override(overrides or ())
    from rarl.judges import check, check_tables, require_scored
    from rarl.judging import evaluation_judge

    found = check(labels, evaluation_judge(settings), seed=settings.run.seed)
    for table in check_tables(found):
        print_table(table)
        print()
    require_scored(found.tallies, settings.judge.max_unscored)


@app.command()
def probe(config: NeededConfig, overrides: Overrides = None) -> None:
    """Try known ways of gaming on the rewards of a config, with its own data; exit code 1 if one pays."""
    settings = load_config(config, overrides)
    with starting():
        from rarl import assembly

    found = assembly.probe(settings)
    print(found.table())
    print(
        f"\n{len(found.paying)} of {len(found.outcomes)} known ways of gaming would pay, on {found.examples} examples."
    )
    if found.paying:
        raise typer.Exit(1)
