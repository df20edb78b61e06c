"""Margin a book."""

import sys
from importlib import resources
from pathlib import Path

import msgspec

from crossmargin.cli.app import app, console
from crossmargin.files.book import read_book
from crossmargin.files.market import read_market
from crossmargin.files.parameters import read_parameters
from crossmargin.margin.methods import method_named
from crossmargin.margin.requirements import requirements
from crossmargin.report.table import requirement_record, requirements_table


@app.command
def margin(
    book: Path,
    *,
    market: Path,
    method: str = "scenario_grid",
    as_of: str | None = None,
    at: str | None = None,
    json: bool = False,
) -> None:
    """State the margin of every account of BOOK.

    Parameters
    ----------
    book
        Accounts, balances, positions and orders.
    market
        Market snapshot, or a file of many.
    method
        Margin method.
    as_of
        Use the parameters in force on this ISO date.
    at
        Use the newest snapshot at or before this time (UTC; a date alone means its end).
    json
        Print records instead of a table.
    """
    chosen = method_named(method)
    results = requirements(read_book(book), read_market(market, at), chosen, read_parameters(chosen, as_of))
    if json:
        sys.stdout.write(msgspec.json.encode([requirement_record(result) for result in results]).decode() + "\n")
    else:
        console.print(requirements_table(results))


@app.command
def demo(*, json: bool = False) -> None:
    """Margin the embedded sample book; needs no files, keys or network.

    Parameters
    ----------
    json
        Print records instead of tables.
    """
    with resources.as_file(resources.files("crossmargin") / "sample") as folder:
        margin(folder / "book.json", market=folder / "market.json", json=json)
