"""`paradex_portfolio`: Paradex portfolio margin: the worst of 24 scenarios per underlying or a floor on its delta.

Source: tradeparadex/paradex-docs, risk-system/portfolio-margin; page docs/methods/paradex_portfolio.md.
"""

import math
from dataclasses import dataclass

import msgspec
import numpy as np

from crossmargin.errors import InputError, MarketDataError
from crossmargin.instruments.contracts import Perpetual
from crossmargin.margin.exposure import book_pnl, by_underlying, net_quantities
from crossmargin.margin.method import Component, Method, Parameters, Requirement
from crossmargin.margin.paradex_cross import check_paradex, paradex_equity
from crossmargin.margin.paradex_rules import DeltaRisk, minimum_delta_risk
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio, Position
from crossmargin.risk.measures import worst_loss, worst_scenario
from crossmargin.risk.risk_array import RiskArray
from crossmargin.scenarios.scenario_set import ScenarioSet, VolTenor
from crossmargin.units import Currency


class Shock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Relative moves of spot and vol, and the share of the profit or loss that counts."""

    spot: float
    vol: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not (self.spot > -1.0 and self.vol > -1.0 and 0.0 < self.weight <= 1.0):
            raise InputError(f"a shock needs moves above -100 % and a weight inside (0, 1], was {self}")


class Asset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one underlying is scanned by; the last shocks may be tails."""

    shocks: tuple[Shock, ...]
    unhedged_rate: float
    hedged_rate: float


class ParadexPortfolioParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Scenarios and delta rates by underlying, what they share, and the fee that is set aside."""

    maintenance_factor: float
    taker_fee: float
    min_vol_up: float
    vol_short_power: float
    vol_long_power: float
    vol_floor_days: float
    assets: dict[Currency, Asset]

    def __post_init__(self) -> None:
        if not (0.0 <= self.maintenance_factor <= 1.0 and self.taker_fee >= 0.0):
            raise InputError("paradex needs maintenance_factor inside [0, 1] and taker_fee >= 0")
        if len({len(asset.shocks) for asset in self.assets.values()}) != 1:
            raise InputError("every underlying must have as many shocks as the others")


def scenarios(_market: MarketSnapshot, parameters: ParadexPortfolioParameters) -> ScenarioSet:
    """Return one column per shock with a row per underlying; each underlying is scanned alone, with its own weights."""
    names = sorted(parameters.assets)
    shocks = [parameters.assets[name].shocks for name in names]
    return ScenarioSet(
        name="Paradex, SCAN",
        underlyings=tuple(names),
        price_factor=np.array([[1.0 + shock.spot for shock in row] for row in shocks]),
        vol_shock=np.array([[shock.vol for shock in row] for row in shocks]),
        labels=tuple(f"scenario {number}" for number in range(1, len(shocks[0]) + 1)),
        vol_tenor=VolTenor(
            floor_days=parameters.vol_floor_days,
            short_power=parameters.vol_short_power,
            long_power=parameters.vol_long_power,
        ),
        min_vol_up=parameters.min_vol_up,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scanned:
    """One underlying: scan risk and its scenario, delta risk, and what is set aside."""

    scan: float
    worst: Shock
    delta: DeltaRisk
    funding: float
    fees: float


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray | None, parameters: ParadexPortfolioParameters
) -> Requirement:
    """Return, summed over underlyings, ``max(scan, minimum delta)`` plus provisions for funding and fees.

    Raises
    ------
    InputError
        Naming what the account cannot hold; or if it has open orders, of which the rule says nothing.
    MarketDataError
        If a perpetual's funding rate is missing.
    """
    if risk is None:
        raise InputError("paradex_portfolio needs a risk array, found none")
    known = set(parameters.assets)
    check_paradex(portfolio, "paradex_portfolio", known, known)
    if portfolio.orders:
        raise InputError(
            f"paradex_portfolio says nothing of open orders, leave out {portfolio.orders[0].instrument.id}"
        )
    groups = by_underlying(portfolio.positions)
    scanned = {coin: _scanned(coin, groups[coin], market, risk, parameters) for coin in sorted(groups)}
    initial = _components(scanned, 1.0)
    maintenance = _components(scanned, parameters.maintenance_factor)
    equity = paradex_equity(portfolio, market)
    worst = max(scanned, key=lambda coin: scanned[coin].scan, default=None)
    return Requirement.from_components(
        account=portfolio.account,
        method="paradex_portfolio",
        version=parameters.effective,
        initial=initial,
        maintenance=maintenance,
        equity=equity,
        worst_scenario=f"{worst}: {_label(scanned[worst].worst)}" if worst and scanned[worst].scan else "",
        measures={f"scan risk, {coin}": each.scan for coin, each in scanned.items()}
        | {f"minimum delta requirement, {coin}": each.delta.minimum for coin, each in scanned.items()},
    )


def _scanned(
    coin: Currency,
    own: list[Position],
    market: MarketSnapshot,
    risk: RiskArray,
    parameters: ParadexPortfolioParameters,
) -> _Scanned:
    asset, spot = parameters.assets[coin], market.index_price(coin)
    quantities = net_quantities(own)
    contracts = {position.instrument.id: position.instrument for position in own}
    pnl = book_pnl(quantities, risk) * np.array([shock.weight for shock in asset.shocks])
    worst = int(worst_scenario(pnl))
    gross = math.fsum(abs(quantity * float(risk.row(name)[worst])) for name, quantity in quantities.items())
    loss = float(worst_loss(pnl))
    deltas, funding, fees = [], 0.0, 0.0
    for name, quantity in quantities.items():
        contract = contracts[name]
        coins = quantity * contract.contract_size_float
        notional, delta = coins * spot, quantity * float(risk.delta[risk.row_number(name)]) / spot
        if isinstance(contract, Perpetual):
            notional, delta = coins * market.mark_price(contract) * market.index_price(contract.settle), coins
            funding += max(notional * _funding_rate(contract, market), 0.0) if coins else 0.0
        deltas.append(delta)
        fees += abs(notional) * parameters.taker_fee
    return _Scanned(
        scan=loss if loss > _DUST * gross else 0.0,
        worst=asset.shocks[worst],
        delta=minimum_delta_risk(deltas, spot, asset.unhedged_rate, asset.hedged_rate),
        funding=funding,
        fees=fees,
    )


_DUST = 1e-9
"""A perfect hedge leaves rounding behind, which is no loss."""


def _funding_rate(contract: Perpetual, market: MarketSnapshot) -> float:
    rate = market.funding_rate_8h.get(contract.id)
    if rate is None:
        raise MarketDataError(
            f"paradex_portfolio needs the funding rate of {contract.id} at {market.time_ns} ns, has none"
        )
    return rate


def _label(shock: Shock) -> str:
    return f"spot {shock.spot:+.0%}, vols {shock.vol:+.1%}, counted {shock.weight:.1%}"


def _components(scanned: dict[Currency, _Scanned], factor: float) -> tuple[Component, ...]:
    parts = []
    for coin, each in scanned.items():
        lift = max(each.delta.minimum - each.scan, 0.0)
        parts += [
            Component(name=f"{coin} scan risk", amount=each.scan * factor, reason=_label(each.worst)),
            Component(name=f"{coin} minimum delta requirement above it", amount=lift * factor),
            Component(name=f"{coin} funding provision", amount=each.funding),
            Component(name=f"{coin} fee provision", amount=each.fees),
        ]
    return tuple(part for part in parts if part.amount)


METHOD = Method(
    name="paradex_portfolio",
    title="Paradex portfolio margin",
    parameters=ParadexPortfolioParameters,
    scenarios=scenarios,
    requirement=requirement,
)
