"""`hyperliquid`: cross and isolated perpetuals, and the ratio of a portfolio-margin account.

Initial margin is ``notional / leverage``; maintenance is half the initial margin at the largest leverage of the asset's
tier (hyperliquid gitbook: margining, margin tiers, liquidations, portfolio margin; margin tables of March 2026).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Payoff, Perpetual
from crossmargin.margin.equity import cash_components
from crossmargin.margin.exposure import net_quantities
from crossmargin.margin.method import Component, Method, Parameters, Requirement, no_scenarios
from crossmargin.margin.perpetual_units import held_contracts, worse_side
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency


def maintenance_rate(max_leverage: float) -> float:
    """Return half of the initial rate at the largest leverage.

    Examples
    --------
    >>> maintenance_rate(50.0)
    0.01
    """
    return 0.5 / max_leverage


def liquidation_price(price: float, side: int, size: float, margin_available: float, rate: float) -> float:
    """Return ``price - side * margin_available / size / (1 - rate * side)``.

    `margin_available` is account value less maintenance for cross, and the position's own margin less its maintenance
    for isolated; `size` is positive and `rate` the maintenance rate.

    Examples
    --------
    >>> liquidation_price(100.0, 1, 1.0, 0.6, 0.004) == 100.0 - 0.6 / 0.996
    True
    """
    return price - side * margin_available / size / (1.0 - rate * side)


def isolated_liquidation_price(raw_usd: float, signed_size: float, rate: float) -> float:
    """Return the price at which an isolated position's value plus its raw USD meets maintenance.

    ``-raw_usd / (size * (1 - rate * side))``.
    """
    side = 1.0 if signed_size > 0.0 else -1.0
    return -raw_usd / (signed_size * (1.0 - rate * side))


@dataclass(frozen=True, slots=True, kw_only=True)
class Borrow:
    """What a portfolio-margin account holds and owes of one token, USD at `price`."""

    balance: float
    borrowed: float
    price: float
    supply_cap: float
    borrow_cap: float
    loan_to_value: float


MIN_BORROW_OFFSET = 20.0
"""USD."""
LIQUIDATION_RATIO = 0.95


def maintenance_requirement(maintenance: float, borrowed_usd: float) -> float:
    """Return ``20 USD + cross maintenance + what is borrowed``."""
    return MIN_BORROW_OFFSET + maintenance + borrowed_usd


def liquidation_value(borrow: Borrow) -> float:
    """Return the balance and what its collateral lends: ``balance + min(cap, min(balance, supply cap) (0.5 + 0.5 LTV))``."""
    lent = min(borrow.balance, borrow.supply_cap) * (0.5 + 0.5 * borrow.loan_to_value)
    return borrow.balance + min(borrow.borrow_cap, lent)


def portfolio_ratio(maintenance: float, borrows: Sequence[Borrow]) -> float:
    """Return the largest ratio over tokens; above 0.95 the account is liquidatable.

    Examples
    --------
    >>> token = Borrow(
    ...     balance=12_000.0, borrowed=9_200.0, price=1.0, supply_cap=12_000.0, borrow_cap=5e7, loan_to_value=0.5
    ... )
    >>> round(portfolio_ratio(150.0, [token]), 6)
    0.44619
    """
    if not borrows:
        raise InputError("a portfolio-margin ratio needs at least one token, had none")
    return max(
        maintenance_requirement(maintenance, borrow.borrowed * borrow.price) / liquidation_value(borrow)
        for borrow in borrows
    )


class MarginTier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Largest leverage of positions with a notional from `lower_bound` USDC up."""

    lower_bound: float
    max_leverage: float


class HyperliquidParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Margin tiers by coin, and the leverage that an account has set."""

    leverage: float
    tiers: dict[str, tuple[MarginTier, ...]]

    def __post_init__(self) -> None:
        for coin, tiers in self.tiers.items():
            bounds = [tier.lower_bound for tier in tiers]
            if not bounds or bounds[0] != 0.0 or bounds != sorted(set(bounds)):
                raise InputError(f"tiers must start at 0 and rise, did not for {coin}")


def tiered_maintenance(notional: float, tiers: Sequence[MarginTier]) -> float:
    """Return maintenance across tiers: each part of the notional at its own rate, so that there is no step.

    Examples
    --------
    >>> tiers = (MarginTier(lower_bound=0.0, max_leverage=50.0), MarginTier(lower_bound=1_000.0, max_leverage=25.0))
    >>> tiered_maintenance(3_000.0, tiers)
    50.0
    """
    total = 0.0
    ends = [tier.lower_bound for tier in tiers[1:]] + [math.inf]
    for tier, end in zip(tiers, ends, strict=True):
        total += max(min(notional, end) - tier.lower_bound, 0.0) * maintenance_rate(tier.max_leverage)
    return total


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, _risk: RiskArray | None, parameters: HyperliquidParameters
) -> Requirement:
    """Return the sum over perpetuals; collateral is USDC.

    Raises
    ------
    InputError
        Naming the first contract or balance that a perpetuals account does not hold.
    """
    _check(portfolio, parameters)
    initial, maintenance = perpetual_margins(portfolio, market, parameters.tiers, parameters.leverage)
    equity = cash_components(portfolio, market)
    # a position at its largest leverage may not ask for less than what it is liquidated at
    needed = math.fsum(part.amount for part in maintenance)
    return Requirement.from_components(
        account=portfolio.account,
        method="hyperliquid",
        version=parameters.effective,
        initial=initial,
        maintenance=maintenance,
        equity=equity,
        measures={"crossMaintenanceMarginUsed": needed},
    )


def perpetual_margins(
    portfolio: Portfolio, market: MarketSnapshot, tiers: Mapping[str, Sequence[MarginTier]], leverage: float
) -> tuple[list[Component], list[Component]]:
    """Return initial and maintenance margin of every perpetual held or ordered; orders at the worse side.

    `leverage` is what the account chose; a tier may allow less.
    """
    initial, maintenance = [], []
    held = net_quantities(portfolio.positions)
    for name, contract in sorted({contract.id: contract for contract in held_contracts(portfolio)}.items()):
        price = contract.contract_size_float * market.mark_price(contract) * market.index_price(contract.settle)
        ordered = worse_side(portfolio, name, held.get(name, 0.0)) * price
        allowed = [tier.max_leverage for tier in tiers[contract.base] if tier.lower_bound <= ordered][-1]
        initial.append(Component(name=name, amount=ordered / min(leverage, allowed)))
        notional = abs(held.get(name, 0.0)) * price
        maintenance.append(Component(name=name, amount=tiered_maintenance(notional, tiers[contract.base])))
    return initial, maintenance


def _check(portfolio: Portfolio, parameters: HyperliquidParameters) -> None:
    contracts = [position.instrument for position in portfolio.positions]
    contracts += [order.instrument for order in portfolio.orders]
    for contract in contracts:
        if not isinstance(contract, Perpetual) or contract.payoff is not Payoff.LINEAR:
            raise InputError(f"hyperliquid margins linear perpetuals only, was given {contract.id}")
        if contract.base not in parameters.tiers:
            raise InputError(f"hyperliquid needs margin tiers of {contract.base} for {contract.id}, has none")
    for balance in portfolio.balances:
        if balance.currency != Currency("USDC") and balance.amount != 0.0:
            raise InputError(f"hyperliquid takes USDC as collateral only, was given {balance.currency}")


METHOD = Method(
    name="hyperliquid",
    title="Hyperliquid: perpetuals",
    parameters=HyperliquidParameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
