"""Compare methods, find liquidation prices, list and diff parameters."""

import sys
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import msgspec
import numpy as np
from rich.table import Table

from crossmargin.cli.app import console
from crossmargin.errors import InputError, MarketDataError
from crossmargin.files.book import read_book
from crossmargin.files.market import read_market
from crossmargin.files.parameters import effective_dates, read_parameters
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.instruments.contracts import DOLLAR_COINS
from crossmargin.margin.comparison import ComparisonRow, compared
from crossmargin.margin.liquidation_search import days_to_liquidation, first_hits, joint_surface, liquidation_prices
from crossmargin.margin.methods import DEFAULT_METHOD, METHODS, method_named
from crossmargin.margin.requirements import requirements
from crossmargin.margin.venue_accounts import exposures
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.report.comparison import compared_notes, compared_table, comparison_figure, comparison_record
from crossmargin.report.liquidation import surface_figure, surface_table
from crossmargin.units import Currency


def compare(
    book: Path | None = None,
    *,
    market: Path | None = None,
    account: str | None = None,
    method: Annotated[list[str] | None, cyclopts.Parameter(consume_multiple=True)] = None,
    as_of: str | None = None,
    pool: bool = False,
    chart: Path | None = None,
    json: bool = False,
) -> None:
    """Margin BOOK (default: the sample) under every method that can hold it, and say why they differ.

    Parameters
    ----------
    book
        Accounts, balances, positions and orders.
    market
        Market snapshot.
    account
        Only this account.
    method
        Only these methods.
    as_of
        Parameters in force on this ISO date.
    pool
        Margin each account as one pool instead of venue by venue.
    chart
        Write a chart to this HTML file.
    json
        Print records instead of tables.
    """
    portfolios, snapshot = _inputs(book, market, account)
    chosen = [method_named(name) for name in (method or sorted(METHODS)) if method or effective_dates(name)]
    rows = compared(portfolios, snapshot, [(m, read_parameters(m, as_of)) for m in chosen], pool=pool)
    if chart is not None:
        comparison_figure(rows).write_html(chart, include_plotlyjs="inline")
    if json:
        _print([comparison_record(row) for row in rows])
        return
    grouped: dict[str, list[ComparisonRow]] = {}
    for row in rows:
        grouped.setdefault(row.account, []).append(row)
    for name, own in grouped.items():
        console.print(compared_table(name, own))
        for note in compared_notes(own, reasons=len(grouped) == 1):
            console.print(note, highlight=False, soft_wrap=True)


def liquidation(
    account: str,
    *,
    book: Path | None = None,
    market: Path | None = None,
    method: str = DEFAULT_METHOD,
    as_of: str | None = None,
    ray: list[tuple[str, float]] | None = None,
    surface: tuple[str, str] | None = None,
    chart: Path | None = None,
    json: bool = False,
) -> None:
    """Say where the liquidation of ACCOUNT begins: coin by coin, along a joint move, and in time.

    Parameters
    ----------
    account
        Account of the book.
    book
        Book (default: the sample).
    market
        Market snapshot (default: the sample's).
    method
        Margin method.
    as_of
        Parameters in force on this ISO date.
    ray
        Coin and weight of its log move, several times: "BTC 1" and "ETH 1.2" move ETH 1.2 times as far as BTC.
    surface
        Two coins: equity less maintenance over joint moves of -50 % to +50 %.
    chart
        Write the surface as a chart to this HTML file.
    json
        Print one record.
    """
    if chart is not None and surface is None:
        raise InputError("a chart of liquidation needs the two coins of --surface")
    (portfolio,), snapshot = _inputs(book, market, account)
    chosen = method_named(method)
    parameters = read_parameters(chosen, as_of)
    coins = sorted(coin for coin, delta in exposures(portfolio, snapshot).items() if coin not in DOLLAR_COINS)
    found = {coin: liquidation_prices(portfolio, snapshot, chosen, parameters, Currency(coin)) for coin in coins}
    alike = dict.fromkeys(map(Currency, coins), 1.0)
    joint = first_hits(portfolio, snapshot, chosen, parameters, alike) if coins else None
    days = days_to_liquidation(portfolio, snapshot, chosen, parameters)
    weights = {_coin(snapshot, name): weight for name, weight in ray or ()}
    along = first_hits(portfolio, snapshot, chosen, parameters, weights) if weights else None
    pair = None if surface is None else (_coin(snapshot, surface[0]), _coin(snapshot, surface[1]))
    plane = None if pair is None else joint_surface(portfolio, snapshot, chosen, parameters, pair, SURFACE_MOVES)
    if chart is not None and pair is not None and plane is not None:
        surface_figure(account, pair, SURFACE_MOVES, plane).write_html(chart, include_plotlyjs="inline")
    if json:
        _print(
            {
                "account": account,
                "method": method,
                "coins": {coin: msgspec.to_builtins(line) for coin, line in found.items()},
                "all_coins_alike": msgspec.to_builtins(joint) if joint else None,
                "days_to_liquidation": days,
                "ray": {"weights": weights, **msgspec.to_builtins(along)} if along else None,
                "surface": None
                if plane is None
                else {"coins": pair, "moves": SURFACE_MOVES.tolist(), "equity_less_maintenance": plane.tolist()},
            }
        )
        return
    table = Table(title=f"{account} under {method}: where equity meets maintenance", title_justify="left")
    for heading in ("moves", "price now", "crossing", "move", "beyond it"):
        table.add_column(heading, justify="left" if heading in ("moves", "beyond it") else "right")
    others = [("all alike", joint), (" ".join(f"{coin}^{weight:g}" for coin, weight in weights.items()), along)]
    for coin, line in [*found.items(), *((name, line) for name, line in others if line)]:
        now = f"{snapshot.index_price(Currency(coin)):,.2f}" if coin in found else ""
        if not line.crossings:
            begun = "liquidatable at every move searched" if line.liquidatable_now else "never, from -98 % to +400 %"
            table.add_row(coin, now, "-", "-", begun)
        for crossing in line.crossings:
            price = "" if crossing.price is None else f"{crossing.price:,.2f}"
            beyond = "liquidation" if crossing.enters else "safe again"
            table.add_row(coin, now, price, f"{100 * crossing.move:+.2f} %", beyond)
    console.print(table)
    if pair is not None and plane is not None:
        console.print(surface_table(pair, SURFACE_MOVES, plane, console.width))
    console.print("in time, prices still: " + ("never within a year" if days is None else f"after {days:,.1f} days"))


