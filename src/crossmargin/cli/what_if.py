"""What a change would do to an account's margin."""

from pathlib import Path
from typing import Literal

from crossmargin.cli.app import console, write_json
from crossmargin.cli.inputs import Given, Observed, account_of
from crossmargin.errors import InputError
from crossmargin.files.changes import ChangeRow, change_of, read_changes
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.native_names import parse_instrument_name
from crossmargin.margin.methods import DEFAULT_METHOD, method_named
from crossmargin.margin.requirements import risk_for
from crossmargin.margin.what_if import WhatIf, largest_order, traded
from crossmargin.margin.what_if import what_if as margin_what_if
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio, Side
from crossmargin.report.table import largest_orders_table, requirement_record, what_if_table, what_ifs_table

DEFAULT = Observed()
Pairs = list[tuple[str, float]]


def what_if(
    account: str | None = None,
    *,
    add: Pairs | None = None,
    close: list[str] | None = None,
    scale: Pairs | None = None,
    price: Pairs | None = None,
    vol: Pairs | None = None,
    deposit: Pairs | None = None,
    withdraw: Pairs | None = None,
    largest: list[tuple[str, Literal["buy", "sell"]]] | None = None,
    changes: Path | None = None,
    book: Path | None = None,
    method: str = DEFAULT_METHOD,
    given: Given = DEFAULT,
    json: bool = False,
) -> None:
    """State the margin of ACCOUNT before and after trades, moves of the market, deposits and withdrawals.

    Every option may be given several times. Trades are done at the mark of before.

    Parameters
    ----------
    account
        Name of the account; may be left out where the book has one, or --changes names it.
    add
        Instrument and contracts to trade; negative sells.
    close
        Instrument whose position is closed, or "all".
    scale
        Instrument (or "all") and the factor on its position: 0.5 halves it, -1 turns it around.
    price
        Coin (or "all") and its relative move: -0.1 is -10 %.
    vol
        Coin (or "all") and the relative move of its vols: 0.5 is half as much again.
    deposit
        Currency and amount that come.
    withdraw
        Currency and amount that go.
    largest
        Instrument and side: the most contracts that can be traded at the mark with no deficit, instead of a change.
    changes
        JSON list of many such changes instead; each may name its account and method (`schema changes`).
    book
        Its book; the embedded sample where not given.
    method
        Margin method.
    json
        Print a record instead of a table.
    """
    market = given.snapshot()
    asked = ChangeRow(
        close=tuple(close or ()),
        add=_summed(add),
        scale=_once("scale", scale),
        price=_once("price", price),
        vol=_once("vol", vol),
        deposit=_summed(deposit),
        withdraw=_summed(withdraw),
    )
    if largest:
        if changes is not None or asked != ChangeRow():
            raise InputError("the largest order is asked of the book as it is, a change was given too")
        _largest(account_of(book, account, market), market, largest, method, given.as_of, json=json)
        return
    if changes is None:
        result = _answer(asked, account, method, book, market, given.as_of)
        if json:
            write_json({"before": requirement_record(result.before), "after": requirement_record(result.after)})
        else:
            console.print(what_if_table(result, console.width))
        return
    if asked != ChangeRow():
        raise InputError("a what-if takes its changes from options or from --changes, was given both")
    rows = read_changes(changes)
    results = [_answer(row, row.account or account, row.method or method, book, market, given.as_of) for row in rows]
    if json:
        write_json(
            [
                {
                    "change": row.words,
                    "before": requirement_record(result.before),
                    "after": requirement_record(result.after),
                }
                for row, result in zip(rows, results, strict=True)
            ]
        )
    else:
        console.print(what_ifs_table([row.words for row in rows], results, console.width))


def _answer(
    row: ChangeRow, account: str | None, method: str, book: Path | None, market: MarketSnapshot, as_of: str | None
) -> WhatIf:
    portfolio, chosen = account_of(book, account, market), method_named(method)
    return margin_what_if(portfolio, market, change_of(row, portfolio, market), chosen, read_parameters(chosen, as_of))


def _largest(
    portfolio: Portfolio,
    market: MarketSnapshot,
    asked: list[tuple[str, Literal["buy", "sell"]]],
    method: str,
    as_of: str | None,
    *,
    json: bool,
) -> None:
    chosen = method_named(method)
    parameters = read_parameters(chosen, as_of)
    found = []
    for name, side in asked:
        contract = parse_instrument_name(name)
        # one contract more brings its scenarios into the risk array
        risk = risk_for([portfolio, traded(portfolio, contract, 1.0, market)], market, chosen, parameters)
        size = largest_order(portfolio, market, risk, chosen, parameters, contract, Side(side))
        found.append({"instrument": contract.id, "side": side, "contracts": size})
    if json:
        write_json(found)
    else:
        console.print(largest_orders_table(found, console.width))


def _summed(pairs: Pairs | None) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in pairs or ():
        found[name] = found.get(name, 0.0) + value
    return found


def _once(what: str, pairs: Pairs | None) -> dict[str, float]:
    """A factor or a move of one name cannot be added up."""
    names = [name for name, _ in pairs or ()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"a {what} may be given once, {twice[0]} was given twice")
    return dict(pairs or ())
