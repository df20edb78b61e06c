"""`scenario_grid`: the worst loss over a price x vol grid, underlying by underlying, with declared offsets.

``initial = sum over underlyings of max(worst loss, short-option minimum) - offsets``;
``maintenance = maintenance_factor * initial``. The grid is the usual one of crypto venues (nine prices, three vols,
tails that count in part); the page docs/methods/scenario_grid.md gives the formula and a worked example.

Coins that hedge the derivatives of their own underlying enter the risk array at full value; the rest of a coin balance
is collateral after haircut. What is borrowed always enters the array.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from crossmargin.errors import InputError, invariant
from crossmargin.instruments.contracts import DOLLAR_COINS, Option
from crossmargin.margin.collateral import HaircutSchedule
from crossmargin.margin.method import Component, Explanation, Method, Parameters, Requirement
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import cash_by_currency, position_value
from crossmargin.risk.measures import worst_loss, worst_scenario
from crossmargin.risk.risk_array import RiskArray
from crossmargin.scenarios.grid import price_vol_grid
from crossmargin.scenarios.scenario_set import ScenarioSet, VolTenor
from crossmargin.units import USD, Currency, FloatArray


class Tail(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tail scenario: relative price and vol move, and the share of the profit or loss that counts."""

    price: float
    vol: float
    damping: float


class Offset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credit for opposite risk in two underlyings: `credit` of the smaller loss is taken off, for each of the two."""

    first: str
    second: str
    credit: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.credit <= 0.8:
            raise InputError(
                f"an offset credit must be inside [0, 0.8], was {self.credit} for {self.first}-{self.second}"
            )


class ScenarioGridParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `scenario_grid`; fractions, USD."""

    price_range: dict[str, float]
    """Largest relative move per underlying."""
    default_price_range: float
    """For underlyings without one of their own."""
    price_steps: int
    vol_moves: tuple[float, ...]
    vol_short_power: float
    vol_long_power: float
    min_vol_up: float
    tails: tuple[Tail, ...]
    maintenance_factor: float
    short_option_minimum: float
    """Fraction of the index per coin of short options."""
    offsets: tuple[Offset, ...]
    haircuts: HaircutSchedule

    def __post_init__(self) -> None:
        if not 0.0 < self.maintenance_factor <= 1.0:
            raise InputError(f"maintenance_factor must be inside (0, 1], was {self.maintenance_factor}")
        if not 0.0 <= self.short_option_minimum < 1.0:
            raise InputError(f"short_option_minimum must be inside [0, 1), was {self.short_option_minimum}")


