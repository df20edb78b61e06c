"""Compare our record with a venue's or custodian's statement."""

import hashlib
import sys
from collections import Counter
from decimal import Decimal, InvalidOperation
from pathlib import Path

from rich.progress import Progress
from rich.table import Table

from crossmargin.clearing.reconciliation import Finding, Statement, compare_statements
from crossmargin.cli.app import console, write_json
from crossmargin.engine.commands import Halt
from crossmargin.errors import InputError
from crossmargin.files.statement import read_statement
from crossmargin.store.journal import open_journal
from crossmargin.store.records import RecordError
from crossmargin.store.runner import Runner
from crossmargin.store.transfers import held_outside
from crossmargin.units import NANOSECONDS_PER_SECOND


def reconcile(
    ours: Path,
    theirs: Path,
    *,
    tolerance: str = "0",
    timing_seconds: float = 0.0,
    halt: bool = False,
    json: bool = False,
) -> None:
    """Name every difference between OURS and THEIRS, and change no balance; exit code 1 if there is one.

    A break is missing, unknown to them, duplicate, amount, fee asset or timing.

    Parameters
    ----------
    ours
        A journal (a folder, or .sqlite), or a statement of our own.
    theirs
        Their statement: JSON with balances, positions and lines, or CSV of lines.
    tolerance
        Differences of an amount up to this are none.
    timing_seconds
        Times up to this far apart are the same, and what we booked within it before their statement's time is on its way.
    halt
        Where something breaks, write a halt into the journal OURS: until an operator resumes, nothing but risk
        reduction, deposits and cancels passes.
    json
        Print a record instead of a table.
    """
    # the record that is compared is read before anything is written
    is_statement = ours.is_file() and ours.suffix in (".json", ".csv")
    if halt and is_statement:
        raise InputError("--halt needs a journal to write to, OURS is a statement")
    found = compare_statements(
        read_statement(ours) if is_statement else _held_outside(ours, json=json),
        read_statement(theirs),
        tolerance=_tolerance(tolerance),
        timing_ns=_nanoseconds(timing_seconds),
    )
    halted = _halt(ours, theirs, found) if halt and found else False
    _show(found, halted=halted, json=json)
    if found:
        sys.exit(1)


def _held_outside(journal: Path, *, json: bool) -> Statement:
    opened = open_journal(journal)
    with Progress(console=console, transient=True, disable=json) as progress:
        task = progress.add_task("records", total=None)
        try:
            return held_outside(opened, lambda number: progress.update(task, completed=number))
        except RecordError as error:
            raise InputError(f"a journal must be whole to be compared: {error}") from error


def _halt(journal: Path, theirs: Path, found: tuple[Finding, ...]) -> bool:
    """Halt once per statement, which an operator may then answer; return whether the engine is halted."""
    digest = hashlib.sha256(theirs.read_bytes()).hexdigest()[:32]
    opened = open_journal(journal, write=True)
    reason = f"reconciliation: {found[0].kind.value}, {found[0].detail}"
    runner = Runner(opened)
    runner.submit([Halt(id=f"reconcile {digest}", reason=reason)])
    opened.close()
    return runner.engine.state.halt is not None


def _show(found: tuple[Finding, ...], *, halted: bool, json: bool) -> None:
    if json:
        write_json(
            {
                "breaks": [
                    {"kind": each.kind.value, "id": each.id, "detail": each.detail, "amount": str(each.amount)}
                    for each in found
                ],
                "counts": dict(sorted(Counter(each.kind.value for each in found).items())),
                "halted": halted,
            }
        )
        return
    table = Table(title=f"{len(found)} breaks")
    for name in ("kind", "id", "finding"):
        table.add_column(name)
    table.add_column("amount", justify="right")
    for each in found:
        table.add_row(each.kind.value, each.id, each.detail, f"{each.amount:f}")
    console.print(table if found else "no breaks")
    if halted:
        console.print("[bold red]halted[/]")


def _tolerance(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise InputError(f"a tolerance must be a number, was {text!r}") from error
    if not amount.is_finite() or amount < 0:
        raise InputError(f"a tolerance must not be negative, was {text}")
    return amount


def _nanoseconds(seconds: float) -> int:
    if not 0.0 <= seconds < float("inf"):
        raise InputError(f"timing must not be negative, was {seconds} s")
    return int(seconds * NANOSECONDS_PER_SECOND)
