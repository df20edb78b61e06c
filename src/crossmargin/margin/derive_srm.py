"""`derive_srm`: Derive's standard margin, option by option or by the worst payoff of an expiry, whichever asks less.

Signed values throughout: a margin below zero is required. Rule: `StandardManager` of Derive v2 (derivexyz/v2-core,
commit 7736900d); page docs/methods/derive_srm.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from crossmargin.errors import InputError
from crossmargin.margin.derive_book import (
    DeriveHolding,
    Expiry,
    confidence_charge,
    holdings,
    split_balances,
    unit_values,
)
from crossmargin.margin.method import Component, Method, Parameters, Requirement, no_scenarios
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency


class OptionTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Margin of short options, as fractions of spot or of value."""

    max_spot: float
    min_spot: float
    call_maintenance: float
    put_maintenance: float
    put_value_maintenance: float
    unpaired_initial: float
    unpaired_maintenance: float
    offset_scale: float


class PerpetualTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fractions of notional."""

    maintenance: float
    initial: float


class BaseTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a coin counts for; initial margin scales it down further."""

    factor: float
    initial_scale: float


class SrmMarket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of one underlying; what is absent is not margined there."""

    perpetual_confidence: float
    option_confidence: float
    base_confidence: float
    confidence_factor: float
    perpetual: PerpetualTerms | None = None
    base: BaseTerms | None = None
    option: OptionTerms | None = None


class SrmParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters by underlying, and the peg of the venue's cash."""

    peg_threshold: float
    peg_factor: float
    markets: dict[str, SrmMarket]


@dataclass(frozen=True, slots=True, kw_only=True)
class SrmHolding:
    """What an account holds of one underlying, with the market's parameters."""

    market: SrmMarket
    spot: float
    spot_confidence: float = 1.0
    perpetuals: float = 0.0
    perpetual_price: float = 0.0
    perpetual_confidence: float = 1.0
    perpetual_profit: float = 0.0
    base: float = 0.0
    expiries: Sequence[Expiry] = ()


def net_margin(
    held: Sequence[SrmHolding],
    cash: float,
    *,
    stable_price: float,
    peg_threshold: float,
    peg_factor: float,
    initial: bool,
) -> float:
    """Return the net margin of an account: cash plus what every underlying adds (> 0) or asks (< 0)."""
    peg = max(0.0, peg_threshold - stable_price) * peg_factor if initial else 0.0
    return cash + math.fsum(
        amount for holding in held for amount in market_margin(holding, peg, initial=initial).values()
    )


def value(held: Sequence[SrmHolding], cash: float, *, stable_price: float) -> float:
    """Return the mark-to-market value of an account."""
    return cash + math.fsum(
        amount for holding in held for amount in market_value(holding, stable_price=stable_price).values()
    )


def market_value(holding: SrmHolding, *, stable_price: float) -> dict[str, float]:
    """Return what the perpetuals, options and coins of one underlying are worth."""
    return {
        "perpetuals": holding.perpetual_profit,
        "options": math.fsum(float(unit_values(expiry) @ expiry.quantities) for expiry in holding.expiries),
        "coins": holding.base * holding.spot / stable_price,
    }


def market_margin(holding: SrmHolding, peg: float, *, initial: bool) -> dict[str, float]:
    """Return the margin of one underlying, part by part; `peg` is the charge per dollar that is exposed."""
    market, spot = holding.market, holding.spot
    perpetuals = options = coins = doubt = 0.0
    exposed = abs(holding.perpetuals)
    if holding.perpetuals and market.perpetual is not None:
        rate = market.perpetual.initial if initial else market.perpetual.maintenance
        perpetuals = holding.perpetual_profit - exposed * holding.perpetual_price * rate
        trusted = min(holding.perpetual_confidence, holding.spot_confidence)
        doubt -= _doubt(market, trusted, market.perpetual_confidence, exposed * spot, initial=initial)
    for expiry in holding.expiries:
        if market.option is not None:
            options += expiry_margin(expiry, spot, market.option, initial=initial)
        shorts = float(np.maximum(-expiry.quantities, 0.0).sum())
        exposed += shorts
        trusted = min(holding.spot_confidence, expiry.confidence)
        doubt -= _doubt(market, trusted, market.option_confidence, shorts * spot, initial=initial)
    if holding.base and market.base is not None:
        notional = holding.base * spot
        coins = notional * market.base.factor * (market.base.initial_scale if initial else 1.0)
        if coins:
            doubt -= _doubt(market, holding.spot_confidence, market.base_confidence, notional, initial=initial)
    return {
        "perpetuals": perpetuals,
        "options": options,
        "coins": coins,
        "oracle confidence": doubt,
        "stablecoin below its peg": -exposed * peg * spot,
    }


def _doubt(market: SrmMarket, confidence: float, threshold: float, notional: float, *, initial: bool) -> float:
    if not initial:
        return 0.0
    return confidence_charge(confidence, notional, threshold=threshold, factor=market.confidence_factor)


