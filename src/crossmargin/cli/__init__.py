"""The command line: one module per group of commands; importing the package adds their commands to `app`."""

import os
import sys

from cyclopts import CycloptsError
from rich.text import Text

from crossmargin.cli import (
    access,
    attribution,
    backtest,
    backup,
    bench,
    checks,
    clearing,
    counterparties,
    forecast,
    greeks,
    hedge,
    imports,
    margin,
    reconcile,
    risk,
    schema,
    science,
    sensitivity,
    serve,
    several_venues,
    stress,
    venues,
    watch,
    what_if,
)
from crossmargin.cli.app import app, errors
from crossmargin.errors import CrossMarginError

__all__ = [
    "access",
    "app",
    "attribution",
    "backtest",
    "backup",
    "bench",
    "checks",
    "clearing",
    "counterparties",
    "forecast",
    "greeks",
    "hedge",
    "imports",
    "main",
    "margin",
    "reconcile",
    "risk",
    "schema",
    "science",
    "sensitivity",
    "serve",
    "several_venues",
    "stress",
    "venues",
    "watch",
    "what_if",
]


def main() -> None:
    """Run the command line; one clear line and exit code 2 on bad input."""
    try:
        app(sys.argv[1:], exit_on_error=False, print_error=False)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (CrossMarginError, CycloptsError, OSError) as error:
        line = Text("error: ", style="bold red").append(" ".join(str(error).split()), style="default not bold")
        errors.print(line, soft_wrap=True)
        sys.exit(2)
