"""`bybit_portfolio`: portfolio margin of Bybit's unified account, for linear perpetuals.

``maintenance of a unit = worst loss over the price range + perpetual rate * sum |notional|``; initial is a multiple of
it. The parts for options and between dollar coins have parameters that are not public, and a book that needs them is
refused. docs/methods/bybit_portfolio.md gives the sources.
"""

import math
from collections.abc import Sequence

import msgspec

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Payoff
from crossmargin.margin.collateral import HaircutSchedule, collateral_credits
from crossmargin.margin.method import Component, Method, Parameters, Requirement, no_scenarios
from crossmargin.margin.open_orders import subset_charge
from crossmargin.margin.perpetual_units import PerpetualLeg, check_perpetuals, hedged_dollars, perpetual_legs
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import balances_by_currency, cash_by_currency
from crossmargin.risk.risk_array import RiskArray

LIQUIDATED_AT, LIQUIDATED_UNTIL, REPAID_AT = 1.0, 0.9, 0.85
"""Maintenance over equity: liquidation in part begins, ends, and what is borrowed is repaid."""


class BybitUnit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of one risk unit; fractions."""

    price_range: float
    perpetual_rate: float
    """Contingency of perpetuals, of each contract's notional."""
    initial_factor: float

    def __post_init__(self) -> None:
        if not (0.0 < self.price_range < 1.0 and self.perpetual_rate >= 0.0 and self.initial_factor >= 1.0):
            raise InputError("price_range inside (0, 1), perpetual_rate >= 0 and initial_factor >= 1 must hold")


class BybitPortfolioParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Risk units by coin, and collateral ratios as haircuts."""

    units: dict[str, BybitUnit]
    haircuts: HaircutSchedule


def unit_maintenance(legs: Sequence[PerpetualLeg], unit: BybitUnit) -> tuple[float, float]:
    """Return the worst stress loss and the contingency of perpetuals, USD.

    Examples
    --------
    >>> legs = [PerpetualLeg(name="a", dollar="USDT", at_index=-1_000.0, at_mark=-1_001.0)]
    >>> unit_maintenance(legs, BybitUnit(price_range=0.1, perpetual_rate=0.005, initial_factor=1.2))
    (100.0, 5.0)
    """
    net = math.fsum(leg.at_index for leg in legs)
    gross = math.fsum(abs(leg.at_index) for leg in legs)
    return unit.price_range * abs(net), unit.perpetual_rate * gross


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, _risk: RiskArray | None, parameters: BybitPortfolioParameters
) -> Requirement:
    """Return the sum over risk units; orders at their worst subset.

    Raises
    ------
    InputError
        Naming the first contract or balance that the public rule does not cover.
    """
    check_perpetuals(
        portfolio,
        "bybit_portfolio",
        payoffs=(Payoff.LINEAR,),
        coins=parameters.units,
        collateral=parameters.haircuts.tiers,
    )
    for currency, amount in balances_by_currency(portfolio).items():
        if amount < 0.0:
            raise InputError(f"bybit_portfolio needs the rates of what is borrowed, was given {currency} owed")
    maintenance, label = _needed(portfolio, market, parameters, initial=False)
    initial, _ = _needed(portfolio, market, parameters, initial=True)

    def deficit(book: Portfolio) -> float:
        needed = math.fsum(part.amount for part in _needed(book, market, parameters, initial=True)[0])
        return needed - math.fsum(part.amount for part in _equity(book, market, parameters))

    initial.append(subset_charge(portfolio, deficit, "bybit_portfolio"))
    equity = _equity(portfolio, market, parameters)
    needed, total = (math.fsum(part.amount for part in parts) for parts in (maintenance, equity))
    return Requirement.from_components(
        account=portfolio.account,
        method="bybit_portfolio",
        version=parameters.effective,
        initial=initial,
        maintenance=maintenance,
        equity=equity,
        worst_scenario=label,
        measures={"accountMMRate": needed / total} if total > 0.0 else {},
    )


def _needed(
    portfolio: Portfolio, market: MarketSnapshot, parameters: BybitPortfolioParameters, *, initial: bool
) -> tuple[list[Component], str]:
    """Stress loss and contingency of each unit, and the worst scenario of the largest."""
    parts: list[Component] = []
    largest, label = 0.0, ""
    for coin, legs in perpetual_legs(portfolio, market).items():
        if dollars := hedged_dollars(legs):
            raise InputError(
                f"bybit_portfolio needs the USDT-USDC spread for {coin} hedged between {', '.join(dollars)}, "
                "which is not public"
            )
        unit = parameters.units[coin]
        factor = unit.initial_factor if initial else 1.0
        stress, contingency = unit_maintenance(legs, unit)
        if stress:
            parts.append(Component(name=f"{coin} stress loss", amount=factor * stress))
        if contingency:
            parts.append(Component(name=f"{coin} contingency", amount=factor * contingency, reason="of perpetuals"))
        if stress > largest:
            side = -1.0 if math.fsum(leg.at_index for leg in legs) > 0.0 else 1.0
            largest, label = stress, f"{coin} {side * unit.price_range:+.0%}"
    return parts, label


def _equity(
    portfolio: Portfolio, market: MarketSnapshot, parameters: BybitPortfolioParameters
) -> tuple[Component, ...]:
    counted = collateral_credits(cash_by_currency(portfolio, market), market, parameters.haircuts)
    return tuple(Component(name=f"{currency} equity", amount=amount) for currency, amount in counted.items() if amount)


METHOD = Method(
    name="bybit_portfolio",
    title="Bybit unified account: portfolio margin of perpetuals",
    parameters=BybitPortfolioParameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
