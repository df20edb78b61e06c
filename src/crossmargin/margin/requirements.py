"""Margin many accounts under one method: the risk array is built once, then each account is margined on it."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from crossmargin.instruments.contracts import Asset, Instrument
from crossmargin.margin.method import Method, Parameters, Requirement
from crossmargin.margin.ring_fence import account_requirement
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.risk_array import RiskArray, risk_array

P = TypeVar("P", bound=Parameters)


def requirements(
    portfolios: Iterable[Portfolio], market: MarketSnapshot, method: Method[P], parameters: P
) -> tuple[Requirement, ...]:
    """Return the requirement of every portfolio under `method`, in the order given."""
    return tuple(each_requirement(portfolios, market, method, parameters))


def each_requirement(
    portfolios: Iterable[Portfolio], market: MarketSnapshot, method: Method[P], parameters: P
) -> Iterator[Requirement]:
    """Yield the requirements of `portfolios` one by one, so that a long run can show how far it is."""
    accounts = tuple(portfolios)
    risk = risk_for(accounts, market, method, parameters)
    for portfolio in accounts:
        yield account_requirement(portfolio, market, risk, method, parameters)


def risk_for(
    portfolios: Iterable[Portfolio], market: MarketSnapshot, method: Method[P], parameters: P
) -> RiskArray | None:
    """Return the risk array of everything that `portfolios` hold, or None for a rulebook of formulas."""
    scenarios = method.scenarios(market, parameters)
    return None if scenarios is None else risk_array(held_instruments(portfolios), market, scenarios)


def held_instruments(portfolios: Iterable[Portfolio]) -> list[Instrument]:
    """Return every instrument that `portfolios` hold, have orders in, or hold cash of."""
    found: dict[str, Instrument] = {}
    for portfolio in portfolios:
        contracts = [item.instrument for item in portfolio.positions] + [item.instrument for item in portfolio.orders]
        for contract in contracts:
            found[contract.id] = contract
            for currency in (contract.underlying, contract.settle):
                found[currency] = Asset(currency=currency)
        for balance in portfolio.balances:
            found[balance.currency] = Asset(currency=balance.currency)
    return list(found.values())
