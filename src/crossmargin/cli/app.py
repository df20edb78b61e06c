"""The application that every command joins, and the consoles that they print to."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

import cyclopts
import msgspec
from rich.console import Console
from rich.progress import track

T = TypeVar("T")

app = cyclopts.App(name="crossmargin", help="Cross-margin a book of crypto derivatives.", version_flags=["--version"])
app.register_install_completion_command()
console = Console()
errors = Console(stderr=True)
"""Errors and progress, so that what is piped stays clean."""


def followed(steps: Iterable[T], what: str, *, total: int | None = None, quiet: bool = False) -> Iterator[T]:
    """Yield `steps` beside a progress bar with rate and time left, where there is a terminal to show it."""
    shown = errors.is_terminal and not quiet
    yield from track(steps, what, total=total, console=errors, transient=True, disable=not shown)


def write_json(value: object) -> None:
    """Print `value` as one line of JSON."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
