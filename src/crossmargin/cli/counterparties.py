"""Who could hurt the house, and how much: counterparties, venues, and the default fund that covers the worst of them."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from crossmargin.clearing.counterparty import (
    Counterparty,
    Exposure,
    FundSize,
    concentration,
    counterparties,
    cover,
    without_excess,
)
from crossmargin.cli.app import console, followed, write_json
from crossmargin.cli.inputs import Given, Observed, given_book
from crossmargin.errors import InputError
from crossmargin.files.book import Book
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.contracts import DOLLAR_COINS
from crossmargin.margin.exhaustion import net_equity
from crossmargin.margin.exposure import book_pnl, net_quantities, underlyings
from crossmargin.margin.methods import method_named
from crossmargin.margin.requirements import held_instruments, risk_for
from crossmargin.margin.ring_fence import account_requirement
from crossmargin.margin.stress_test import Depth, exposures, stress_results
from crossmargin.margin.tail_risk import METHOD as TAIL_RISK
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.risk_array import RiskArray, risk_array
from crossmargin.scenarios.crises import CRISES, crisis_named, hypothetical_stresses
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.scenarios.stress import stress_scenarios
from crossmargin.units import AccountId

DEFAULT = Observed()
MOST_SHOWN = 15
"""Rows of the table; the record has all."""


def show(
    book: Path | None = None,
    *,
    method: str | None = None,
    crisis: list[str] | None = None,
    excess_counts: bool = False,
    fund: float | None = None,
    given: Given = DEFAULT,
    json: bool = False,
) -> None:
    """State exposure and concentration per counterparty and venue, losses given default, and cover-1 and cover-2.

    Every account of BOOK is a counterparty whose positions the house would have to close; sub-accounts default with their
    parent. A default fund covers what the worst one, or the worst two, owe beyond margin in the worst stress.

    Parameters
    ----------
    book
        Accounts, balances and positions; the embedded sample where not given.
    method
        Method of the margin that pays first; each account's own where not given.
    crisis
        march-2020, may-2021, november-2022, august-2024, october-2025 or hypothetical; all where not given.
    excess_counts
        Count dollars beyond the requirement too, which could be withdrawn before a default.
    fund
        USD of a default fund; exit code stays 0 where it is too small, and the shortage is stated.
    json
        Print a record instead of tables.
    """
    held, market = given_book(book), given.snapshot()
    if not len(held):
        raise InputError("a book must have an account to be somebody's counterparty")
    scenarios = _scenarios(held, market, crisis or [*(each.name for each in CRISES), "hypothetical"])
    risk = risk_array(held_instruments(held), market, scenarios)
    initial = _initial(held, market, method, given.as_of, quiet=json)
    members = [
        portfolio if excess_counts else without_excess(portfolio, market, net_equity(portfolio, market) - required)
        for portfolio, required in zip(held, initial, strict=True)
    ]
    rows, beyond = counterparties(
        stress_results(members, market, scenarios, _depth(given.as_of)),
        initial,
        [_exposure(portfolio, risk) for portfolio in held],
    )
    owners = _owners(held)
    names = tuple(dict.fromkeys(owners))
    together = np.array([beyond[[owner == name for owner in owners]].sum(axis=0) for name in names])
    sizes = [cover(names, together, count) for count in (1, 2) if count <= len(names)]
    record = _record(rows, owners, _venues(held, risk), sizes, scenarios, fund)
    if json:
        write_json(record)
    else:
        _print(rows, record)


def _scenarios(held: Book, market: MarketSnapshot, names: Sequence[str]) -> ScenarioSet:
    """Return stresses of all coins held at once: members default in the same stress."""
    coins = sorted({coin for portfolio in held for coin in underlyings(portfolio)})
    if not coins:
        raise InputError("a book must hold a coin that moves, this one holds none")
    stresses = [stress for name in names if name != "hypothetical" for stress in crisis_named(name).stresses(coins)]
    if "hypothetical" in names:
        dollars = [coin for coin in market.index if coin in DOLLAR_COINS]
        stresses += hypothetical_stresses([*coins, *dollars])
    return stress_scenarios(stresses)


def _initial(held: Book, market: MarketSnapshot, method: str | None, as_of: str | None, *, quiet: bool) -> list[float]:
    groups: dict[str, list[Portfolio]] = {}
    for portfolio in held:
        groups.setdefault(method or held.method_of(portfolio.account), []).append(portfolio)
    found: dict[AccountId, float] = {}
    for name, accounts in groups.items():
        chosen = method_named(name)
        parameters = read_parameters(chosen, as_of)
        risk = risk_for(accounts, market, chosen, parameters)
        for portfolio in followed(accounts, "requirements", total=len(accounts), quiet=quiet):
            found[portfolio.account] = account_requirement(portfolio, market, risk, chosen, parameters).initial
    return [found[portfolio.account] for portfolio in held]


def _depth(as_of: str | None) -> Depth:
    parameters = read_parameters(TAIL_RISK, as_of)
    return Depth(coins=parameters.liquidity, otherwise=parameters.default_liquidity)


def _owners(held: Book) -> list[str]:
    """Return per account the account at the top of its parents."""
    found = []
    for portfolio in held:
        name: str = portfolio.account
        seen = {name}
        while (row := held.accounts.get(AccountId(name))) is not None and row.parent and row.parent not in seen:
            name = row.parent
            seen.add(name)
        found.append(name)
    return found


def _venues(held: Book, risk: RiskArray) -> dict[str, tuple[float, float]]:
    """Return per venue the net USD of each coin there, added up, and the most that it would owe the book in a stress."""
    positions = [position for portfolio in held for position in portfolio.positions]
    found = {}
    for venue in sorted({position.instrument.venue for position in positions}):
        own = tuple(position for position in positions if position.instrument.venue == venue)
        at_venue = Portfolio(account=AccountId(venue), positions=own)
        profit = book_pnl(net_quantities(own), risk)
        found[str(venue)] = (_exposure(at_venue, risk), float(max(np.max(profit), 0.0)))
    return found


def _exposure(portfolio: Portfolio, risk: RiskArray) -> float:
    return math.fsum(abs(amount) for amount in exposures(portfolio, risk).values())


def _record(
    rows: Sequence[Counterparty],
    owners: Sequence[str],
    venues: Mapping[str, tuple[float, float]],
    sizes: Sequence[FundSize],
    scenarios: ScenarioSet,
    fund: float | None,
) -> dict[str, Any]:
    exposure: dict[str, float] = {}
    for owner, row in zip(owners, rows, strict=True):
        exposure[owner] = exposure.get(owner, 0.0) + row.exposure
    (people, crowded), (places, narrow) = concentration(exposure), concentration({k: v[0] for k, v in venues.items()})
    record: dict[str, Any] = {
        "counterparties": [
            {name: getattr(row, name) for name in Counterparty.__slots__} | {"owner": owner}
            for owner, row in zip(owners, rows, strict=True)
        ],
        "owners": [_share(each) for each in people],
        "owner_concentration": crowded,
        "venues": [_share(each) | {"owed_in_a_stress": venues[each.name][1]} for each in places],
        "venue_concentration": narrow,
    }
    for size in sizes:
        found = {"amount": size.amount, "members": size.members, "stress": scenarios.labels[size.scenario]}
        if fund is not None:
            found["short"] = max(size.amount - fund, 0.0)
        record[f"cover_{len(size.members)}"] = found
    return record


def _share(each: Exposure) -> dict[str, object]:
    return {"name": each.name, "exposure": each.amount, "share": each.share}


def _print(rows: Sequence[Counterparty], record: Mapping[str, Any]) -> None:
    worst = sorted(rows, key=lambda row: (-row.loss_given_default, row.name))[:MOST_SHOWN]
    table = Table(title="Counterparties, from the largest loss given default; USD")
    _add_columns(table, "account", "exposure", "initial", "posted", "worst loss", "given default")
    for row in worst:
        amounts = (row.exposure, row.initial, row.posted, row.loss, row.loss_given_default)
        table.add_row(row.name, *(f"{amount:,.0f}" for amount in amounts))
    console.print(table)
    if len(rows) > len(worst):
        console.print(f"and {len(rows) - len(worst)} others")
    venues = Table(title=f"Venues; USD, concentration {record['venue_concentration']:.3f}")
    _add_columns(venues, "venue", "exposure", "share", "owed to the book in a stress")
    for each in record["venues"]:
        cells = (f"{each['exposure']:,.0f}", f"{each['share']:.1%}", f"{each['owed_in_a_stress']:,.0f}")
        venues.add_row(each["name"], *cells)
    console.print(venues)
    console.print(f"concentration of owners: {record['owner_concentration']:.3f} (sum of squared shares)")
    for count in (1, 2):
        size = record.get(f"cover_{count}")
        if size is not None:
            text = f"cover-{count}: {size['amount']:,.0f} USD for {' and '.join(size['members'])} in {size['stress']}"
            short = f"; the fund is short of {size['short']:,.0f}" if "short" in size else ""
            console.print(text + short, soft_wrap=True)


def _add_columns(table: Table, name: str, *amounts: str) -> None:
    table.add_column(name)
    for amount in amounts:
        table.add_column(amount, justify="right")
