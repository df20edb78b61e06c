"""`tail_risk`: value at risk or expected shortfall of the whole book over joint scenarios.

``initial = max(measure, floor) + liquidity + concentration + open orders``;
``maintenance = maintenance_factor * (max(measure, floor) + liquidity + concentration)``. Every balance is a row of the
risk array, USDT and USDC too, and nothing is haircut: collateral is risk here. Scenarios are joint past moves, so that
underlyings net as far as they moved together. docs/methods/tail_risk.md gives the formula and a worked example.
"""

import math
from typing import Literal

import numpy as np

from crossmargin.errors import InputError, invariant
from crossmargin.instruments.contracts import DOLLAR_COINS
from crossmargin.margin.add_ons import Liquidity, concentration_add_on, liquidity_add_on
from crossmargin.margin.exposure import book_delta, book_pnl, check_scenarios_move, net_quantities
from crossmargin.margin.method import Component, Explanation, Method, Parameters, Requirement
from crossmargin.margin.open_orders import ENUMERATED, immediate_profits, worst_fills_by_scenario, worst_subset
from crossmargin.market.history import PriceHistory
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import cash_by_currency, position_value
from crossmargin.risk.measures import expected_shortfall, tail_weights, value_at_risk
from crossmargin.risk.risk_array import RiskArray
from crossmargin.scenarios.historical import historical_scenarios
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.units import Currency, FloatArray, InstrumentId


class TailRiskParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `tail_risk`; fractions, USD."""

    measure: Literal["es", "var"]
    confidence: float
    horizon: int
    """Steps of the history over which a position can be closed: days for daily closes."""
    lookback: int
    """Dates used, the latest ones."""
    minimum_dates: int
    """A coin with fewer returns has no scenarios, and a book that holds it is refused."""
    overlapping: bool
    vol_beta: float
    """Relative move of implied vols per unit of log return of their coin."""
    floor: float
    """Least requirement as a fraction of the gross exposure of positions."""
    maintenance_factor: float
    liquidity: dict[str, Liquidity]
    default_liquidity: Liquidity
    concentration_free_share: float
    """Share of a day's volume that needs no concentration add-on."""
    concentration_rate: float

    def __post_init__(self) -> None:
        if not 0.5 <= self.confidence < 1.0:
            raise InputError(f"confidence must be inside [0.5, 1), was {self.confidence}")
        if self.horizon < 1 or self.lookback < 20 or self.minimum_dates < 20:
            raise InputError("horizon >= 1, lookback >= 20 and minimum_dates >= 20 must hold")
        if not 0.0 < self.maintenance_factor <= 1.0:
            raise InputError(f"maintenance_factor must be inside (0, 1], was {self.maintenance_factor}")
        for name in ("floor", "concentration_free_share", "concentration_rate"):
            if not getattr(self, name) >= 0.0:
                raise InputError(f"{name} must not be negative, was {getattr(self, name)}")


def scenarios(market: MarketSnapshot, parameters: TailRiskParameters) -> ScenarioSet:
    """Return the joint historical moves of every coin with enough history; dollars move too where they have one.

    Raises
    ------
    InputError
        If the snapshot carries no price history.
    """
    history = market.history_for("tail_risk")
    known = coins_with_history(market, history, parameters.horizon, parameters.minimum_dates)
    return historical_scenarios(
        history,
        known,
        horizon=parameters.horizon,
        count=parameters.lookback,
        overlapping=parameters.overlapping,
        vol_beta=parameters.vol_beta,
    )


