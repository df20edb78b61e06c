"""Check the numbers against outside cases, and the installation."""

import os
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from llvmlite.binding import get_host_cpu_features, get_host_cpu_name
from rich.table import Table

from crossmargin.cli.app import console, followed, write_json
from crossmargin.cli.service_checks import look_at_service
from crossmargin.files.parameters import effective_dates
from crossmargin.margin.methods import METHODS
from crossmargin.report.columns import Column, table
from crossmargin.verification.readers import READERS, FolderOutcome, each_folder

_PACKAGE = Path(__file__).parents[1]


def verify(directory: Path, *, json: bool = False) -> None:
    """Run every case folder below DIRECTORY for which a reader exists; exit 1 on a mismatch.

    Parameters
    ----------
    directory
        Folder of case folders.
    json
        Print a record instead of a table.
    """
    steps = each_folder(directory)
    outcomes = list(followed(steps, "verifying", quiet=json))
    ok = all(outcome.tally.ok for outcome in outcomes if outcome.tally is not None)
    folders = [_folder(outcome) for outcome in outcomes]
    if json:
        write_json({"ok": ok, "folders": folders})
    else:
        console.print(_folders_table(folders, console.width))
        console.print("all cases match" if ok else "some cases do not match")
    if not ok:
        sys.exit(1)


def _folders_table(folders: Sequence[dict[str, Any]], width: int) -> Table:
    known = [folder["known"] for folder in folders]
    counts = {
        name: [str(folder[name]) if folder["known"] else "" for folder in folders]
        for name in ("cases", "matched", "disabled")
    }
    worst = ["∞" if folder["worst_error"] is None else f"{folder['worst_error']:.3g}" for folder in folders]
    columns = (
        Column(heading="folder", cells=[folder["name"] for folder in folders], words=True),
        Column(heading="cases", cells=counts["cases"]),
        Column(heading="matched", cells=counts["matched"]),
        Column(heading="disabled", cells=counts["disabled"], importance=2),
        Column(heading="worst error", cells=[e if k else "" for e, k in zip(worst, known, strict=True)], importance=1),
        Column(heading="reader", cells=["" if k else "none" for k in known], importance=3, words=True),
    )
    return table(columns, width)


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


def doctor(
    *,
    service: bool = False,
    config: Path | None = None,
    folder: Path | None = None,
    port: int | None = None,
    database: str | None = None,
    open_: bool | None = None,
    compile_: bool = False,
    json: bool = False,
) -> None:
    """Say what this installation runs on: Python, libraries, machine, compiled kernels, parameters, outside cases.

    With --service look instead at what `serve` needs with the same settings (disk, lease, port, journal, database, clock,
    keys, certificate, alerts), and exit with 1 where something is wrong; that changes nothing, and may be run beside a
    running service.

    Parameters
    ----------
    service
        Look at the service.
    config
        TOML file with a table [service].
    folder
        Folder of the journal, as for `serve`.
    port
        TCP port, as for `serve`.
    database
        URL of the tables, as for `serve`.
    open_
        The service asks nobody for a key, as for `serve`.
    compile_
        Compile the kernels that the service needs, so that its first start does not wait for them.
    json
        Print a record instead of lines.
    """
    if service:
        flags = {"folder": None if folder is None else str(folder), "port": port, "database": database, "open": open_}
        look_at_service(flags, config, compile_kernels=compile_, json=json)
        return
    facts = {
        "crossmargin": metadata.version("crossmargin"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "cpu": _cpu(),
        **{name: metadata.version(name) for name in ("numpy", "numba", "scipy", "polars", "plotly")},
        "kernel cache": _kernel_cache(),
        **{f"parameters of {name}": ", ".join(effective_dates(name)) or "none" for name in METHODS},
        "outside cases": _outside_cases(),
    }
    if json:
        write_json(facts)
    else:
        width = max(map(len, facts)) + 2
        for name, fact in facts.items():
            console.print(f"{name:{width}}{fact}", soft_wrap=True, highlight=False)


def _cpu() -> str:
    """The processor and the widest vectors that kernels are compiled for."""
    features = get_host_cpu_features()
    wide = [name for name in ("avx512f", "avx2", "fma", "sse4.2", "neon", "sve") if features.get(name)]
    return f"{get_host_cpu_name()}, {' '.join(wide) or 'no vector extensions known'}"


def _kernel_cache() -> str:
    """Where compiled kernels are kept, and how many are."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(named) if named else _PACKAGE
    if not os.access(folder if folder.is_dir() else folder.parent, os.W_OK):
        return f"{folder} cannot be written: kernels are kept in the user's cache folder, or compiled anew"
    kept = sum(1 for _ in folder.rglob("*.nbc")) if folder.is_dir() else 0
    return f"{folder}, {kept} kept" if kept else f"{folder}, empty: the first run compiles"


def _outside_cases() -> str:
    named = os.environ.get("CROSSMARGIN_SHARED")
    folder = Path(named) if named else _PACKAGE.parents[2] / "shared"  # beside the checkout
    vectors = folder / "vectors"
    if not vectors.is_dir():
        return f"absent: CROSSMARGIN_SHARED {f'is {named}' if named else 'is not set'}, no cases at {vectors}"
    folders = [entry.name for entry in vectors.iterdir() if entry.is_dir()]
    return f"{folder}, {len(folders)} folders, {sum(name in READERS for name in folders)} with a reader"
