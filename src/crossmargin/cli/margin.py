"""Margin a book."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from crossmargin.cli.app import app, console
from crossmargin.cli.clearing import clearing_demo
from crossmargin.cli.report import every_method, write_report
from crossmargin.errors import InputError
from crossmargin.files.book import read_book
from crossmargin.files.history import read_history
from crossmargin.files.market import read_market
from crossmargin.files.parameters import read_parameters
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.instruments.contracts import DOLLAR_COINS
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin.comparison import Refusal
from crossmargin.margin.method import Requirement
from crossmargin.margin.methods import method_named
from crossmargin.margin.requirements import requirements
from crossmargin.margin.what_if import Change
from crossmargin.margin.what_if import what_if as margin_what_if
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.report.table import (
    comparison_table,
    explanation_tree,
    requirement_record,
    requirements_table,
    what_if_table,
)


@app.command
def margin(
    book: Path,
    *,
    market: Path,
    method: str = "scenario_grid",
    as_of: str | None = None,
    at: str | None = None,
    history: Path | None = None,
    report: Path | None = None,
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
    history
        Past closes, for methods that draw scenarios from them.
    report
        Write an HTML report there too.
    json
        Print records instead of a table.
    """
    chosen = method_named(method)
    portfolios, snapshot = tuple(read_book(book)), read_market(market, at)
    if history is not None:
        snapshot = replace(snapshot, history=read_history(history).until(snapshot.time_ns))
    results = requirements(portfolios, snapshot, chosen, read_parameters(chosen, as_of))
    if report is not None:
        found = every_method(portfolios, snapshot, as_of)
        write_report(report, book.stem, portfolios, snapshot, method, found, as_of)
    if json:
        sys.stdout.write(msgspec.json.encode([requirement_record(result) for result in results]).decode() + "\n")
    else:
        console.print(requirements_table(results))


@app.command
def demo(*, clearing: bool = False, report: Path = Path("crossmargin-demo.html"), json: bool = False) -> None:
    """Margin the embedded sample book under every method and write a report; needs no files, keys or network.

    Parameters
    ----------
    clearing
        Walk a default through the whole waterfall instead.
    report
        Where the report goes.
    json
        Print records of every method instead of a table; writes no report.
    """
    if clearing:
        clearing_demo(json=json)
        return
    book, market = tuple(sample_book()), sample_market()
    found = every_method(book, market)
    if json:
        records = [_record(answer) for answers in found.values() for answer in answers]
        sys.stdout.write(msgspec.json.encode(records).decode() + "\n")
        return
    console.print(comparison_table(found))
    with console.status("writing the report"):
        write_report(report, "Sample book", book, market, "scenario_grid", found)
    console.print(f"report: {report}", soft_wrap=True)


def _record(answer: Requirement | Refusal) -> dict[str, Any]:
    if isinstance(answer, Refusal):
        return {"account": answer.account, "method": answer.method, "refused": answer.reason}
    return requirement_record(answer)


@app.command
def explain(
    account: str,
    *,
    book: Path | None = None,
    market: Path | None = None,
    method: str = "scenario_grid",
    json: bool = False,
) -> None:
    """Say why ACCOUNT needs what it needs.

    Parameters
    ----------
    account
        Name of the account.
    book, market
        Files; the embedded sample where not given.
    method
        Margin method.
    json
        Print a record instead of a tree.
    """
    portfolio, snapshot = _account(account, book, market)
    chosen = method_named(method)
    result = requirements((portfolio,), snapshot, chosen, read_parameters(chosen))[0]
    if json:
        sys.stdout.write(msgspec.json.encode(requirement_record(result)).decode() + "\n")
    else:
        console.print(explanation_tree(result))


@app.command
def what_if(
    account: str,
    *,
    trade: tuple[str, float] | None = None,
    price: float = 0.0,
    vol: float = 0.0,
    book: Path | None = None,
    market: Path | None = None,
    method: str = "scenario_grid",
    json: bool = False,
) -> None:
    """State the margin of ACCOUNT before and after a trade or a move.

    Parameters
    ----------
    account
        Name of the account.
    trade
        Instrument and contracts to trade at the mark; negative sells.
    price, vol
        Relative move of every coin and its vols: -0.1 is -10 %.
    book, market
        Files; the embedded sample where not given.
    method
        Margin method.
    json
        Print a record instead of a table.
    """
    portfolio, snapshot = _account(account, book, market)
    coins = [coin for coin in snapshot.index if coin not in DOLLAR_COINS]
    change = Change(
        trades=((parse_contract(trade[0]), trade[1]),) if trade else (),
        prices=dict.fromkeys(coins, price) if price else None,
        vols=dict.fromkeys(coins, vol) if vol else None,
    )
    chosen = method_named(method)
    result = margin_what_if(portfolio, snapshot, change, chosen, read_parameters(chosen))
    if json:
        record = {"before": requirement_record(result.before), "after": requirement_record(result.after)}
        sys.stdout.write(msgspec.json.encode(record).decode() + "\n")
    else:
        console.print(what_if_table(result))


def _account(account: str, book: Path | None, market: Path | None) -> tuple[Portfolio, MarketSnapshot]:
    portfolios = read_book(book) if book else sample_book()
    found = next((portfolio for portfolio in portfolios if portfolio.account == account), None)
    if found is None:
        raise InputError(f"an account must be one of {', '.join(p.account for p in portfolios)}, was {account!r}")
    return found, read_market(market) if market else sample_market()
