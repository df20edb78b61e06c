"""`binance_portfolio`: Binance portfolio margin, one pool of collateral for linear perpetuals and margin loans.

``uniMMR = sum of min(net * price * collateral rate, net * price) / sum of maintenance``; positions need what their notional
tier says, loans a share that depends on the leverage set. Liquidation begins at 105 %, so that is our maintenance.
docs/methods/binance_portfolio.md gives the sources.
"""

import math

import msgspec

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Payoff
from crossmargin.margin.binance_futures import NotionalTier, tier_margins
from crossmargin.margin.method import Component, Method, Parameters, Requirement, no_scenarios
from crossmargin.margin.perpetual_units import check_perpetuals
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import cash_by_currency
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency

NORMAL, MARGIN_CALL, LIQUIDATION, BANKRUPTCY = 1.5, 1.2, 1.05, 1.0
"""Levels of uniMMR: above the first nothing is restricted, at the third liquidation begins."""


def band(uni_mmr: float) -> str:
    """Return what the venue does at a uniMMR.

    Examples
    --------
    >>> band(1.3), band(1.05)
    ('margin call ahead', 'liquidation')
    """
    if uni_mmr > NORMAL:
        return "normal"
    if uni_mmr > MARGIN_CALL:
        return "margin call ahead"
    if uni_mmr > LIQUIDATION:
        return "reduce only"
    return "liquidation" if uni_mmr > BANKRUPTCY else "bankruptcy"


class LoanTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Maintenance rate of a margin loan at the leverage that the account has set."""

    leverage: float
    maintenance_rate: float

    def __post_init__(self) -> None:
        if not self.leverage > 1.0 or not 0.0 < LIQUIDATION * self.maintenance_rate <= self.initial_rate:
            raise InputError("a loan's leverage must exceed 1 and its maintenance stay below its initial margin")

    @property
    def initial_rate(self) -> float:
        """``1 / (leverage - 1)`` of what is borrowed."""
        return 1.0 / (self.leverage - 1.0)


class BinancePortfolioParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Notional tiers by base coin, collateral rates, and terms of loans."""

    leverage: float
    """What the account has set for futures; capped by each tier's own."""
    loan: LoanTerms
    collateral_rate: dict[str, float]
    tiers: dict[str, tuple[NotionalTier, ...]]

    def __post_init__(self) -> None:
        if not self.leverage >= 1.0:
            raise InputError(f"leverage must be at least 1, was {self.leverage}")
        for coin, rate in self.collateral_rate.items():
            if not 0.0 <= rate <= 1.0:
                raise InputError(f"a collateral rate must be inside [0, 1], was {rate} for {coin}")


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, _risk: RiskArray | None, parameters: BinancePortfolioParameters
) -> Requirement:
    """Return what positions and loans need together; orders at the worse side of each contract.

    Raises
    ------
    InputError
        Naming the first contract or balance that this account cannot hold.
    """
    check_perpetuals(
        portfolio,
        "binance_portfolio",
        payoffs=(Payoff.LINEAR,),
        coins=parameters.tiers,
        collateral=parameters.collateral_rate,
    )
    initial, positions = tier_margins(portfolio, market, parameters.tiers, parameters.leverage)
    maintenance = list(positions)
    for currency, debt in _loans(portfolio, market).items():
        name = f"{currency} loan"
        initial.append(Component(name=name, amount=debt * parameters.loan.initial_rate))
        maintenance.append(Component(name=name, amount=debt * parameters.loan.maintenance_rate))
    equity = _equity(portfolio, market, parameters)
    unified, total = (math.fsum(part.amount for part in parts) for parts in (maintenance, equity))
    if unified:
        reason = "liquidation begins at a uniMMR of 105 %"
        maintenance.append(Component(name="liquidation level", amount=(LIQUIDATION - 1.0) * unified, reason=reason))
    return Requirement.from_components(
        account=portfolio.account,
        method="binance_portfolio",
        version=parameters.effective,
        initial=initial,
        maintenance=maintenance,
        equity=equity,
        measures={"uniMMR": total / unified} if unified else {},
    )


def _loans(portfolio: Portfolio, market: MarketSnapshot) -> dict[Currency, float]:
    """USD of every balance below zero; an unrealised loss is no loan."""
    held: dict[Currency, float] = {}
    for balance in portfolio.balances:
        held[balance.currency] = held.get(balance.currency, 0.0) + balance.amount
    return {coin: -amount * market.index_price(coin) for coin, amount in sorted(held.items()) if amount < 0.0}


def _equity(
    portfolio: Portfolio, market: MarketSnapshot, parameters: BinancePortfolioParameters
) -> tuple[Component, ...]:
    parts = []
    for currency, coins in sorted(cash_by_currency(portfolio, market).items()):
        value = coins * market.index_price(currency)
        counted = min(value * parameters.collateral_rate[currency], value)
        if counted:
            parts.append(Component(name=f"{currency} equity", amount=counted, reason="at its collateral rate"))
    return tuple(parts)


METHOD = Method(
    name="binance_portfolio",
    title="Binance portfolio margin: uniMMR",
    parameters=BinancePortfolioParameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
