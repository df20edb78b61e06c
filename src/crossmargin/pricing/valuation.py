"""What one long unit of each instrument is worth, and what the book holds once unrealised profit is counted as cash.

A future or perpetual is marked to market: beyond its unrealised profit, which is cash in its settlement currency, it is
worth nothing. An option or a coin is an asset and is worth its price.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from crossmargin.errors import MarketDataError
from crossmargin.instruments.contracts import Asset, Future, Instrument, Option, Payoff, Perpetual, Spot
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio, Position
from crossmargin.pricing.settlement import averaged_black76, delivery
from crossmargin.units import Currency, years_between


def unit_value(instrument: Instrument, market: MarketSnapshot) -> float:
    """Return the USD value of one long unit: a coin for an asset, a contract otherwise.

    Raises
    ------
    MarketDataError
        If a price that is needed is missing or not good.
    """
    match instrument:
        case Asset():
            return market.index_price(instrument.currency)
        case Spot():
            return instrument.contract_size_float * market.index_price(instrument.base)
        case Option():
            size = instrument.contract_size_float
            return size * market.mark_price(instrument) * market.index_price(instrument.settle)
        case Perpetual() | Future():
            return 0.0
    assert_never(instrument)


def model_price(option: Option, market: MarketSnapshot) -> float:
    """Return the Black-76 price of `option` in its settlement currency per coin, at the snapshot's forward and vol.

    In the last half hour, of the option on the delivery price that is being averaged: see `pricing.settlement`.
    """
    return model_prices((option,), market)[0]


def model_prices(options: Sequence[Option], market: MarketSnapshot) -> list[float]:
    """Return the `model_price` of each option: of many at a time it costs little more than of one."""
    if not options:
        return []
    forwards = [market.forward(each.underlying, each.expiry_ns) for each in options]
    years = [years_between(market.time_ns, each.expiry_ns) for each in options]
    averages = [market.delivery_average(each.underlying) for each in options]
    dollars = averaged_black76(
        forwards,
        [each.strike_float for each in options],
        years,
        [market.vol(each) for each in options],
        [each.is_call for each in options],
        averages,
        vol_of_average=True,
    ).tolist()
    return [
        value / delivery(left, average).expected(forward)
        if option.payoff is Payoff.INVERSE
        else value / market.index_price(option.quote)
        for option, value, left, average, forward in zip(options, dollars, years, averages, forwards, strict=True)
    ]


def unrealised_profit(position: Position, market: MarketSnapshot) -> float:
    """Return the profit since entry of a future or perpetual, in its settlement currency; 0 for paid-up instruments.

    Linear and quanto: ``q * size * (mark - entry)``; inverse: ``q * size * (1/entry - 1/mark)``.
    """
    contract = position.instrument
    if isinstance(contract, Spot | Option) or position.entry_price is None:
        return 0.0
    mark = market.mark_price(contract)
    size = contract.contract_size_float * position.quantity
    if contract.payoff is Payoff.INVERSE:
        return size * (1.0 / position.entry_price - 1.0 / mark)
    return size * (mark - position.entry_price)


def entered(portfolio: Portfolio, market: MarketSnapshot) -> Portfolio:
    """Return `portfolio` with every future and perpetual entered, at its mark in `market` where no price is stated.

    A position without an entry price has no profit in any market; before a book is carried into another market, today's
    mark has to become its entry, or the move would cost it nothing. One without a mark stays as it is: no method holds it.
    """
    return replace(portfolio, positions=tuple(_entered(position, market) for position in portfolio.positions))


def _entered(position: Position, market: MarketSnapshot) -> Position:
    if position.entry_price is not None or isinstance(position.instrument, Spot | Option):
        return position
    try:
        return replace(position, entry_price=market.mark_price(position.instrument))
    except MarketDataError:
        return position


def cash_by_currency(portfolio: Portfolio, market: MarketSnapshot) -> dict[Currency, float]:
    """Return balances plus unrealised profit per currency, in coins; negative is owed."""
    cash = balances_by_currency(portfolio)
    for position in portfolio.positions:
        currency = position.instrument.settle
        profit = unrealised_profit(position, market)
        if profit != 0.0:
            cash[currency] = cash.get(currency, 0.0) + profit
    return cash


def balances_by_currency(portfolio: Portfolio) -> dict[Currency, float]:
    """Return the sum of the balances of each currency, in coins; negative is owed."""
    held: dict[Currency, float] = {}
    for balance in portfolio.balances:
        held[balance.currency] = held.get(balance.currency, 0.0) + balance.amount
    return held


def position_value(positions: tuple[Position, ...], market: MarketSnapshot) -> float:
    """Return the USD value of what was paid for: options at their mark (short < 0) and spot at the index."""
    return math.fsum(position.quantity * unit_value(position.instrument, market) for position in positions)


def usd_value(cash: Mapping[Currency, float], market: MarketSnapshot) -> float:
    """Return the plain USD value of `cash`, without haircuts."""
    return sum(amount * market.index_price(currency) for currency, amount in sorted(cash.items()))
