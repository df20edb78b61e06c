"""`hyperliquid_portfolio`: a Hyperliquid account whose spot coins lend USDC to its perpetuals.

``ratio = (20 USD + maintenance of perpetuals + borrowed) / (USDC + min(borrow cap, coins * price * (0.5 + 0.5 LTV)))``; above
0.95 the account is liquidated. In our words equity is the denominator less what is borrowed, and maintenance what makes
the ratio 0.95. docs/methods/hyperliquid_portfolio.md gives the sources.
"""

import math

import msgspec

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Payoff
from crossmargin.margin.hyperliquid import (
    LIQUIDATION_RATIO,
    MIN_BORROW_OFFSET,
    MarginTier,
    maintenance_requirement,
    perpetual_margins,
)
from crossmargin.margin.method import Component, Method, Parameters, Requirement, no_scenarios
from crossmargin.margin.perpetual_units import check_perpetuals
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import cash_by_currency
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency


class SpotCollateral(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A coin that lends: the share of its value that may be borrowed, and the most coins that count."""

    loan_to_value: float
    supply_cap: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.loan_to_value <= 1.0:
            raise InputError(f"loan_to_value must be inside [0, 1], was {self.loan_to_value}")

    @property
    def liquidation_threshold(self) -> float:
        """``0.5 + 0.5 LTV``: the share that counts against liquidation."""
        return 0.5 + 0.5 * self.loan_to_value

    def counted(self, coins: float) -> float:
        """Return the coins that count."""
        return coins if self.supply_cap is None else min(coins, self.supply_cap)


class HyperliquidPortfolioParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Margin tiers of perpetuals, coins that lend, and the most that an account may borrow."""

    leverage: float
    borrow_cap: float
    """USDC."""
    collateral: dict[str, SpotCollateral]
    tiers: dict[str, tuple[MarginTier, ...]]

    def __post_init__(self) -> None:
        if not (self.leverage >= 1.0 and self.borrow_cap >= 0.0):
            raise InputError("leverage >= 1 and borrow_cap >= 0 must hold")


USDC = Currency("USDC")


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, _risk: RiskArray | None, parameters: HyperliquidPortfolioParameters
) -> Requirement:
    """Return what perpetuals, the loan and the liquidation ratio need; orders at the worse side of each contract.

    Raises
    ------
    InputError
        Naming the first contract or balance that such an account does not hold.
    """
    check_perpetuals(
        portfolio,
        "hyperliquid_portfolio",
        payoffs=(Payoff.LINEAR,),
        coins=parameters.tiers,
        collateral=[USDC, *parameters.collateral],
    )
    cash = cash_by_currency(portfolio, market)
    usdc = cash.pop(USDC, 0.0) * market.index_price(USDC)
    borrowed, balance = max(-usdc, 0.0), max(usdc, 0.0)
    initial, perpetuals = perpetual_margins(portfolio, market, parameters.tiers, parameters.leverage)
    lent, lendable = _lent(cash, market, parameters)
    needed = maintenance_requirement(math.fsum(part.amount for part in perpetuals), borrowed)
    maintenance = [
        *perpetuals,
        Component(name="minimum borrow offset", amount=MIN_BORROW_OFFSET),
        Component(name="liquidation ratio", amount=needed * (1.0 / LIQUIDATION_RATIO - 1.0), reason="ratio of 0.95"),
    ]
    initial.append(Component(name="loan to value", amount=lent - lendable, reason="new loans count less collateral"))
    floor, wanted = (math.fsum(part.amount for part in parts) for parts in (maintenance, initial))
    if wanted < floor:
        initial.append(Component(name="maintenance", amount=floor - wanted, reason="no less than liquidation needs"))
    equity = tuple(
        part
        for part in (
            Component(name="USDC", amount=balance - borrowed),
            Component(name="spot collateral", amount=lent, reason="at its liquidation threshold"),
        )
        if part.amount
    )
    value = balance + lent
    return Requirement.from_components(
        account=portfolio.account,
        method="hyperliquid_portfolio",
        version=parameters.effective,
        initial=initial,
        maintenance=maintenance,
        equity=equity,
        measures={"portfolioMarginRatio": needed / value} if value > 0.0 else {},
    )


def _lent(
    coins: dict[Currency, float], market: MarketSnapshot, parameters: HyperliquidPortfolioParameters
) -> tuple[float, float]:
    """USD that collateral counts for against liquidation, and for a new loan."""
    at_threshold, at_loan = [], []
    for currency, amount in sorted(coins.items()):
        if amount == 0.0:
            continue  # nothing of a coin is nothing, also of one that has no terms
        if amount < 0.0:
            raise InputError(f"hyperliquid_portfolio lends USDC only, was given {currency} owed")
        terms = parameters.collateral[currency]
        value = terms.counted(amount) * market.index_price(currency)
        at_threshold.append(value * terms.liquidation_threshold)
        at_loan.append(value * terms.loan_to_value)
    cap = parameters.borrow_cap
    return min(cap, math.fsum(at_threshold)), min(cap, math.fsum(at_loan))


METHOD = Method(
    name="hyperliquid_portfolio",
    title="Hyperliquid portfolio margin",
    parameters=HyperliquidPortfolioParameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