def scenarios(market: MarketSnapshot, parameters: ScenarioGridParameters) -> ScenarioSet:
    """Return the grid for every coin of `market` that is not a dollar."""
    ranges = {
        currency: parameters.price_range.get(currency, parameters.default_price_range)
        for currency in market.index
        if currency not in DOLLAR_COINS
    }
    return price_vol_grid(
        ranges,
        price_steps=parameters.price_steps,
        vol_moves=parameters.vol_moves,
        vol_tenor=VolTenor(short_power=parameters.vol_short_power, long_power=parameters.vol_long_power),
        min_vol_up=parameters.min_vol_up,
        tails=[(tail.price, tail.vol, tail.damping) for tail in parameters.tails],
    )


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray | None, parameters: ScenarioGridParameters
) -> Requirement:
    """Return the margin requirement of `portfolio`."""
    invariant(risk is not None, "scenario_grid needs a risk array")
    assert risk is not None  # noqa: S101  (for the type checker; the invariant above raises)
    cash = cash_by_currency(portfolio, market)
    hedging = _hedging_coins(portfolio, cash, market, risk)
    buckets = [
        _bucket(underlying, portfolio, hedging, market, risk, parameters)
        for underlying in sorted(_underlyings(portfolio, hedging))
    ]
    granted = _offset_credits(buckets, parameters.offsets)
    components = (
        *(Component(name=f"{b.underlying} scan", amount=b.scan, reason=b.worst_label) for b in buckets if b.scan),
        *(
            Component(name=f"{b.underlying} short-option minimum", amount=b.charge - b.scan)
            for b in buckets
            if b.charge > b.scan
        ),
        *(Component(name=f"{name} offset", amount=-credit) for name, credit in granted if credit),
    )
    initial = math.fsum(part.amount for part in components)
    equity_parts = _equity_components(portfolio, cash, hedging, market, parameters.haircuts)
    worst = max(buckets, key=lambda b: b.scan, default=None)
    return Requirement(
        account=portfolio.account,
        method="scenario_grid",
        version=parameters.effective,
        initial=initial,
        maintenance=parameters.maintenance_factor * initial,
        equity=math.fsum(part.amount for part in equity_parts),
        initial_components=components,
        maintenance_components=tuple(
            Component(name=part.name, amount=parameters.maintenance_factor * part.amount, reason=part.reason)
            for part in components
        ),
        equity_components=equity_parts,
        worst_scenario=f"{worst.underlying}: {worst.worst_label}" if worst and worst.scan else "",
        explanation=Explanation(
            name="worst loss of each underlying",
            pnl=math.fsum(b.explanation.pnl for b in buckets),
            children=tuple(b.explanation for b in buckets),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bucket:
    """One underlying's part of the requirement."""

    underlying: Currency
    delta: float
    scan: float
    charge: float
    worst_label: str
    explanation: Explanation


def _underlyings(portfolio: Portfolio, hedging: Mapping[Currency, float]) -> set[Currency]:
    return {position.instrument.underlying for position in portfolio.positions} | set(hedging)


def _hedging_coins(
    portfolio: Portfolio, cash: Mapping[Currency, float], market: MarketSnapshot, risk: RiskArray
) -> dict[Currency, float]:
    """Coins per currency that enter the risk array: all that is owed, and what offsets the derivatives' delta."""
    deltas: dict[Currency, float] = {}
    for position in portfolio.positions:
        row = risk.row_number(position.instrument.id)
        underlying = position.instrument.underlying
        deltas[underlying] = deltas.get(underlying, 0.0) + position.quantity * float(risk.delta[row])
    hedging: dict[Currency, float] = {}
    for currency, coins in cash.items():
        if currency in DOLLAR_COINS or coins == 0.0:
            continue
        short = max(-deltas.get(currency, 0.0), 0.0) / market.index_price(currency)
        entering = coins if coins < 0.0 else min(coins, short)
        if entering != 0.0:
            hedging[currency] = entering
    return hedging


def _bucket(
    underlying: Currency,
    portfolio: Portfolio,
    hedging: Mapping[Currency, float],
    market: MarketSnapshot,
    risk: RiskArray,
    parameters: ScenarioGridParameters,
) -> _Bucket:
    held = [(p.instrument.id, p.quantity) for p in portfolio.positions if p.instrument.underlying == underlying]
    if underlying in hedging:
        held.append((risk.instruments[risk.row_number(underlying)].id, hedging[underlying]))
    held.sort()
    pnl: FloatArray = np.zeros(risk.scenarios.size)
    delta = 0.0
    for instrument_id, quantity in held:
        pnl = pnl + quantity * risk.row(instrument_id)
        delta += quantity * float(risk.delta[risk.row_number(instrument_id)])
    scan = float(worst_loss(pnl))
    worst = int(worst_scenario(pnl))
    index = market.index_price(underlying)
    short_coins = sum(
        max(-p.quantity, 0.0) * p.instrument.contract_size_float
        for p in portfolio.positions
        if isinstance(p.instrument, Option) and p.instrument.underlying == underlying
    )
    label = risk.scenarios.labels[worst]
    return _Bucket(
        underlying=underlying,
        delta=delta,
        scan=scan,
        charge=max(scan, parameters.short_option_minimum * index * short_coins),
        worst_label=label,
        explanation=Explanation(
            name=f"{underlying}: {label}",
            pnl=float(pnl[worst]),
            children=tuple(
                Explanation(name=instrument_id, pnl=quantity * float(risk.row(instrument_id)[worst]))
                for instrument_id, quantity in held
            ),
        ),
    )


def _offset_credits(buckets: list[_Bucket], offsets: tuple[Offset, ...]) -> list[tuple[str, float]]:
    """Credits in the order of the parameters; a loss once matched is not matched again."""
    left = {bucket.underlying: bucket.scan for bucket in buckets}
    deltas = {bucket.underlying: bucket.delta for bucket in buckets}
    granted = []
    for offset in offsets:
        first, second = Currency(offset.first), Currency(offset.second)
        if first not in left or second not in left or deltas[first] * deltas[second] >= 0.0:
            continue
        matched = min(left[first], left[second])
        left[first] -= matched
        left[second] -= matched
        granted.append((f"{first}-{second}", 2.0 * matched * offset.credit))
    return granted


def _equity_components(
    portfolio: Portfolio,
    cash: Mapping[Currency, float],
    hedging: Mapping[Currency, float],
    market: MarketSnapshot,
    haircuts: HaircutSchedule,
) -> tuple[Component, ...]:
    parts = []
    for currency, coins in sorted(cash.items()):
        hedged = hedging.get(currency, 0.0)
        index = market.index_price(currency)
        collateral = haircuts.credit(currency, (coins - hedged) * index) if currency != USD else coins
        if hedged:
            parts.append(Component(name=f"{currency} in the risk array", amount=hedged * index))
        if collateral:
            parts.append(Component(name=f"{currency} collateral", amount=collateral, reason="after haircut"))
    value = position_value(portfolio.positions, market)
    if value:
        parts.append(Component(name="option and spot value", amount=value))
    return tuple(parts)


METHOD = Method(
    name="scenario_grid",
    title="Worst loss over a price x vol grid",
    parameters=ScenarioGridParameters,
    scenarios=scenarios,
    requirement=requirement,
)
