"""The application that every command joins, and the consoles that they print to."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

import cyclopts
import msgspec
from rich.console import Console
from rich.progress import track

from crossmargin.cli.commands import COMMANDS

T = TypeVar("T")

console = Console()
errors = Console(stderr=True)
"""Errors and progress, so that what is piped stays clean."""


def _application(*, is_listing: bool) -> cyclopts.App:
    found = cyclopts.App(
        name="crossmargin", help="Cross-margin a book of crypto derivatives.", version_flags=["--version"]
    )
    found.register_install_completion_command()
    for name, (where, says) in COMMANDS.items():
        # a command's own help is its whole docstring, which a line given here would stand before
        line = {"help": says} if is_listing else {}
        found.command(f"crossmargin.cli.{where}", name=name, **line)
    return found


app = _application(is_listing=False)


def listing() -> cyclopts.App:
    """Return the application as it lists its commands: each has its line, and none is imported."""
    return _application(is_listing=True)


def followed(steps: Iterable[T], what: str, *, total: int | None = None, quiet: bool = False) -> Iterator[T]:
    """Yield `steps` beside a progress bar with rate and time left, where there is a terminal to show it."""
    shown = errors.is_terminal and not quiet
    yield from track(steps, what, total=total, console=errors, transient=True, disable=not shown)


def write_json(value: object) -> None:
    """Print `value` as one line of JSON."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
