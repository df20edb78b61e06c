"""`deribit_standard`: Deribit's standard margin, contract by contract; nothing nets.

Linear and inverse futures and perpetuals at a rate that rises with size; short options per coin of underlying
(support.deribit.com 25944738177565, read November 2026).
"""

import math

import msgspec

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Future, Option, Payoff, Perpetual
from crossmargin.margin.equity import check_haircuts, haircut_components
from crossmargin.margin.exposure import net_quantities
from crossmargin.margin.method import Component, Method, Parameters, Requirement, no_scenarios
from crossmargin.margin.open_orders import subset_charge
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.risk_array import RiskArray


class FuturesRates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Initial and maintenance rate at size zero, and how both rise per coin."""

    initial: float
    maintenance: float
    slope_per_coin: float

    def __post_init__(self) -> None:
        if not self.initial >= self.maintenance > 0.0 or self.slope_per_coin < 0.0:
            raise InputError("futures rates must satisfy initial >= maintenance > 0 and slope >= 0")


class DeribitStandardParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates by pair: `BTC/USDC` linear, `BTC/BTC` inverse; and haircuts of cross collateral."""

    futures: dict[str, FuturesRates]
    haircuts: dict[str, float]


def futures_margin(coins: float, price: float, base_rate: float, slope_per_coin: float) -> float:
    """Return ``|coins| * price * (base_rate + slope_per_coin * |coins|)``.

    Examples
    --------
    >>> round(futures_margin(25.0, 100_000.0, 0.02, 0.00005), 6)
    53125.0
    """
    return abs(coins) * price * (base_rate + slope_per_coin * abs(coins))


def short_option_margin(*, is_call: bool, strike: float, index: float, mark: float) -> tuple[float, float]:
    """Return initial and maintenance margin of one short option, in coins per coin of underlying.

    Call: ``max(0.15 - OTM / index, 0.1) + mark`` and ``0.075 + mark``. Put: maintenance ``max(0.075, 0.075 mark) + mark``,
    initial the call's formula but at least that. `mark` is in coin.

    Examples
    --------
    >>> short_option_margin(is_call=True, strike=110.0, index=100.0, mark=0.02)
    (0.12000000000000001, 0.095)
    """
    out = max(strike - index, 0.0) if is_call else max(index - strike, 0.0)
    initial = max(0.15 - out / index, 0.1) + mark
    if is_call:
        return initial, 0.075 + mark
    maintenance = max(0.075, 0.075 * mark) + mark
    return max(initial, maintenance), maintenance


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, _risk: RiskArray | None, parameters: DeribitStandardParameters
) -> Requirement:
    """Return the sum over contracts, in USD at the index; orders at the worst subset of fills.

    Raises
    ------
    InputError
        Naming the first contract or balance that this account cannot hold, or if there are too many orders to try.
    """
    _check(portfolio, parameters)
    initial, maintenance = _components(portfolio, market, parameters)
    initial.append(_order_margin(portfolio, market, parameters))
    return Requirement.from_components(
        account=portfolio.account,
        method="deribit_standard",
        version=parameters.effective,
        initial=initial,
        maintenance=maintenance,
        equity=haircut_components(portfolio, market, parameters.haircuts),
    )


def _components(
    portfolio: Portfolio, market: MarketSnapshot, parameters: DeribitStandardParameters
) -> tuple[list[Component], list[Component]]:
    initial, maintenance = [], []
    contracts = {position.instrument.id: position.instrument for position in portfolio.positions}
    for name, quantity in net_quantities(portfolio.positions).items():
        contract = contracts[name]
        if isinstance(contract, Option):
            if quantity >= 0.0:
                continue
            to_usd = market.index_price(contract.base)
            mark = market.mark_price(contract) * market.index_price(contract.settle) / to_usd
            coins = -quantity * contract.contract_size_float
            pair = short_option_margin(is_call=contract.is_call, strike=contract.strike_float, index=to_usd, mark=mark)
            needed = (coins * pair[0] * to_usd, coins * pair[1] * to_usd)
        else:
            rates = parameters.futures[f"{contract.base}/{contract.settle}"]
            price = market.mark_price(contract)
            size = quantity * contract.contract_size_float
            coins = size / price if contract.payoff is Payoff.INVERSE else size
            price_usd = price * market.index_price(contract.quote)
            needed = (
                futures_margin(coins, price_usd, rates.initial, rates.slope_per_coin),
                futures_margin(coins, price_usd, rates.maintenance, rates.slope_per_coin),
            )
        if needed[0]:
            initial.append(Component(name=name, amount=needed[0]))
            maintenance.append(Component(name=name, amount=needed[1]))
    return initial, maintenance


def _order_margin(portfolio: Portfolio, market: MarketSnapshot, parameters: DeribitStandardParameters) -> Component:
    def deficit(book: Portfolio) -> float:
        needed = math.fsum(part.amount for part in _components(book, market, parameters)[0])
        return needed - math.fsum(part.amount for part in haircut_components(book, market, parameters.haircuts))

    return subset_charge(portfolio, deficit, "deribit_standard")


def _check(portfolio: Portfolio, parameters: DeribitStandardParameters) -> None:
    contracts = [position.instrument for position in portfolio.positions]
    contracts += [order.instrument for order in portfolio.orders]
    for contract in contracts:
        if not isinstance(contract, Perpetual | Future | Option) or contract.venue != "deribit":
            raise InputError(f"deribit_standard margins derivatives of Deribit only, was given {contract.id}")
        if not isinstance(contract, Option) and f"{contract.base}/{contract.settle}" not in parameters.futures:
            raise InputError(f"deribit_standard needs rates of {contract.base}/{contract.settle}, has none")
    check_haircuts(portfolio, "deribit_standard", parameters.haircuts)


METHOD = Method(
    name="deribit_standard",
    title="Deribit standard margin",
    parameters=DeribitStandardParameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
