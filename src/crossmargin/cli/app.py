"""The application that every command joins, and the console that they print to."""

import cyclopts
from rich.console import Console

app = cyclopts.App(name="crossmargin", help="Cross-margin a book of crypto derivatives.", version_flags=["--version"])
console = Console()
