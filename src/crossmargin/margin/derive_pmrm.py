"""`derive_pmrm`: Derive's first portfolio margin, 21 to 23 scenarios without tails.

Rule: `PMRM` and `PMRMLib` of Derive v2 (derivexyz/v2-core, commit 7736900d); page docs/methods/derive_pmrm.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from crossmargin.elementary import exp
from crossmargin.errors import InputError
from crossmargin.margin.derive_book import (
    Expiry,
    confidence_charge,
    holdings,
    naked_shorts,
    option_values,
    split_balances,
    vol_factors,
)
from crossmargin.margin.derive_pmrm2 import Move, VolMove
from crossmargin.margin.method import Component, Method, Parameters, Requirement, no_scenarios
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency, FloatArray


class PmrmMarket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of one underlying; fractions."""

    scenarios: tuple[Move, ...]
    vol_up: float
    vol_down: float
    vol_short_power: float
    vol_long_power: float
    vol_floor_seconds: float
    basis_up: float
    basis_down: float
    basis_add: float
    basis_multiple: float
    initial_factor: float
    static_discount: float
    rate_multiple: float
    rate_add: float
    peg_threshold: float
    peg_factor: float
    confidence_threshold: float
    confidence_factor: float
    base_rate: float
    perpetual_rate: float
    option_rate: float


class PmrmParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters by underlying, and the interest rate where the market gives none."""

    rate: float
    markets: dict[str, PmrmMarket]


@dataclass(frozen=True, slots=True, kw_only=True)
class PmrmAccount:
    """What the rule reads; `base` is a balance of the underlying, in coins."""

    spot: float
    spot_confidence: float = 1.0
    stable_price: float = 1.0
    cash: float
    base: float = 0.0
    perpetuals: float = 0.0
    perpetual_price: float = 0.0
    perpetual_confidence: float = 1.0
    perpetual_profit: float = 0.0
    expiries: Sequence[Expiry] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PmrmMargin:
    """The rule's answer, in the venue's cash. `worst_index` -1 is the basis contingency."""

    pnl: FloatArray
    basis: float
    worst: float
    worst_index: int
    static: float
    oracle: float
    initial_factor: float
    value: float
    net_initial: float
    net_maintenance: float


def margin(account: PmrmAccount, market: PmrmMarket) -> PmrmMargin:
    """Return net margins.

    ``MM = worst - static + value``; ``IM = (worst - static)(f + max(0, peg - stable) peg_f) - oracle + value``.
    """
    spots = np.array([move.spot for move in market.scenarios])
    base_value = account.base * account.spot / account.stable_price
    pnl = base_value * (spots - 1.0) + account.perpetuals * account.perpetual_price * (spots - 1.0)
    basis = options_value = 0.0
    for expiry in account.expiries:
        now, contingency, profits = expiry_profits(expiry, market)
        options_value += now
        basis += contingency
        pnl += profits
    worst_index = int(np.argmin(pnl)) if len(pnl) and pnl.min() < basis else -1
    worst = float(pnl[worst_index]) if worst_index >= 0 else basis
    naked = sum(naked_shorts(expiry) for expiry in account.expiries)
    static = account.spot * (
        abs(account.perpetuals) * market.perpetual_rate + account.base * market.base_rate + naked * market.option_rate
    )
    oracle = oracle_charge(account, market)
    value = account.cash + account.perpetual_profit + base_value + options_value
    factor = market.initial_factor + max(0.0, market.peg_threshold - account.stable_price) * market.peg_factor
    return PmrmMargin(
        pnl=pnl,
        basis=basis,
        worst=worst,
        worst_index=worst_index,
        static=static,
        oracle=oracle,
        initial_factor=factor,
        value=value,
        net_initial=(worst - static) * factor - oracle + value,
        net_maintenance=worst - static + value,
    )


def expiry_profits(expiry: Expiry, market: PmrmMarket) -> tuple[float, float, FloatArray]:
    """Return an expiry's value now, its basis contingency, and its profit in each scenario."""
    up, down = vol_factors(
        expiry.seconds,
        up=market.vol_up,
        down=market.vol_down,
        short_power=market.vol_short_power,
        long_power=market.vol_long_power,
        floor_seconds=market.vol_floor_seconds,
    )
    factors = {VolMove.UP: up, VolMove.NONE: 1.0, VolMove.DOWN: down}
    vol_moves = np.array([1.0, 1.0, 1.0, *(factors[move.vol] for move in market.scenarios)])
    spots = np.array([1.0, market.basis_up, market.basis_down, *(move.spot for move in market.scenarios)])
    values = option_values(expiry, expiry.fixed + expiry.variable * spots, vol_moves[:, None] * expiry.vols, 1.0)
    now, years = float(values[0]), expiry.years
    basis = min(float(values[1:3].min()) - now, 0.0) * (market.basis_add + market.basis_multiple * years)
    discount = market.static_discount * exp(-years * (max(expiry.rate, 0.0) * market.rate_multiple + market.rate_add))
    shocked = values[3:]
    return now, basis, np.where(shocked > 0.0, shocked * discount, shocked) - now


