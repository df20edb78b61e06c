"""`span2`: in the manner of CME's SPAN 2, historical and stress risk mixed, and what closing costs.

``maintenance = x * historical value at risk + (1 - x) * worst stress + liquidity + concentration``; initial is a multiple of
it. The clearing house publishes the sum and not its parameters: those are choices of this project.
docs/methods/span2.md gives the sources.
"""

import math
from dataclasses import replace

import msgspec
import numpy as np

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import DOLLAR_COINS, Spot
from crossmargin.margin.add_ons import Liquidity, concentration_add_on, liquidity_add_on
from crossmargin.margin.collateral import HaircutSchedule, collateral_credits
from crossmargin.margin.exposure import book_delta, book_pnl, by_underlying, check_scenarios_move, net_quantities
from crossmargin.margin.method import Component, Method, Parameters, Requirement
from crossmargin.margin.open_orders import subset_charge
from crossmargin.margin.perpetual_units import held_contracts
from crossmargin.margin.tail_risk import coins_with_history
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import cash_by_currency, position_value
from crossmargin.risk.measures import value_at_risk
from crossmargin.risk.risk_array import RiskArray
from crossmargin.scenarios.historical import historical_scenarios
from crossmargin.scenarios.scenario_set import ScenarioSet


class StressMove(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A joint move: relative prices by coin, one for every other coin, and a relative move of vols."""

    name: str
    other: float
    vol: float
    prices: dict[str, float] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not min(self.other, self.vol, *self.prices.values()) > -1.0:
            raise InputError(f"moves of a stress must lie above -1, did not in {self.name}")


class Span2Parameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `span2`; fractions, USD."""

    historical_weight: float
    """x: the share of historical risk; stress has the rest."""
    confidence: float
    horizon: int
    lookback: int
    minimum_dates: int
    vol_beta: float
    stresses: tuple[StressMove, ...]
    initial_factor: float
    liquidity: dict[str, Liquidity]
    concentration_free_share: float
    concentration_rate: float
    haircuts: HaircutSchedule

    def __post_init__(self) -> None:
        if not 0.0 <= self.historical_weight <= 1.0:
            raise InputError(f"historical_weight must be inside [0, 1], was {self.historical_weight}")
        if not 0.5 <= self.confidence < 1.0:
            raise InputError(f"confidence must be inside [0.5, 1), was {self.confidence}")
        if not (self.stresses and self.initial_factor >= 1.0 and self.horizon >= 1 and self.lookback >= 20):
            raise InputError("a stress, initial_factor >= 1, horizon >= 1 and lookback >= 20 must be given")


def scenarios(market: MarketSnapshot, parameters: Span2Parameters) -> ScenarioSet:
    """Return the joint moves of the past, then the stresses, which have no probability.

    Raises
    ------
    InputError
        If the snapshot carries no price history.
    """
    history = market.history_for("span2")
    coins = coins_with_history(market, history, parameters.horizon, parameters.minimum_dates)
    past = historical_scenarios(
        history, coins, horizon=parameters.horizon, count=parameters.lookback, vol_beta=parameters.vol_beta
    )
    moves = [
        [0.0 if coin in DOLLAR_COINS else stress.prices.get(coin, stress.other) for stress in parameters.stresses]
        for coin in coins
    ]
    vols = [[0.0 if coin in DOLLAR_COINS else stress.vol for stress in parameters.stresses] for coin in coins]
    count = len(parameters.stresses)
    return replace(
        past,
        name=f"{past.name}, {count} stresses",
        price_factor=np.concatenate([past.price_factor, 1.0 + np.array(moves)], axis=1),
        vol_shock=np.concatenate([past.vol_shock, np.array(vols)], axis=1),
        labels=past.labels + tuple(stress.name for stress in parameters.stresses),
        weights=np.concatenate([past.weights, np.zeros(count)]),
        damping=np.concatenate([past.damping, np.ones(count)]),
    )


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray | None, parameters: Span2Parameters
) -> Requirement:
    """Return the margin requirement of futures, perpetuals and options; collateral is haircut.

    Raises
    ------
    InputError
        Naming what it cannot hold: spot, a coin without history, an underlying without liquidity.
    """
    if risk is None:
        raise InputError("span2 needs a risk array, found none")
    _check(portfolio, parameters)
    check_scenarios_move(portfolio, risk, "span2")
    maintenance, measures, label = _needed(portfolio, risk, parameters)
    equity = _equity(portfolio, market, parameters)
    initial = [replace(part, amount=parameters.initial_factor * part.amount) for part in maintenance]

    def deficit(book: Portfolio) -> float:
        needed = math.fsum(part.amount for part in _needed(book, risk, parameters)[0])
        return parameters.initial_factor * needed - math.fsum(part.amount for part in _equity(book, market, parameters))

    initial.append(subset_charge(portfolio, deficit, "span2"))
    return Requirement.from_components(
        account=portfolio.account,
        method="span2",
        version=parameters.effective,
        initial=initial,
        maintenance=maintenance,
        equity=equity,
        worst_scenario=label,
        measures=measures,
    )


