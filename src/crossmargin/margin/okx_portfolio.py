"""`okx_portfolio`: OKX portfolio margin of perpetuals, in merged risk units.

``maintenance of a unit = max(MR1 + MR4, MR6, MR7)`` and initial 1.3 times it; liabilities need 2 % and 10 % on top. MR2,
MR3, MR5 are measures of options, MR9 of hedges between dollar coins: their parameters are not public, and a book that
needs them is refused. docs/methods/okx_portfolio.md gives the sources.
"""

import itertools
import math

import msgspec
import numpy as np

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Payoff
from crossmargin.margin.collateral import HaircutSchedule
from crossmargin.margin.method import Component, Method, Parameters, Requirement, no_scenarios
from crossmargin.margin.okx_portfolio_rules import (
    BORROW_INITIAL,
    BORROW_MAINTENANCE,
    INITIAL_FACTOR,
    UnitMeasures,
    extreme_loss,
    proportional,
    spot_scenarios,
    worst,
)
from crossmargin.margin.open_orders import subset_charge
from crossmargin.margin.perpetual_units import PerpetualLeg, check_perpetuals, hedged_dollars, owed, perpetual_legs
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import cash_by_currency
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency


class ReductionTier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Multiplier of MR7 for a raw charge up to `up_to` USD; None is without end."""

    multiplier: float
    up_to: float | None = None


class UnitTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of a class of underlyings; fractions."""

    coins: tuple[str, ...]
    spot_moves: tuple[float, ...]
    """MR1: the moves up; each is also tried down."""
    extreme_move: float
    basis_rate: float
    """MR4, of the unit's net delta in perpetuals."""
    reduction_rate: float
    """MR7, of each contract's delta."""
    reduction_tiers: tuple[ReductionTier, ...]

    def __post_init__(self) -> None:
        if not self.spot_moves or min(self.spot_moves) < 0.0 or max(self.spot_moves) >= 1.0:
            raise InputError(f"spot_moves must be inside [0, 1), were {self.spot_moves}")
        if not min(self.extreme_move, self.basis_rate, self.reduction_rate) >= 0.0:
            raise InputError("extreme_move, basis_rate and reduction_rate must not be negative")
        for low, high in itertools.pairwise(self.reduction_tiers):
            if low.up_to is None or (high.up_to is not None and high.up_to <= low.up_to):
                raise InputError("reduction tiers must rise")


class OkxPortfolioParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Classes of underlyings by name, and the discounts of collateral as haircuts."""

    classes: dict[str, UnitTerms]
    haircuts: HaircutSchedule

    def terms(self, coin: Currency) -> UnitTerms | None:
        """Return the terms of the class that holds `coin`, or None."""
        return next((terms for terms in self.classes.values() if coin in terms.coins), None)


def reduction_charge(raw: float, terms: UnitTerms) -> float:
    """Return MR7: the raw charge times the multiplier of its tier.

    Raises
    ------
    InputError
        If it lies beyond the last tier that is known.
    """
    for tier in terms.reduction_tiers:
        if tier.up_to is None or raw <= tier.up_to:
            return raw * tier.multiplier
    raise InputError(
        f"okx_portfolio knows the reduction charge up to {terms.reduction_tiers[-1].up_to:,.0f} USD, needs {raw:,.0f}"
    )


def unit_measures(legs: list[PerpetualLeg], terms: UnitTerms) -> tuple[UnitMeasures, float]:
    """Return the measures of a risk unit, and the shock of its worst MR1 scenario."""
    notional, delta = math.fsum(leg.at_index for leg in legs), math.fsum(leg.at_mark for leg in legs)
    shocks = [sign * move for move in terms.spot_moves for sign in (-1.0, 1.0)]
    profits = spot_scenarios(notional, shocks)
    raw = math.fsum(proportional(leg.at_mark, terms.reduction_rate) for leg in legs)
    measures = UnitMeasures(
        spot=worst(profits),
        basis=proportional(delta, terms.basis_rate),
        extreme=extreme_loss(notional, terms.extreme_move),
        reduction=reduction_charge(raw, terms),
    )
    return measures, shocks[int(np.argmin(profits))]


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, _risk: RiskArray | None, parameters: OkxPortfolioParameters
) -> Requirement:
    """Return the sum over risk units and the margin of what is borrowed; orders at their worst subset.

    Raises
    ------
    InputError
        Naming the first contract or balance that the public rule does not cover.
    """
    check_perpetuals(
        portfolio,
        "okx_portfolio",
        payoffs=(Payoff.LINEAR, Payoff.INVERSE),
        coins=[coin for terms in parameters.classes.values() for coin in terms.coins],
        collateral=parameters.haircuts.tiers,
    )
    maintenance, measures, label = _needed(portfolio, market, parameters)
    initial = [
        Component(name=part.name, amount=part.amount * _initial_factor(part), reason=part.reason)
        for part in maintenance
    ]

    def deficit(book: Portfolio) -> float:
        needed = math.fsum(part.amount * _initial_factor(part) for part in _needed(book, market, parameters)[0])
        return needed - math.fsum(part.amount for part in _equity(book, market, parameters))

    initial.append(subset_charge(portfolio, deficit, "okx_portfolio"))
    equity = _equity(portfolio, market, parameters)
    return Requirement.from_components(
        account=portfolio.account,
        method="okx_portfolio",
        version=parameters.effective,
        initial=initial,
        maintenance=maintenance,
        equity=equity,
        worst_scenario=label,
        measures=measures,
    )


_BORROWING = "borrowing"


def _initial_factor(part: Component) -> float:
    return BORROW_INITIAL / BORROW_MAINTENANCE if part.name == _BORROWING else INITIAL_FACTOR


def _needed(
    portfolio: Portfolio, market: MarketSnapshot, parameters: OkxPortfolioParameters
) -> tuple[list[Component], dict[str, float], str]:
    """Maintenance by unit, each unit's measures by the venue's names, and the worst scenario of the largest unit."""
    parts: list[Component] = []
    named: dict[str, float] = {}
    largest, label = 0.0, ""
    for coin, legs in perpetual_legs(portfolio, market).items():
        terms = parameters.terms(coin)
        if terms is None:
            raise InputError(f"okx_portfolio needs the class of {coin}, has none")
        if dollars := hedged_dollars(legs):
            names = ", ".join(dollars)
            raise InputError(f"okx_portfolio needs MR9 for {coin} hedged between {names}, whose rates are not public")
        found, shock = unit_measures(legs, terms)
        if found.maintenance == 0.0:
            continue
        ordinary = found.spot + found.basis
        ruling = "MR6" if found.extreme > max(ordinary, found.reduction) else "MR1 + MR4"
        ruling = "MR7" if found.reduction > max(ordinary, found.extreme) else ruling
        parts.append(Component(name=f"{coin} risk unit", amount=found.maintenance, reason=ruling))
        for name, value in (
            ("MR1", found.spot),
            ("MR4", found.basis),
            ("MR6", found.extreme),
            ("MR7", found.reduction),
        ):
            named[f"{coin} {name}"] = value
        if found.maintenance > largest:
            largest, label = found.maintenance, f"{coin} {shock:+.0%}"
    debt = owed(portfolio, market)
    if debt:
        parts.append(Component(name=_BORROWING, amount=BORROW_MAINTENANCE * debt, reason="share of what is owed"))
    return parts, named, label


def _equity(portfolio: Portfolio, market: MarketSnapshot, parameters: OkxPortfolioParameters) -> tuple[Component, ...]:
    parts = []
    for currency, coins in sorted(cash_by_currency(portfolio, market).items()):
        counted = parameters.haircuts.credit(currency, coins * market.index_price(currency))
        if counted:
            parts.append(Component(name=f"{currency} equity", amount=counted, reason="after the discount"))
    return tuple(parts)


METHOD = Method(
    name="okx_portfolio",
    title="OKX portfolio margin of perpetuals",
    parameters=OkxPortfolioParameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
