"""`derive_pmrm2`: Derive's second portfolio margin, the worst of a scenario list plus contingencies.

Net margin = value + factor x worst scenario - contingencies; our requirement is what is taken off the value. Rule:
`PMRM_2` and `PMRMLib_2` of Derive v2 (derivexyz/v2-core, commit 7736900d); page docs/methods/derive_pmrm2.md.
"""

import enum
import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from crossmargin.errors import InputError
from crossmargin.margin import derive_scenarios
from crossmargin.margin.derive_book import (
    DeriveHolding,
    Expiry,
    confidence_charge,
    holdings,
    split_balances,
)
from crossmargin.margin.method import Component, Method, Parameters, Requirement, no_scenarios
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency, FloatArray, IntArray


class VolMove(enum.StrEnum):
    """How vols move in a scenario."""

    UP = "up"
    NONE = "none"
    DOWN = "down"
    LINEAR = "linear"
    """Skew: vols of high strikes up, of low ones down; counts as a loss either way."""
    ABS = "abs"
    """Skew: vols of both wings up; counts as a loss either way."""


class Move(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scenario: spot multiple, vol move, and the share of its profit or loss that counts."""

    spot: float
    vol: VolMove
    damping: float = 1.0


class Skew(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shape of the skew scenarios."""

    linear_cap: float
    linear_slope: float
    abs_cap: float
    abs_slope: float
    min_width: float
    width_scale: float
    width_static: float
    width_slope: float


class CollateralTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Haircuts of a coin; one that cancels risk moves with spot in the scenarios."""

    maintenance_haircut: float
    initial_haircut: float
    """On top of the maintenance haircut."""
    cancels_risk: bool


class Pmrm2Market(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of one underlying; fractions."""

    scenarios: tuple[Move, ...]
    skew: Skew
    vol_up: float
    vol_down: float
    vol_short_power: float
    vol_long_power: float
    vol_floor_seconds: float
    min_vol_up: float
    initial_factor: float
    maintenance_factor: float
    long_rate_multiple: float
    long_rate_add: float
    short_rate_multiple: float
    short_rate_add: float
    long_discount: float
    short_discount: float
    basis_up: float
    basis_down: float
    basis_add: float
    basis_multiple: float
    peg_threshold: float
    peg_factor: float
    confidence_threshold: float
    confidence_factor: float
    perpetual_maintenance: float
    perpetual_initial: float
    option_maintenance: float
    option_initial: float
    collateral: dict[str, CollateralTerms] = {}


class Pmrm2Parameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters by underlying, and the interest rate where the market gives none."""

    rate: float
    markets: dict[str, Pmrm2Market]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralHeld:
    """A balance of collateral and its terms; `price` in USD."""

    amount: float
    price: float
    confidence: float
    terms: CollateralTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class Pmrm2Account:
    """What the rule reads."""

    spot: float
    spot_confidence: float
    stable_price: float
    cash: float
    perpetuals: float
    perpetual_price: float
    perpetual_confidence: float
    perpetual_profit: float
    expiries: Sequence[Expiry]
    collateral: Sequence[CollateralHeld]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pmrm2Margin:
    """The rule's answer; amounts in the venue's cash. `pnl` in the order of the scenarios."""

    pnl: FloatArray
    basis: float
    worst: float
    worst_index: int
    """-1 is the basis contingency."""
    value: float
    initial_factor: float
    maintenance_contingencies: tuple[Component, ...]
    initial_contingencies: tuple[Component, ...]
    """On top of the maintenance contingencies."""
    net_initial: float
    net_maintenance: float


def margin(account: Pmrm2Account, market: Pmrm2Market) -> Pmrm2Margin:
    """Return net margins, scenario profits and contingencies.

    ``MM = m_f min(pnl, basis) - contingencies_MM + value``;
    ``IM = (i_f + max(0, peg - stable) peg_f) min(pnl, basis) - contingencies_MM - contingencies_IM + value``.
    """
    model = _columns(market)
    collateral = [item.amount * item.price / account.stable_price for item in account.collateral]
    moving = sum(value for item, value in zip(account.collateral, collateral, strict=True) if item.terms.cancels_risk)
    pnl = (account.perpetuals * account.perpetual_price + moving) * model.spot_changes
    told = _expiries(account.expiries, model, pnl)
    pnl *= model.damping
    # a few numbers: as floats of Python they are read faster than from an array
    values, bases, shorts, gross = told.T.tolist()
    options_value, basis = math.fsum(values), math.fsum(bases)
    worst_index = int(pnl.argmin()) if pnl.size else -1
    worst = pnl.item(worst_index) if pnl.size else basis
    if worst >= basis:
        worst_index, worst = -1, basis
    value = account.cash + account.perpetual_profit + options_value + math.fsum(collateral)
    maintenance, initial = _contingencies(account, collateral, market, math.fsum(shorts), gross)
    factor = market.initial_factor + max(0.0, market.peg_threshold - account.stable_price) * market.peg_factor
    held = math.fsum(part.amount for part in maintenance)
    return Pmrm2Margin(
        pnl=pnl,
        basis=basis,
        worst=worst,
        worst_index=worst_index,
        value=value,
        initial_factor=factor,
        maintenance_contingencies=maintenance,
        initial_contingencies=initial,
        net_initial=worst * factor - math.fsum(part.amount for part in initial) - held + value,
        net_maintenance=worst * market.maintenance_factor - held + value,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """The parameters as the kernel reads them."""

    model: FloatArray
    skew: FloatArray
    spots: FloatArray
    spot_changes: FloatArray
    damping: FloatArray
    kinds: IntArray


_KINDS = {
    VolMove.NONE: derive_scenarios.NONE,
    VolMove.UP: derive_scenarios.UP,
    VolMove.DOWN: derive_scenarios.DOWN,
    VolMove.LINEAR: derive_scenarios.LINEAR,
    VolMove.ABS: derive_scenarios.ABS,
}


def _columns(market: Pmrm2Market) -> _Columns:
    return _cached_columns(
        market.scenarios,
        market.skew,
        tuple(getattr(market, name) for name in derive_scenarios.MODEL),
    )


@functools.lru_cache(maxsize=64)
def _cached_columns(scenarios: tuple[Move, ...], skew: Skew, model: tuple[float, ...]) -> _Columns:
    return _Columns(
        model=np.array(model, dtype=np.float64),
        skew=np.array([getattr(skew, name) for name in derive_scenarios.SKEW], dtype=np.float64),
        spots=np.array([move.spot for move in scenarios], dtype=np.float64),
        spot_changes=np.array([move.spot for move in scenarios], dtype=np.float64) - 1.0,
        damping=np.array([move.damping for move in scenarios], dtype=np.float64),
        kinds=np.array([_KINDS[move.vol] for move in scenarios], dtype=np.int64),
    )


def _expiries(expiries: Sequence[Expiry], model: _Columns, pnl: FloatArray) -> FloatArray:
    """Add the undamped profit of every expiry to `pnl`; return value, basis contingency, shorts and gross size of each."""
    told = np.empty((len(expiries), 4))
    if not expiries:
        return told
    clocks = np.array([(each.seconds, each.fixed, each.variable, each.rate) for each in expiries])
    starts = np.array([0, *itertools.accumulate(len(each.strikes) for each in expiries)])
    options = np.array(
        [
            np.concatenate([each.strikes for each in expiries]),
            np.concatenate([each.signs for each in expiries]),
            np.concatenate([each.quantities for each in expiries]),
            np.concatenate([each.vols for each in expiries]),
        ]
    )
    derive_scenarios.account_profits(
        clocks, starts, options, model.model, model.skew, model.spots, model.kinds, told, pnl
    )
    return told


def _contingencies(
    account: Pmrm2Account, collateral: Sequence[float], market: Pmrm2Market, shorts: float, gross: Sequence[float]
) -> tuple[tuple[Component, ...], tuple[Component, ...]]:
    """Return the contingencies of maintenance, and those that initial margin adds.

    `shorts` are options that are short and uncovered, `gross` each expiry's options without their sign.
    """

    def doubt(confidence: float, notional: float) -> float:
        return confidence_charge(
            confidence, notional, threshold=market.confidence_threshold, factor=market.confidence_factor
        )

    trusted = account.spot_confidence
    if account.perpetuals:
        trusted = min(trusted, account.perpetual_confidence)
    perpetual = abs(account.perpetuals) * account.spot
    naked = shorts * account.spot
    # the perpetual's confidence does not enter that of collateral
    oracle = doubt(trusted, perpetual)
    oracle += sum(
        doubt(min(trusted, expiry.confidence), size * account.spot)
        for expiry, size in zip(account.expiries, gross, strict=True)
    )
    pairs = list(zip(account.collateral, collateral, strict=True))
    oracle += sum(doubt(min(item.confidence, account.spot_confidence), value) for item, value in pairs)
    return (
        Component(name="perpetual contingency", amount=perpetual * market.perpetual_maintenance),
        Component(name="naked short options", amount=naked * market.option_maintenance),
        Component(
            name="collateral haircut",
            amount=math.fsum(value * item.terms.maintenance_haircut for item, value in pairs),
        ),
    ), (
        Component(name="perpetual contingency, initial", amount=perpetual * market.perpetual_initial),
        Component(name="naked short options, initial", amount=naked * market.option_initial),
        Component(
            name="collateral haircut, initial",
            amount=math.fsum(value * item.terms.initial_haircut for item, value in pairs),
        ),
        Component(name="oracle confidence", amount=oracle),
    )


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray | None, parameters: Pmrm2Parameters
) -> Requirement:
    """Return the margin requirement of `portfolio`; open orders do not count, as on the venue's chain.

    Raises
    ------
    InputError
        If it holds contracts of more than one underlying, or something that the underlying's market does not take.
    """
    del risk  # the rule values options its own way
    held = holdings(portfolio, market, rate=parameters.rate, rulebook="derive_pmrm2")
    if len(held) > 1:
        names = ", ".join(item.underlying for item in held)
        raise InputError(f"derive_pmrm2 margins one underlying per account, {portfolio.account} holds {names}")
    cash, coins = split_balances(portfolio)
    name, terms = _market_for(held, coins, parameters)
    holding = held[0] if held else None
    account = Pmrm2Account(
        spot=market.index_price(Currency(name)) if held else 0.0,
        spot_confidence=1.0,
        stable_price=market.index_price(Currency("USDC")) if coins else 1.0,
        cash=cash,
        perpetuals=holding.perpetuals if holding else 0.0,
        perpetual_price=holding.perpetual_price if holding else 0.0,
        perpetual_confidence=1.0,
        perpetual_profit=holding.perpetual_profit if holding else 0.0,
        expiries=holding.expiries if holding else (),
        collateral=[
            CollateralHeld(amount=amount, price=market.index_price(coin), confidence=1.0, terms=terms.collateral[coin])
            for coin, amount in sorted(coins.items())
        ],
    )
    return _stated(portfolio, margin(account, terms), terms, parameters.effective)


def _market_for(
    held: Sequence[DeriveHolding], coins: dict[Currency, float], parameters: Pmrm2Parameters
) -> tuple[str, Pmrm2Market]:
    wanted = [held[0].underlying] if held else list(parameters.markets)
    for name in wanted:
        if name not in parameters.markets:
            raise InputError(f"derive_pmrm2 margins {', '.join(parameters.markets)}, was given {name}")
        if all(coin in parameters.markets[name].collateral for coin in coins):
            return name, parameters.markets[name]
    missing = sorted(coin for coin in coins if coin not in parameters.markets[wanted[0]].collateral)
    raise InputError(f"derive_pmrm2 takes only listed collateral in its {wanted[0]} market, was given {missing}")


def _stated(portfolio: Portfolio, answer: Pmrm2Margin, market: Pmrm2Market, version: str) -> Requirement:
    label = "basis" if answer.worst_index < 0 else _label(market.scenarios[answer.worst_index])

    def scan(factor: float) -> Component:
        return Component(name="worst scenario", amount=-answer.worst * factor, reason=label)

    maintenance = (scan(market.maintenance_factor), *answer.maintenance_contingencies)
    initial = (scan(answer.initial_factor), *answer.maintenance_contingencies, *answer.initial_contingencies)
    return Requirement.from_components(
        account=portfolio.account,
        method="derive_pmrm2",
        version=version,
        initial=initial,
        maintenance=maintenance,
        equity=(Component(name="cash, collateral and contracts at their value", amount=answer.value),),
        worst_scenario=label if answer.worst < 0.0 else "",
        measures={"net_initial_margin": answer.net_initial, "net_maintenance_margin": answer.net_maintenance},
    )


def _label(move: Move) -> str:
    return f"spot {move.spot - 1.0:+.1%}, vol {move.vol.value}"


METHOD = Method(
    name="derive_pmrm2",
    title="Derive portfolio margin 2",
    parameters=Pmrm2Parameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
