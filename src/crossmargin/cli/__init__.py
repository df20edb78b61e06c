"""The command line: one module per group of commands, imported when one of its commands runs."""

import os
import sys

from cyclopts import CycloptsError
from rich.text import Text

from crossmargin.cli.app import app, errors, listing
from crossmargin.errors import CrossMarginError

__all__ = ["app", "main"]
LISTED_BY: tuple[list[str], ...] = ([], ["--help"], ["-h"])


def main() -> None:
    """Run the command line; one clear line and exit code 2 on bad input."""
    asked = sys.argv[1:]
    try:
        (listing() if asked in LISTED_BY else app)(asked, exit_on_error=False, print_error=False)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (CrossMarginError, CycloptsError, OSError) as error:
        line = Text("error: ", style="bold red").append(" ".join(str(error).split()), style="default not bold")
        errors.print(line, soft_wrap=True)
        sys.exit(2)
