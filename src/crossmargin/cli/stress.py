"""Stress a book, and ask what would exhaust it."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from crossmargin.cli.app import console, followed, write_json
from crossmargin.cli.inputs import Given, Observed, portfolios
from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.contracts import DOLLAR_COINS
from crossmargin.margin.exhaustion import Exhausted, account_exhausted, fund_exhausted, net_equity
from crossmargin.margin.exposure import underlyings
from crossmargin.margin.requirements import held_instruments
from crossmargin.margin.stress_test import Depth, StressResult, crisis_while_closing, stress_results
from crossmargin.margin.tail_risk import METHOD as TAIL_RISK
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.report.sections import sections_page
from crossmargin.report.stress import (
    reverse_stress_record,
    reverse_stress_table,
    stress_record,
    stress_sections,
    stress_table,
)
from crossmargin.risk.risk_array import risk_array
from crossmargin.scenarios.crises import CRISES, Crisis, crisis_named, hypothetical_stresses
from crossmargin.scenarios.factors import MarketFactors, market_factors
from crossmargin.scenarios.stress import Stress, stress_scenarios
from crossmargin.units import Currency

DEFAULT = Observed()
NOTES = (
    "A book is revalued in full at every stress; a coin that a stress does not name stands still in it.",
    "Crises are joint moves of Binance perpetuals' hourly closes; vols move by the rise of DVOL of the time (March 2020: by "
    "that of November 2022, the largest measured). A coin that did not trade then gets the median of those that did, BTC "
    "and ETH apart.",
    "Closing costs half the spread and the square-root impact on the net exposure to each coin, at the volumes of the "
    "parameters of tail_risk.",
)


def stress(
    book: Path | None = None,
    *,
    crisis: list[str] | None = None,
    move: list[str] | None = None,
    vol_move: list[str] | None = None,
    given: Given = DEFAULT,
    report: Path | None = None,
    json: bool = False,
) -> None:
    """Revalue every account of BOOK in named crises, hypothetical stresses, or a move of your own.

    Parameters
    ----------
    book
        Accounts, balances and positions; the embedded sample where not given.
    crisis
        march-2020, may-2021, november-2022, august-2024, october-2025 or hypothetical; may be given several times. All of
        them where neither crisis nor move is given.
    move
        COIN=MOVE, "all" for every coin: BTC=-0.3 is BTC 30 % down. Together they are one stress.
    vol_move
        COIN=MOVE of implied vols: BTC=0.5 is half as much again.
    report
        Write an HTML report there too.
    json
        Print records instead of a table.
    """
    held, market = portfolios(book), given.snapshot()
    coins = sorted({coin for portfolio in held for coin in underlyings(portfolio)})
    own = _own_move(market, coins, move or (), vol_move or ())
    names = list(crisis or ()) or ([] if own else [*(each.name for each in CRISES), "hypothetical"])
    chosen = [crisis_named(name) for name in names if name != "hypothetical"]
    depth = _depth(given.as_of)
    results = []
    for portfolio in followed(held, "stresses", total=len(held), quiet=json):
        stresses = [*own, *_crises(portfolio, market, chosen, depth)]
        if "hypothetical" in names:
            dollars = [coin for coin in market.index if coin in DOLLAR_COINS]
            stresses += hypothetical_stresses([*underlyings(portfolio), *dollars])
        results.append(stress_results([portfolio], market, stress_scenarios(stresses), depth)[0])
    if report is not None:
        _write(report, f"Stresses of {book.stem if book else 'the sample book'}", market, results)
    if json:
        write_json([stress_record(result) for account in results for result in account])
    else:
        console.print(stress_table(results, console.width))


def reverse_stress(
    book: Path | None = None,
    *,
    fund: float | None = None,
    days: float = 1.0,
    given: Given = DEFAULT,
    json: bool = False,
) -> None:
    """Find the most likely joint move that exhausts each account of BOOK, or a fund that pays their shortfalls.

    Parameters
    ----------
    book
        Accounts, balances and positions; the embedded sample where not given.
    fund
        USD of an insurance or default fund, with every layer that pays before it: the move that uses it up.
    days
        Horizon of the covariance, which comes from the market's history.
    json
        Print records instead of a table.
    """
    held, market = portfolios(book), given.snapshot()
    found: list[tuple[str, Exhausted]] = []
    if fund is not None:
        found.append(("fund", fund_exhausted(held, market, _factors(held, market, days), fund)))
    else:
        solvent = [p for p in held if underlyings(p) and net_equity(p, market) > 0.0]
        for portfolio in followed(solvent, "accounts", total=len(solvent), quiet=json):
            factors = _factors([portfolio], market, days)
            found.append((portfolio.account, account_exhausted(portfolio, market, factors)))
    if json:
        write_json([reverse_stress_record(name, each) for name, each in found])
        return
    console.print(reverse_stress_table(found, console.width))
    for name, each in found:
        if each.shortfalls:
            owed = ", ".join(f"{account} {amount:,.0f}" for account, amount in each.shortfalls[:5])
            console.print(f"{name} pays: {owed}" + (" and others" if len(each.shortfalls) > 5 else ""))


def _crises(portfolio: Portfolio, market: MarketSnapshot, chosen: Sequence[Crisis], depth: Depth) -> list[Stress]:
    coins = underlyings(portfolio)
    if not coins or not chosen:
        return [stress for crisis in chosen for stress in crisis.stresses(coins)]
    still = stress_scenarios([Stress(name="still", prices=dict.fromkeys(coins, 0.0))])
    risk = risk_array(held_instruments([portfolio]), market, still)
    return [
        stress
        for crisis in chosen
        for stress in (*crisis.stresses(coins), crisis_while_closing(portfolio, risk, crisis, depth))
    ]


def _factors(held: Sequence[Portfolio], market: MarketSnapshot, days: float) -> MarketFactors:
    """Return the factors of every coin held, and of the vols of those with a surface."""
    if market.history is None:
        raise InputError("a reverse stress needs a covariance: give --history, closes of the coins held")
    coins = sorted({coin for portfolio in held for coin in underlyings(portfolio)})
    options = {p.instrument.underlying for each in held for p in each.positions} & set(market.surfaces)
    vols = [coin for coin in coins if coin in options]
    return market_factors(market.history, coins, vols, horizon_days=days)


def _depth(as_of: str | None) -> Depth:
    parameters = read_parameters(TAIL_RISK, as_of)
    return Depth(coins=parameters.liquidity, otherwise=parameters.default_liquidity)


def _own_move(
    market: MarketSnapshot, coins: Sequence[Currency], moves: Sequence[str], vols: Sequence[str]
) -> list[Stress]:
    if not moves and not vols:
        return []
    name = ", ".join([*moves, *(f"vols {each}" for each in vols)])
    return [Stress(name=name, prices=_pairs(market, coins, moves), vols=_pairs(market, coins, vols))]


def _pairs(market: MarketSnapshot, coins: Sequence[Currency], pairs: Sequence[str]) -> dict[Currency, float]:
    found: dict[Currency, float] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        try:
            move = float(text)
        except ValueError:
            equals = ""
        if not equals:
            raise InputError(f"a move must be COIN=NUMBER, BTC=-0.3 say, was {pair!r}")
        if name != "all" and name not in market.index:
            raise InputError(f"a coin must be all or one of {', '.join(coins)}, was {name}")
        found |= dict.fromkeys(coins if name == "all" else [Currency(name)], move)
    return found


def _write(path: Path, title: str, market: MarketSnapshot, results: Sequence[Sequence[StressResult]]) -> None:
    if not path.parent.is_dir():
        raise InputError(f"a report must go into an existing folder, found none at {path.parent}")
    time = dt.datetime.fromtimestamp(market.time_ns / 1e9, tz=dt.UTC)
    page = sections_page(title, f"Market of {time:%d %B %Y, %H:%M} UTC · USD", stress_sections(results), NOTES)
    path.write_text(page, encoding="utf-8")