def expiry_margin(expiry: Expiry, spot: float, terms: OptionTerms, *, initial: bool) -> float:
    """Return the margin of an expiry: the better of every short option alone and the worst payoff of all."""
    return max(_isolated(expiry, spot, terms, initial=initial), _worst_payoff(expiry, terms, initial=initial))


def _isolated(expiry: Expiry, spot: float, terms: OptionTerms, *, initial: bool) -> float:
    total = 0.0
    rows = zip(expiry.strikes, expiry.signs, expiry.quantities, unit_values(expiry), strict=True)
    for strike, sign, quantity, unit in rows:
        if quantity >= 0.0:
            continue
        mark = unit * quantity
        rate = max(terms.max_spot - max(0.0, sign * (strike - spot) / spot), terms.min_spot)
        if sign > 0.0:
            total += mark + quantity * spot * (rate if initial else terms.call_maintenance)
            continue
        held = mark + min(terms.put_maintenance * spot * quantity, terms.put_value_maintenance * mark)
        total += min(rate * spot * quantity + mark, held * terms.offset_scale) if initial else held
    return float(total)


def _worst_payoff(expiry: Expiry, terms: OptionTerms, *, initial: bool) -> float:
    prices = np.append(0.0, expiry.strikes)
    payoffs = np.maximum(expiry.signs * (prices[:, None] - expiry.strikes), 0.0) @ expiry.quantities
    calls = float(expiry.quantities[expiry.signs > 0.0].sum())
    scale = terms.unpaired_initial if initial else terms.unpaired_maintenance
    return min(0.0, float(payoffs.min())) + scale * expiry.forward * min(calls, 0.0)


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, _risk: RiskArray | None, parameters: SrmParameters
) -> Requirement:
    """Return value less net margin as the requirement; open orders do not count, as on the venue's chain.

    Raises
    ------
    InputError
        Naming what standard margin does not hold: a contract that is no linear option or perpetual, an underlying or
        coin without parameters, a coin that is owed.
    """
    held, cash = _held(portfolio, market, parameters)
    stable = market.index_price(Currency("USDC")) if held else 1.0
    peg = max(0.0, parameters.peg_threshold - stable) * parameters.peg_factor
    worth = {name: market_value(holding, stable_price=stable) for name, holding in held.items()}
    initial = {name: market_margin(holding, peg, initial=True) for name, holding in held.items()}
    maintenance = {name: market_margin(holding, 0.0, initial=False) for name, holding in held.items()}
    equity = (
        Component(name="cash", amount=cash),
        *(
            Component(name=f"{name} {part}", amount=amount)
            for name, parts in worth.items()
            for part, amount in parts.items()
            if amount
        ),
    )
    needed, kept = _components(worth, initial), _components(worth, maintenance)
    total = math.fsum(part.amount for part in equity)
    asked, below = math.fsum(part.amount for part in needed), math.fsum(part.amount for part in kept)
    return Requirement.from_components(
        account=portfolio.account,
        method="derive_srm",
        version=parameters.effective,
        initial=needed,
        maintenance=kept,
        equity=equity,
        measures={"net_initial_margin": total - asked, "net_maintenance_margin": total - below},
    )


def _components(worth: dict[str, dict[str, float]], net: dict[str, dict[str, float]]) -> tuple[Component, ...]:
    found = [
        Component(name=f"{name} {part}", amount=worth[name].get(part, 0.0) - amount)
        for name, parts in net.items()
        for part, amount in parts.items()
    ]
    return tuple(part for part in found if part.amount)


def _held(
    portfolio: Portfolio, market: MarketSnapshot, parameters: SrmParameters
) -> tuple[dict[str, SrmHolding], float]:
    contracts = {str(item.underlying): item for item in holdings(portfolio, market, rate=0.0, rulebook="derive_srm")}
    cash, coins = split_balances(portfolio)
    found = {}
    for name in sorted(contracts.keys() | set(map(str, coins))):
        terms, item = parameters.markets.get(name), contracts.get(name)
        base = coins.get(Currency(name), 0.0)
        if terms is None:
            raise InputError(f"derive_srm margins {', '.join(parameters.markets)}, was given {name}")
        if base and terms.base is None:
            raise InputError(f"derive_srm takes no {name} as collateral, was given {base:g}")
        if item is not None:
            _refuse_unlisted(name, item, terms)
        found[name] = SrmHolding(
            market=terms,
            spot=market.index_price(Currency(name)),
            perpetuals=item.perpetuals if item else 0.0,
            perpetual_price=item.perpetual_price if item else 0.0,
            perpetual_profit=item.perpetual_profit if item else 0.0,
            base=base,
            expiries=item.expiries if item else (),
        )
    return found, cash


def _refuse_unlisted(name: str, item: DeriveHolding, terms: SrmMarket) -> None:
    if item.expiries and terms.option is None:
        raise InputError(f"derive_srm has no margin of options on {name}, was given some")
    if (item.perpetuals or item.perpetual_profit) and terms.perpetual is None:
        raise InputError(f"derive_srm has no margin of perpetuals on {name}, was given some")


METHOD = Method(
    name="derive_srm",
    title="Derive standard margin",
    parameters=SrmParameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
