"""`grappa`: fully collateralised options: what is needed whatever the price at expiry, and no price to be liquidated at.

Rule: cross-margin engine of the Grappa protocol (grappafinance/cross-margin-engine, commit 935ea0ed); arithmetic in
`margin/payoff_floor`, page docs/methods/grappa.md.
"""

import math
from typing import NamedTuple

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Option, Payoff
from crossmargin.margin.method import Component, Method, Parameters, Requirement, no_scenarios
from crossmargin.margin.payoff_floor import Floor, Leg, payoff_floor
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency

DOLLARS = Currency("USD")
"""The name under which all strike assets are counted."""


class GrappaParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be collateral: strike assets, each worth a dollar of strike, and underlyings in coins."""

    strike_assets: tuple[Currency, ...]
    underlyings: tuple[Currency, ...]

    def __post_init__(self) -> None:
        if set(self.strike_assets) & set(self.underlyings):
            raise InputError("grappa's strike assets and underlyings must differ, did not")


class Product(NamedTuple):
    """Options that may offset each other."""

    underlying: Currency
    expiry_ns: int


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, _risk: RiskArray | None, parameters: GrappaParameters
) -> Requirement:
    """Return the payoff floor of every underlying and expiry; initial and maintenance are the same.

    Dollars cover dollars and coins cover coins: collateral above its own need counts only once every need is met.

    Raises
    ------
    InputError
        Naming what is no option, pays neither dollars nor its underlying, has an underlying that is no collateral, or
        a balance that is not collateral or is owed.
    """
    needs: dict[Currency, float] = {}
    parts = []
    for product, floor in floors(portfolio, parameters).items():
        coin = product.underlying
        needs[DOLLARS] = needs.get(DOLLARS, 0.0) + floor.dollars
        needs[coin] = needs.get(coin, 0.0) + floor.coins
        name = f"{coin} expiry {product.expiry_ns // 10**9}"
        parts.append(Component(name=f"{name}, dollars", amount=floor.dollars))
        if floor.coins:
            reason = f"{floor.coins:g} {coin}"
            parts.append(Component(name=f"{name}, coins", amount=floor.coins * market.index_price(coin), reason=reason))
    needed = tuple(part for part in parts if part.amount)
    total = math.fsum(part.amount for part in needed)
    equity = _collateral(_balances(portfolio, parameters), needs, market)
    return Requirement.from_components(
        account=portfolio.account,
        method="grappa",
        version=parameters.effective,
        initial=needed,
        maintenance=needed,
        equity=equity,
        worst_scenario="least payoff at expiry" if total else "",
        measures={f"collateral needed, {name}": amount for name, amount in sorted(needs.items()) if amount},
    )


def floors(portfolio: Portfolio, parameters: GrappaParameters) -> dict[Product, Floor]:
    """Return the floor of every product that the account holds, by underlying and expiry."""
    legs: dict[Product, list[Leg]] = {}
    for position in portfolio.positions:
        contract = position.instrument
        if not isinstance(contract, Option) or contract.payoff is Payoff.QUANTO:
            raise InputError(
                f"grappa margins options paid in dollars or their underlying only, was given {contract.id}"
            )
        if contract.underlying not in parameters.underlyings:
            raise InputError(f"grappa margins options on {', '.join(parameters.underlyings)}, was given {contract.id}")
        quantity = position.quantity * contract.contract_size_float
        leg = Leg(contract.is_call, contract.strike_float, quantity)
        legs.setdefault(Product(contract.underlying, contract.expiry_ns), []).append(leg)
    return {product: payoff_floor(legs[product]) for product in sorted(legs)}


def _balances(portfolio: Portfolio, parameters: GrappaParameters) -> dict[Currency, float]:
    held: dict[Currency, float] = {}
    for balance in portfolio.balances:
        if balance.amount == 0.0:
            continue
        if balance.currency not in (*parameters.strike_assets, *parameters.underlyings):
            raise InputError(f"grappa takes no {balance.currency} as collateral, was given {balance.amount:g}")
        name = DOLLARS if balance.currency in parameters.strike_assets else balance.currency
        held[name] = held.get(name, 0.0) + balance.amount
    for name, amount in held.items():
        if amount < 0.0:
            raise InputError(f"grappa lends nothing, {portfolio.account} owes {-amount:g} {name}")
    return held


def _collateral(
    held: dict[Currency, float], needs: dict[Currency, float], market: MarketSnapshot
) -> tuple[Component, ...]:
    """What the balances are worth, less what is held above its own need while another need is not met."""
    found, spare, met = [], 0.0, True
    for name in sorted(held.keys() | needs.keys()):
        amount, need = held.get(name, 0.0), needs.get(name, 0.0)
        price = market.index_price(name) if amount or need else 0.0
        found.append(Component(name=f"{name} value", amount=amount * price))
        spare += max(amount - need, 0.0) * price
        met = met and amount >= need
    if not met:
        found.append(Component(name="held in a currency that is not lacking", amount=-spare))
    return tuple(part for part in found if part.amount)


METHOD = Method(
    name="grappa",
    title="Grappa: fully collateralised options",
    parameters=GrappaParameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
