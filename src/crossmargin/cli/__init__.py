"""The command line: one module per group of commands; importing it adds its commands to `app`."""

import sys

from rich.console import Console

from crossmargin.cli import bench, checks, clearing, margin, schema, venues
from crossmargin.cli.app import app
from crossmargin.errors import CrossMarginError

__all__ = ["app", "bench", "checks", "clearing", "main", "margin", "schema", "venues"]


def main() -> None:
    """Run the command line; one clear line and exit code 2 on bad input."""
    try:
        app()
    except CrossMarginError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {error}", soft_wrap=True)
        sys.exit(2)
