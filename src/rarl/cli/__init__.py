"""The command line: each verb is a thin call of a Python function.

What brings torch is imported inside a verb, after its input was found to be sound: mistakes are told at once.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated

import typer

from rarl.cli import answers, groups, models, training  # noqa: F401  their verbs hang themselves on the application
from rarl.cli.shared import app
from rarl.errors import RarlError, StoppedError
from rarl.stopping import SIGNALS, stoppable


def main() -> None:
    """The entry point of `rarl`: a mistake in the input is one line, not a traceback."""
    # Read when torch is first imported. Threads that spin while they wait rob each other where the cores are busy:
    # small models on a CPU then take many times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        with stoppable("run the same command again"):  # where no verb says better how to go on
            app()
    except StoppedError as error:
        for number in SIGNALS:  # it is on its way out: another one makes it no faster, and the exit code another
            signal.signal(number, signal.SIG_IGN)
        print(f"rarl: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
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
