"""`derive_srm`: Derive's standard margin, option by option or by the worst payoff of an expiry, whichever asks less.

Signed values throughout: a margin below zero is required. Rule: `StandardManager` of Derive v2 (derivexyz/v2-core,
commit 7736900d); page docs/methods/derive_srm.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from crossmargin.margin.derive_book import Expiry, confidence_charge, option_values


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
    holdings: Sequence[SrmHolding],
    cash: float,
    *,
    stable_price: float,
    peg_threshold: float,
    peg_factor: float,
    initial: bool,
) -> float:
    """Return the net margin of an account: cash plus what every underlying adds (> 0) or asks (< 0)."""
    peg = max(0.0, peg_threshold - stable_price) * peg_factor if initial else 0.0
    return cash + math.fsum(_market_margin(holding, peg, initial=initial) for holding in holdings)


def value(holdings: Sequence[SrmHolding], cash: float, *, stable_price: float) -> float:
    """Return the mark-to-market value of an account."""
    return cash + math.fsum(
        holding.perpetual_profit
        + holding.base * holding.spot / stable_price
        + sum(float(_values(expiry) @ expiry.quantities) for expiry in holding.expiries)
        for holding in holdings
    )


def _market_margin(holding: SrmHolding, peg: float, *, initial: bool) -> float:
    market, spot = holding.market, holding.spot
    margin, exposed = 0.0, abs(holding.perpetuals)
    if holding.perpetuals and market.perpetual is not None:
        rate = market.perpetual.initial if initial else market.perpetual.maintenance
        margin += holding.perpetual_profit - exposed * holding.perpetual_price * rate
        trusted = min(holding.perpetual_confidence, holding.spot_confidence)
        margin -= _doubt(market, trusted, market.perpetual_confidence, exposed * spot, initial=initial)
    for expiry in holding.expiries:
        if market.option is not None:
            margin += expiry_margin(expiry, spot, market.option, initial=initial)
        shorts = float(np.maximum(-expiry.quantities, 0.0).sum())
        exposed += shorts
        trusted = min(holding.spot_confidence, expiry.confidence)
        margin -= _doubt(market, trusted, market.option_confidence, shorts * spot, initial=initial)
    if holding.base and market.base is not None:
        notional = holding.base * spot
        counted = notional * market.base.factor * (market.base.initial_scale if initial else 1.0)
        margin += counted
        if counted:
            margin -= _doubt(market, holding.spot_confidence, market.base_confidence, notional, initial=initial)
    return margin - exposed * peg * spot


def _doubt(market: SrmMarket, confidence: float, threshold: float, notional: float, *, initial: bool) -> float:
    if not initial:
        return 0.0
    return confidence_charge(confidence, notional, threshold=threshold, factor=market.confidence_factor)


def expiry_margin(expiry: Expiry, spot: float, terms: OptionTerms, *, initial: bool) -> float:
    """Return the margin of an expiry: the better of every short option alone and the worst payoff of all."""
    return max(_isolated(expiry, spot, terms, initial=initial), _worst_payoff(expiry, terms, initial=initial))


def _values(expiry: Expiry) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    unit = [
        option_values(
            Expiry(
                seconds=expiry.seconds,
                fixed=expiry.fixed,
                variable=expiry.variable,
                rate=expiry.rate,
                confidence=expiry.confidence,
                strikes=expiry.strikes[i : i + 1],
                signs=expiry.signs[i : i + 1],
                quantities=np.ones(1),
                vols=expiry.vols[i : i + 1],
            ),
            np.array([expiry.forward]),
            expiry.vols[None, i : i + 1],
            1.0,
        )[0]
        for i in range(len(expiry.strikes))
    ]
    return np.array(unit)


def _isolated(expiry: Expiry, spot: float, terms: OptionTerms, *, initial: bool) -> float:
    total = 0.0
    rows = zip(expiry.strikes, expiry.signs, expiry.quantities, _values(expiry), strict=True)
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