def oracle_charge(account: PmrmAccount, market: PmrmMarket) -> float:
    """Return what initial margin adds where the oracle trusts its own prices little."""
    trusted = account.spot_confidence
    if account.perpetuals:
        trusted = min(trusted, account.perpetual_confidence)

    def doubt(confidence: float, coins: float) -> float:
        return confidence_charge(
            confidence,
            coins * account.spot,
            threshold=market.confidence_threshold,
            factor=market.confidence_factor,
        )

    return doubt(trusted, abs(account.perpetuals) + account.base) + sum(
        doubt(min(trusted, expiry.confidence), float(np.abs(expiry.quantities).sum())) for expiry in account.expiries
    )


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray | None, parameters: PmrmParameters
) -> Requirement:
    """Return the margin requirement of `portfolio`; open orders do not count, as on the venue's chain.

    Raises
    ------
    InputError
        If it holds more than one underlying, or a coin that is neither cash nor the underlying.
    """
    del risk  # the rule values options its own way
    held = holdings(portfolio, market, rate=parameters.rate, rulebook="derive_pmrm")
    cash, coins = split_balances(portfolio)
    names = sorted({str(item.underlying) for item in held} | {str(coin) for coin in coins})
    if len(names) > 1:
        raise InputError(
            f"derive_pmrm margins one underlying per account, {portfolio.account} holds {', '.join(names)}"
        )
    name = names[0] if names else next(iter(parameters.markets))
    if name not in parameters.markets:
        raise InputError(f"derive_pmrm margins {', '.join(parameters.markets)}, was given {name}")
    base = coins.get(Currency(name), 0.0)
    if base < 0.0:
        raise InputError(f"derive_pmrm lends no coins, {portfolio.account} owes {-base} {name}")
    holding = held[0] if held else None
    terms = parameters.markets[name]
    account = PmrmAccount(
        spot=market.index_price(Currency(name)) if names else 0.0,
        stable_price=market.index_price(Currency("USDC")) if names else 1.0,
        cash=cash,
        base=base,
        perpetuals=holding.perpetuals if holding else 0.0,
        perpetual_price=holding.perpetual_price if holding else 0.0,
        perpetual_profit=holding.perpetual_profit if holding else 0.0,
        expiries=holding.expiries if holding else (),
    )
    return _stated(portfolio, margin(account, terms), terms, parameters.effective)


def _stated(portfolio: Portfolio, answer: PmrmMargin, market: PmrmMarket, version: str) -> Requirement:
    worst = None if answer.worst_index < 0 else market.scenarios[answer.worst_index]
    label = "basis" if worst is None else f"spot {worst.spot - 1.0:+.1%}, vol {worst.vol.value}"

    def parts(factor: float) -> tuple[Component, ...]:
        return (
            Component(name="worst scenario", amount=-answer.worst * factor, reason=label),
            Component(name="static contingency", amount=answer.static * factor),
        )

    maintenance = parts(1.0)
    initial = (*parts(answer.initial_factor), Component(name="oracle confidence", amount=answer.oracle))
    return Requirement.from_components(
        account=portfolio.account,
        method="derive_pmrm",
        version=version,
        initial=initial,
        maintenance=maintenance,
        equity=(Component(name="cash, coins and contracts at their value", amount=answer.value),),
        worst_scenario=label if answer.worst < 0.0 else "",
        measures={"net_initial_margin": answer.net_initial, "net_maintenance_margin": answer.net_maintenance},
    )


METHOD = Method(
    name="derive_pmrm",
    title="Derive portfolio margin",
    parameters=PmrmParameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