def coins_with_history(
    market: MarketSnapshot, history: PriceHistory, horizon: int, minimum_dates: int
) -> tuple[Currency, ...]:
    """Return the coins of `market` that have at least so many returns over `horizon` steps, sorted."""
    counts = np.isfinite(history.log_returns(horizon)).sum(axis=1)
    return tuple(
        sorted(
            currency
            for currency, count in zip(history.currencies, counts, strict=True)
            if currency in market.index and count >= minimum_dates
        )
    )


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray | None, parameters: TailRiskParameters
) -> Requirement:
    """Return the margin requirement of `portfolio`.

    Raises
    ------
    InputError
        If it holds a coin without scenarios.
    """
    if risk is None:
        raise InputError("tail_risk needs a risk array, found none")
    check_scenarios_move(portfolio, risk, "tail_risk")
    held = holdings(portfolio, market)
    pnl = book_pnl(held, risk)
    measured = _measure(pnl, risk, parameters)
    parts = _components(portfolio, measured, risk, parameters)
    orders = _order_margin(portfolio, market, risk, parameters, math.fsum(part.amount for part in parts), pnl)
    equity_parts = _equity_components(portfolio, market)
    label, explanation = _explanation(held, pnl, measured, risk, parameters)
    initial_parts = (*parts, Component(name="open orders", amount=orders)) if orders else parts
    return Requirement(
        account=portfolio.account,
        method="tail_risk",
        version=parameters.effective,
        initial=math.fsum(part.amount for part in initial_parts),
        maintenance=parameters.maintenance_factor * math.fsum(part.amount for part in parts),
        equity=math.fsum(part.amount for part in equity_parts),
        initial_components=initial_parts,
        maintenance_components=tuple(
            Component(name=part.name, amount=parameters.maintenance_factor * part.amount, reason=part.reason)
            for part in parts
        ),
        equity_components=equity_parts,
        worst_scenario=label,
        explanation=explanation,
    )


def holdings(portfolio: Portfolio, market: MarketSnapshot) -> dict[InstrumentId, float]:
    """Return every row that the book holds and how much of it: contracts, and coins of cash with unrealised profit."""
    held = dict(net_quantities(portfolio.positions))
    for currency, coins in cash_by_currency(portfolio, market).items():
        held[InstrumentId(currency)] = coins
    return dict(sorted(held.items()))


def _measure(pnl: FloatArray, risk: RiskArray, parameters: TailRiskParameters) -> float:
    rule = expected_shortfall if parameters.measure == "es" else value_at_risk
    return max(float(rule(pnl, parameters.confidence, risk.scenarios.weights)), 0.0)


def _components(
    portfolio: Portfolio, measured: float, risk: RiskArray, parameters: TailRiskParameters
) -> tuple[Component, ...]:
    name = f"{'expected shortfall' if parameters.measure == 'es' else 'value at risk'} {parameters.confidence:.4g}"
    gross = math.fsum(
        abs(quantity * float(risk.delta[risk.row_number(row)]))
        for row, quantity in net_quantities(portfolio.positions).items()
    )
    parts = [Component(name=name, amount=measured)]
    floor = parameters.floor * gross
    if floor > measured:
        parts.append(
            Component(name="floor", amount=floor - measured, reason=f"{parameters.floor:.2%} of gross exposure")
        )
    for coin, delta in _position_deltas(portfolio, risk).items():
        rule = parameters.liquidity.get(coin, parameters.default_liquidity)
        closing = liquidity_add_on(delta, rule)
        crowded = concentration_add_on(
            delta, rule.daily_volume, parameters.concentration_free_share, parameters.concentration_rate
        )
        if closing:
            parts.append(Component(name=f"{coin} liquidity", amount=closing, reason="cost of closing the net exposure"))
        if crowded:
            parts.append(Component(name=f"{coin} concentration", amount=crowded))
    return tuple(part for part in parts if part.amount != 0.0)


def _position_deltas(portfolio: Portfolio, risk: RiskArray) -> dict[Currency, float]:
    """Net USD exposure of positions per underlying; what must be traded to close them."""
    found: dict[Currency, float] = {}
    for coin in sorted({position.instrument.underlying for position in portfolio.positions} - DOLLAR_COINS):
        own = [position for position in portfolio.positions if position.instrument.underlying == coin]
        found[coin] = book_delta(net_quantities(own), risk)
    return found


def _order_margin(
    portfolio: Portfolio,
    market: MarketSnapshot,
    risk: RiskArray,
    parameters: TailRiskParameters,
    without: float,
    pnl: FloatArray,
) -> float:
    """What the worst subset of fills adds to requirement less equity."""
    if not portfolio.orders:
        return 0.0
    if len(portfolio.orders) <= ENUMERATED:

        def deficit(book: Portfolio) -> float:
            measured = _measure(book_pnl(holdings(book, market), risk), risk, parameters)
            parts = _components(book, measured, risk, parameters)
            return math.fsum(part.amount for part in parts) - _equity(book, market)

        return max(worst_subset(portfolio, deficit)[0] - (without - _equity(portfolio, market)), 0.0)
    return max(_order_bound(portfolio, market, risk, parameters, pnl) - without, 0.0)