def _needed(
    portfolio: Portfolio, risk: RiskArray, parameters: Span2Parameters
) -> tuple[list[Component], dict[str, float], str]:
    """Components of maintenance, the two measures unmixed, and the worst stress."""
    pnl = book_pnl(net_quantities(portfolio.positions), risk)
    count = len(parameters.stresses)
    past, stressed = pnl[:-count], pnl[-count:]
    historical = max(float(value_at_risk(past, parameters.confidence, risk.scenarios.weights[:-count])), 0.0)
    stress = max(-float(stressed.min()), 0.0)
    label = parameters.stresses[int(np.argmin(stressed))].name if stress else ""
    weight = parameters.historical_weight
    parts = [
        Component(name="historical risk", amount=weight * historical, reason=f"value at risk {parameters.confidence}"),
        Component(name="stress risk", amount=(1.0 - weight) * stress, reason=label),
    ]
    for coin, positions in sorted(by_underlying(portfolio.positions).items()):
        rule, delta = parameters.liquidity[coin], book_delta(net_quantities(positions), risk)
        crowded = concentration_add_on(
            delta, rule.daily_volume, parameters.concentration_free_share, parameters.concentration_rate
        )
        parts.append(Component(name=f"{coin} liquidity", amount=liquidity_add_on(delta, rule)))
        parts.append(Component(name=f"{coin} concentration", amount=crowded))
    return [part for part in parts if part.amount], {"HVaR": historical, "stress": stress}, label


def _equity(portfolio: Portfolio, market: MarketSnapshot, parameters: Span2Parameters) -> tuple[Component, ...]:
    counted = collateral_credits(cash_by_currency(portfolio, market), market, parameters.haircuts)
    parts = [
        Component(name=f"{currency} collateral", amount=amount, reason="after haircut")
        for currency, amount in counted.items()
        if amount
    ]
    value = position_value(portfolio.positions, market)
    return (*parts, Component(name="option value", amount=value)) if value else tuple(parts)


def _check(portfolio: Portfolio, parameters: Span2Parameters) -> None:
    for contract in held_contracts(portfolio):
        if isinstance(contract, Spot):
            raise InputError(f"span2 margins futures, perpetuals and options only, was given {contract.id}")
        if contract.base not in parameters.liquidity:
            raise InputError(f"span2 needs the liquidity of {contract.base} for {contract.id}, has none")
        if contract.settle not in parameters.haircuts.tiers:
            raise InputError(f"span2 needs a haircut of {contract.settle} for {contract.id}, has none")
    for balance in portfolio.balances:
        if balance.currency not in parameters.haircuts.tiers and balance.amount != 0.0:
            raise InputError(f"span2 needs a haircut of {balance.currency}, has none")


METHOD = Method(
    name="span2",
    title="SPAN 2 style: historical and stress risk, liquidity, concentration",
    parameters=Span2Parameters,
    scenarios=scenarios,
    requirement=requirement,
)
