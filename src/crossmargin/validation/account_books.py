"""Accounts as books to walk through history: their exposures daily, or their options restated on each day's chain."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import DOLLAR_COINS, Option, Payoff
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio, Position
from crossmargin.units import NANOSECONDS_PER_DAY, Currency
from crossmargin.validation.books import LinearBooks, named_books
from crossmargin.validation.option_books import ChainDay, OptionBook, restated


def linear_account_books(
    portfolios: Iterable[Portfolio], market: MarketSnapshot, currencies: tuple[Currency, ...]
) -> LinearBooks:
    """Return accounts without options as books of one dollar's gross exposure, coins held as collateral included.

    Accounts that hold options, only dollars, other coins than `currencies`, or nothing on balance (one future against
    another) are left out.

    Raises
    ------
    InputError
        If none is left.
    """
    found: dict[str, dict[str, float]] = {}
    for portfolio in portfolios:
        if any(isinstance(position.instrument, Option) for position in portfolio.positions):
            continue
        held = coin_exposures(portfolio, market)
        gross = math.fsum(map(abs, held.values()))
        if gross > 0.0 and set(held) <= set(currencies):
            found[f"sample {portfolio.account}"] = {coin: usd / gross for coin, usd in held.items()}
    if not found:
        raise InputError(f"an account without options in {', '.join(currencies)} must exist, none does")
    return named_books(found, currencies)


def coin_exposures(portfolio: Portfolio, market: MarketSnapshot) -> dict[Currency, float]:
    """Return the USD exposure to each coin of balances, spot, perpetuals and futures; coins that cancel are left out."""
    found: dict[Currency, list[float]] = {}
    for balance in portfolio.balances:
        if balance.currency not in DOLLAR_COINS:
            found.setdefault(balance.currency, []).append(float(balance.amount) * market.index_price(balance.currency))
    for position in portfolio.positions:
        if not isinstance(position.instrument, Option):
            found.setdefault(position.instrument.underlying, []).append(_exposure(position, market))
    totals = {coin: (math.fsum(parts), math.fsum(map(abs, parts))) for coin, parts in sorted(found.items())}
    # a hair's breadth of the parts is rounding, not a position
    return {coin: net for coin, (net, gross) in totals.items() if abs(net) > 1e-9 * gross}


def _exposure(position: Position, market: MarketSnapshot) -> float:
    contract = position.instrument
    size = position.quantity * contract.contract_size_float
    match contract.payoff:
        case Payoff.INVERSE:
            return size
        case Payoff.LINEAR:
            return size * market.index_price(contract.underlying)
        case Payoff.QUANTO:
            raise InputError(f"books hold linear and inverse contracts, was given {contract.id}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOptions:
    """An account's options on one coin, per coin of options: days left, strike over spot, call, quantity; and its hedge."""

    name: str
    coin: Currency
    options: tuple[tuple[float, float, bool, float], ...]
    hedge: float

    def on(self, day: ChainDay) -> OptionBook:
        """Return the book on the options of `day` that are nearest."""
        return restated(day, self.name, self.options, self.hedge)


def option_account_books(portfolios: Iterable[Portfolio], market: MarketSnapshot) -> tuple[AccountOptions, ...]:
    """Return accounts whose options and coins are all of one coin; the hedge holds its coins, perpetuals and futures."""
    found = []
    for portfolio in portfolios:
        options = [
            (position.instrument, position.quantity * position.instrument.contract_size_float)
            for position in portfolio.positions
            if isinstance(position.instrument, Option)
        ]
        linear = coin_exposures(portfolio, market)
        coins = {option.underlying for option, _ in options} | set(linear)
        if not options or len(coins) != 1:
            continue
        (coin,) = coins
        spot, size = market.index_price(coin), math.fsum(abs(quantity) for _, quantity in options)
        found.append(
            AccountOptions(
                name=f"sample {portfolio.account}",
                coin=coin,
                options=tuple(
                    (
                        (option.expiry_ns - market.time_ns) / NANOSECONDS_PER_DAY,
                        option.strike_float / spot,
                        option.is_call,
                        quantity / size,
                    )
                    for option, quantity in options
                ),
                hedge=linear.get(coin, 0.0) / spot / size,
            )
        )
    return tuple(found)