def parameters(
    method: str | None = None,
    *,
    since: str | None = None,
    until: str | None = None,
    book: Path | None = None,
    market: Path | None = None,
    json: bool = False,
) -> None:
    """List parameter sets with their dates and sources; or show what changed between two dates, and its effect.

    Parameters
    ----------
    method
        Only this method.
    since
        ISO date: show the difference between the sets in force then and at `until`, and what it does to the book.
    until
        The later date.
    book
        The book of that effect; the embedded sample where not given.
    market
        Its snapshot; the embedded sample's where not given.
    json
        Print records.
    """
    if since is not None or until is not None:
        if method is None or since is None or until is None:
            raise InputError("a difference of parameters needs a method, --since and --until")
        _difference(method, since, until, _inputs(book, market, None), json=json)
        return
    records = [
        {
            "method": name,
            "effective": date,
            "sources": [msgspec.to_builtins(source) for source in read_parameters(METHODS[name], date).sources],
        }
        for name in ([method_named(method).name] if method else sorted(METHODS))
        for date in effective_dates(name)
    ]
    if json:
        _print(records)
        return
    table = Table(title="parameter sets", title_justify="left")
    for heading in ("method", "in force from", "source"):
        table.add_column(heading, overflow="fold")
    for record in records:
        for place, source in enumerate(record["sources"]):
            table.add_row(*(("", "") if place else (record["method"], record["effective"])), source["title"])
    console.print(table)


def _difference(
    method: str, since: str, until: str, inputs: tuple[tuple[Portfolio, ...], MarketSnapshot], *, json: bool
) -> None:
    chosen = method_named(method)
    before, after = read_parameters(chosen, since), read_parameters(chosen, until)
    old, new = _flat(msgspec.to_builtins(before)), _flat(msgspec.to_builtins(after))
    changes = [
        {"field": field, "before": old.get(field), "after": new.get(field)}
        for field in sorted(set(old) | set(new))
        if old.get(field) != new.get(field) and not field.startswith("sources")
    ]
    effects: list[dict[str, Any]] = []
    refused = 0
    if before.effective != after.effective:
        portfolios, snapshot = inputs
        for portfolio in portfolios:
            try:
                pair = [requirements((portfolio,), snapshot, chosen, each)[0] for each in (before, after)]
            except (InputError, MarketDataError) as error:
                effects.append({"account": portfolio.account, "refused": str(error)})
                refused += 1
                continue
            effects.append({"account": portfolio.account, "before": pair[0].initial, "after": pair[1].initial})
    if json:
        _print({"method": method, "changes": changes, "effects": effects})
        return
    table = Table(title=f"{method}: {before.effective} to {after.effective}", title_justify="left")
    for heading in ("field", "before", "after"):
        table.add_column(heading, overflow="fold")
    for change in changes:
        table.add_row(change["field"], str(change["before"]), str(change["after"]))
    console.print(table if changes else f"{method}: one set, {before.effective}, was in force on both dates")
    for effect in effects:
        if "refused" not in effect:
            console.print(f"{effect['account']}: initial {effect['before']:,.0f} to {effect['after']:,.0f}")
    if refused:
        console.print(f"{refused} of {len(effects)} accounts cannot be held under {method}")


SURFACE_MOVES = np.array([-0.5, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.5])
"""Relative moves of each of the two coins of a surface."""


def _coin(market: MarketSnapshot, name: str) -> Currency:
    if name not in market.index or name in DOLLAR_COINS:
        coins = ", ".join(coin for coin in market.index if coin not in DOLLAR_COINS)
        raise InputError(f"a coin must be one of {coins}, was {name!r}")
    return Currency(name)


def _inputs(
    book: Path | None, market: Path | None, account: str | None
) -> tuple[tuple[Portfolio, ...], MarketSnapshot]:
    if (book is None) != (market is None):
        raise InputError("a book needs its market snapshot and the other way round; give both, or neither")
    snapshot = sample_market() if market is None else read_market(market)
    portfolios = tuple(sample_book() if book is None else read_book(book, market=snapshot))
    if account is None:
        return portfolios, snapshot
    named = tuple(portfolio for portfolio in portfolios if portfolio.account == account)
    if not named:
        raise InputError(f"an account must be one of the book's {len(portfolios)}, was {account!r}")
    return named, snapshot


def _flat(value: object, prefix: str = "") -> dict[str, Any]:
    """Nested values as ``a.b.0: value``."""
    if isinstance(value, dict):
        return {k: v for key, part in value.items() for k, v in _flat(part, f"{prefix}{key}.").items()}
    if isinstance(value, list):
        return {k: v for place, part in enumerate(value) for k, v in _flat(part, f"{prefix}{place}.").items()}
    return {prefix.removesuffix("."): value}


def _print(value: object) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
