"""`paradex_cross`: Paradex cross margin: a share of the worse side of each perpetual, options by expiry, fees set aside.

Source: tradeparadex/paradex-docs, risk-system/cross-margin-requirement and dated-options/margin-requirements; page
docs/methods/paradex_cross.md.
"""

import math

import msgspec

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Contract, Option, Payoff, Perpetual
from crossmargin.margin.exposure import net_quantities
from crossmargin.margin.method import Component, Method, Parameters, Requirement, no_scenarios
from crossmargin.margin.paradex_options import HeldOption, OptionRates, group_margin
from crossmargin.margin.paradex_rules import cross_initial, open_sizes
from crossmargin.margin.payoff_floor import Leg
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Order, Portfolio
from crossmargin.pricing.valuation import cash_by_currency, position_value
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency

USDC = Currency("USDC")


class OptionMargin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates of an underlying's dated options."""

    initial: OptionRates
    maintenance: OptionRates


class ParadexCrossParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Initial fraction of each perpetual (1 over its leverage), option rates, and the fee that is set aside."""

    initial_fraction: dict[Currency, float]
    maintenance_factor: float
    taker_fee: float
    options: dict[Currency, OptionMargin]

    def __post_init__(self) -> None:
        if not all(0.0 < fraction <= 1.0 for fraction in self.initial_fraction.values()):
            raise InputError("initial fractions must be inside (0, 1]")
        if not (0.0 <= self.maintenance_factor <= 1.0 and self.taker_fee >= 0.0):
            raise InputError("paradex needs maintenance_factor inside [0, 1] and taker_fee >= 0")


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, _risk: RiskArray | None, parameters: ParadexCrossParameters
) -> Requirement:
    """Return the sum over perpetuals and over the expiries of options; collateral is USDC.

    Raises
    ------
    InputError
        Naming what the account cannot hold, or an order on an option.
    """
    _check(portfolio, parameters)
    initial, maintenance = _perpetuals(portfolio, market, parameters)
    for name, spot, group, rates in _groups(portfolio, market, parameters):
        initial[name] = group_margin(group, spot, rates.initial)
        maintenance[name] = group_margin(group, spot, rates.maintenance)
    needed, kept = _components(initial), _components(maintenance)
    equity = paradex_equity(portfolio, market)
    return Requirement.from_components(
        account=portfolio.account,
        method="paradex_cross",
        version=parameters.effective,
        initial=needed,
        maintenance=kept,
        equity=equity,
    )


def _perpetuals(
    portfolio: Portfolio, market: MarketSnapshot, parameters: ParadexCrossParameters
) -> tuple[dict[str, float], dict[str, float]]:
    contracts = {each.id: each for each in _contracts(portfolio) if isinstance(each, Perpetual)}
    held = net_quantities(portfolio.positions)
    initial, maintenance = dict[str, float](), dict[str, float]()
    for name, contract in sorted(contracts.items()):
        # dollars per contract, so that sizes are in contracts
        mark = market.mark_price(contract) * market.index_price(contract.settle) * contract.contract_size_float
        quantity = held.get(name, 0.0)
        orders = [order for order in portfolio.orders if order.instrument.id == name and not order.reduce_only]
        buys = math.fsum(max(order.signed_quantity, 0.0) for order in orders)
        sells = math.fsum(max(-order.signed_quantity, 0.0) for order in orders)
        sizes = open_sizes(quantity, buys, sells)
        fraction = parameters.initial_fraction[contract.base]
        held_value = abs(quantity) * mark
        initial[name] = cross_initial(sizes, mark, fraction)
        maintenance[name] = held_value * fraction * parameters.maintenance_factor
        initial[f"{name}, fees"] = (held_value + max(buys, sells) * mark) * parameters.taker_fee
        maintenance[f"{name}, fees"] = held_value * parameters.taker_fee
        initial[f"{name}, open loss"] = math.fsum(_open_loss(order, market) for order in orders)
    return initial, maintenance


def _open_loss(order: Order, market: MarketSnapshot) -> float:
    """What an order beyond the mark loses as soon as it is filled."""
    contract = order.instrument
    beyond = order.side.sign * (order.price - market.mark_price(contract))
    return order.quantity * contract.contract_size_float * max(beyond, 0.0) * market.index_price(contract.settle)


def _groups(
    portfolio: Portfolio, market: MarketSnapshot, parameters: ParadexCrossParameters
) -> list[tuple[str, float, list[HeldOption], OptionMargin]]:
    """The options of each underlying and expiry, with spot and rates."""
    groups: dict[tuple[Currency, int], list[HeldOption]] = {}
    held = net_quantities(portfolio.positions)
    options = {p.instrument.id: p.instrument for p in portfolio.positions if isinstance(p.instrument, Option)}
    for name, option in sorted(options.items()):
        coins = held[name] * option.contract_size_float
        if coins:
            leg = Leg(option.is_call, option.strike_float, coins)
            mark = market.mark_price(option) * market.index_price(option.settle)
            groups.setdefault((option.underlying, option.expiry_ns), []).append(HeldOption(leg=leg, mark=mark))
    return [
        (f"{coin} options, expiry {expiry_ns // 10**9}", market.index_price(coin), group, parameters.options[coin])
        for (coin, expiry_ns), group in sorted(groups.items())
    ]


def paradex_equity(portfolio: Portfolio, market: MarketSnapshot) -> tuple[Component, ...]:
    """Return account value: USDC, unrealised profit and options at their mark."""
    parts = [
        Component(name=f"{currency} value", amount=coins * market.index_price(currency))
        for currency, coins in sorted(cash_by_currency(portfolio, market).items())
    ]
    parts.append(Component(name="option value", amount=position_value(portfolio.positions, market)))
    return tuple(part for part in parts if part.amount)


def check_paradex(portfolio: Portfolio, method: str, perpetuals: set[Currency], options: set[Currency]) -> None:
    """Refuse a contract or balance that a Paradex account cannot hold.

    Raises
    ------
    InputError
        Naming it.
    """
    for contract in _contracts(portfolio):
        if not isinstance(contract, Perpetual | Option) or contract.payoff is not Payoff.LINEAR:
            raise InputError(f"{method} margins linear perpetuals and options only, was given {contract.id}")
        known = options if isinstance(contract, Option) else perpetuals
        if contract.underlying not in known:
            raise InputError(f"{method} has no parameters of {contract.underlying} for {contract.id}")
    for balance in portfolio.balances:
        if balance.currency != USDC and balance.amount != 0.0:
            raise InputError(f"{method} takes USDC as collateral only, was given {balance.currency}")


def _contracts(portfolio: Portfolio) -> list[Contract]:
    return [position.instrument for position in portfolio.positions] + [order.instrument for order in portfolio.orders]


def _check(portfolio: Portfolio, parameters: ParadexCrossParameters) -> None:
    check_paradex(portfolio, "paradex_cross", set(parameters.initial_fraction), set(parameters.options))
    for order in portfolio.orders:
        if isinstance(order.instrument, Option):
            raise InputError(
                f"paradex_cross cannot tell which option orders fill together, leave {order.instrument.id} out"
            )


def _components(amounts: dict[str, float]) -> tuple[Component, ...]:
    return tuple(Component(name=name, amount=amount) for name, amount in amounts.items() if amount)


METHOD = Method(
    name="paradex_cross",
    title="Paradex cross margin",
    parameters=ParadexCrossParameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