def _order_bound(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray, parameters: TailRiskParameters, pnl: FloatArray
) -> float:
    """A requirement that no subset of fills exceeds, measured against today's equity.

    Measure: monotone scenario by scenario. Floor and add-ons: each grows with the absolute exposure, which no subset
    can push beyond the longest or the shortest net position; what fills lose at once is in the scenarios.
    """
    fills = worst_fills_by_scenario(portfolio, market, risk)
    lost = -math.fsum(min(float(profit), 0.0) for profit in immediate_profits(portfolio, market))
    measured = max(_measure(pnl + fills, risk, parameters), lost)
    gross = math.fsum(
        abs(quantity * float(risk.delta[risk.row_number(name)]))
        for name, quantity in net_quantities(portfolio.positions).items()
    ) + math.fsum(
        order.quantity * abs(float(risk.delta[risk.row_number(order.instrument.id)])) for order in portfolio.orders
    )
    total = max(measured, parameters.floor * gross + lost)
    deltas = _position_deltas(portfolio, risk)
    for coin in sorted({order.instrument.underlying for order in portfolio.orders} | set(deltas)):
        moves = [
            order.signed_quantity * float(risk.delta[risk.row_number(order.instrument.id)])
            for order in portfolio.orders
            if order.instrument.underlying == coin
        ]
        longest = deltas.get(coin, 0.0) + math.fsum(max(move, 0.0) for move in moves)
        shortest = deltas.get(coin, 0.0) + math.fsum(min(move, 0.0) for move in moves)
        rule = parameters.liquidity.get(coin, parameters.default_liquidity)
        size = max(abs(longest), abs(shortest))
        total += liquidity_add_on(size, rule) + concentration_add_on(
            size, rule.daily_volume, parameters.concentration_free_share, parameters.concentration_rate
        )
    return total


def _equity(portfolio: Portfolio, market: MarketSnapshot) -> float:
    return math.fsum(part.amount for part in _equity_components(portfolio, market))


def _equity_components(portfolio: Portfolio, market: MarketSnapshot) -> tuple[Component, ...]:
    parts = [
        Component(name=f"{currency} balance and profit", amount=coins * market.index_price(currency))
        for currency, coins in sorted(cash_by_currency(portfolio, market).items())
        if coins != 0.0
    ]
    value = position_value(portfolio.positions, market)
    if value:
        parts.append(Component(name="option and spot value", amount=value))
    return tuple(parts)


def _explanation(
    held: dict[InstrumentId, float], pnl: FloatArray, measured: float, risk: RiskArray, parameters: TailRiskParameters
) -> tuple[str, Explanation]:
    """The worst scenario in words, and the tail's mean loss by underlying and instrument."""
    if not measured:
        return "", Explanation(name="no loss in the tail", pnl=0.0)
    counted = tail_weights(pnl, parameters.confidence, risk.scenarios.weights)
    buckets: dict[Currency, list[Explanation]] = {}
    for name, quantity in held.items():
        instrument = risk.instruments[risk.row_number(name)]
        mean = quantity * float(counted @ risk.row(name))
        buckets.setdefault(instrument.underlying, []).append(Explanation(name=name, pnl=mean))
    children = tuple(
        Explanation(name=coin, pnl=math.fsum(leaf.pnl for leaf in leaves), children=tuple(leaves))
        for coin, leaves in sorted(buckets.items())
    )
    tail = Explanation(
        name=f"mean of the worst {1.0 - parameters.confidence:.2%} of {risk.scenarios.size} scenarios",
        pnl=math.fsum(child.pnl for child in children),
        children=children,
    )
    invariant(math.isfinite(tail.pnl), "the explanation of a tail must be finite")
    return risk.scenarios.labels[int(np.argmin(pnl))], tail


METHOD = Method(
    name="tail_risk",
    title="Value at risk or expected shortfall over joint scenarios",
    parameters=TailRiskParameters,
    scenarios=scenarios,
    requirement=requirement,
)
