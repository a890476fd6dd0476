"""What the verbs share: the application they hang on, arguments that several take, and printing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rarl.terminal import plain_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rarl.config import RunConfig

app = typer.Typer(
    help="Teach small medical vision-language models to reason.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

ConfigFile = Annotated[Path | None, typer.Argument(metavar="CONFIG", help="A TOML file; configs/ has some.")]
NeededConfig = Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file; configs/ has some.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one setting.")]
Out = Annotated[Path | None, typer.Option(help="The folder to write; must be new or empty.")]
Base = Annotated[str, typer.Option(help='Hub id or folder of the base model, or "tiny".')]
Adapter = Annotated[str | None, typer.Option(help="Folder of a LoRA adapter in PEFT's format.")]
Root = Annotated[str, typer.Option(help="Where the data set's files are, if it needs any.")]
Options = Annotated[
    list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="As of data.options; again for several.")
]


def data_options(given: Sequence[str] | None) -> dict[str, Any]:
    """What `--option` says, as `--set data.options.` would read it. Errors: ConfigError."""
    from rarl.config import RunConfig

    return RunConfig().override([f"data.options.{each}" for each in given or ()]).data.options


def load_config(path: Path, overrides: Sequence[str] | None) -> RunConfig:
    """A config file with the settings of `--set`. Errors: ConfigError."""
    from rarl.config import RunConfig
    from rarl.errors import ConfigError
    from rarl.sections import read_toml

    arms = read_toml(path, "the shipped recipes are in configs/").get("arms")
    if isinstance(arms, dict):
        raise ConfigError(
            f"{path} is a study's file: rarl study runs it, and rarl plan --arm plans one of {', '.join(arms)}"
        )
    return RunConfig.load(path, overrides or ())


def load_arm(path: Path, name: str, overrides: Sequence[str] | None) -> RunConfig:
    """An arm of a study's file, under its first seed, with the settings of `--set`. Errors: ConfigError."""
    from rarl.errors import ConfigError
    from rarl.registry import nearest
    from rarl.studies.design import load_study

    study = load_study(path)
    if name not in study.arms:
        raise ConfigError(f"{path} has no arm {name!r}{nearest(name, study.arms)} Its arms: {', '.join(study.arms)}")
    if not study.arms[name].trained:
        raise ConfigError(f"{path}: arm {name} is not trained, so there is nothing to plan")
    return study.config(name, study.seeds[0]).override(overrides or ())


def print_rows(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table of texts."""
    table = plain_table(title, *header)
    for row in rows:
        table.add_row(*row)
    print_table(table)


def print_table(table: object) -> None:
    """A rich table, as wide as the terminal."""
    from rich.console import Console

    Console().print(table)
