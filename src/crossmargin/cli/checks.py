"""Check the numbers against outside cases, and the installation."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from crossmargin.cli.app import app, console
from crossmargin.files.parameters import effective_dates
from crossmargin.margin.methods import METHODS
from crossmargin.verification.readers import FolderOutcome, verify_folders


@app.command
def verify(directory: Path, *, json: bool = False) -> None:
    """Run every case folder below DIRECTORY for which a reader exists; exit 1 on a mismatch.

    Parameters
    ----------
    directory
        Folder of case folders.
    json
        Print a record instead of a table.
    """
    outcomes = verify_folders(directory)
    ok = all(outcome.tally.ok for outcome in outcomes if outcome.tally is not None)
    folders = [_folder(outcome) for outcome in outcomes]
    if json:
        sys.stdout.write(msgspec.json.encode({"ok": ok, "folders": folders}).decode() + "\n")
    else:
        table = Table("folder")
        for heading in ("cases", "matched", "disabled", "worst error"):
            table.add_column(heading, justify="right", no_wrap=True)
        for row in folders:
            counts = [str(row[name]) for name in ("cases", "matched", "disabled")]
            error = f"{row['worst_error']:.3g}" if row["worst_error"] is not None else "∞"
            table.add_row(
                row["name"], *(counts if row["known"] else ["unknown", "", ""]), error if row["known"] else ""
            )
        console.print(table)
        console.print("all cases match" if ok else "some cases do not match")
    if not ok:
        sys.exit(1)


def _folder(outcome: FolderOutcome) -> dict[str, Any]:
    tally = outcome.tally
    return {
        "name": outcome.name,
        "known": outcome.known,
        "cases": tally.cases if tally else 0,
        "matched": tally.matched if tally else 0,
        "disabled": tally.disabled if tally else 0,
        # JSON has no infinity: a case that gave no number has a null error
        "worst_error": (tally.worst_error if tally.worst_error < float("inf") else None) if tally else 0.0,
    }


@app.command
def doctor(*, json: bool = False) -> None:
    """Say what this installation runs on: Python, libraries, machine, parameter sets, outside cases.

    Parameters
    ----------
    json
        Print a record instead of lines.
    """
    shared = os.environ.get("CROSSMARGIN_SHARED", "")
    facts = {
        "crossmargin": metadata.version("crossmargin"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        **{name: metadata.version(name) for name in ("numpy", "numba", "scipy", "polars", "plotly")},
        "numba cache": os.environ.get("NUMBA_CACHE_DIR", "beside the package"),
        **{f"parameters of {name}": ", ".join(effective_dates(name)) or "none" for name in METHODS},
        "outside cases": shared if shared and Path(shared).is_dir() else "absent: CROSSMARGIN_SHARED names no folder",
    }
    if json:
        sys.stdout.write(msgspec.json.encode(facts).decode() + "\n")
    else:
        for name, fact in facts.items():
            console.print(f"{name:28} {fact}", soft_wrap=True, highlight=False)
