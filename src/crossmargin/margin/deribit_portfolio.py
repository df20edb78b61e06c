"""`deribit_portfolio`: Deribit's portfolio margin: 9 prices x 3 vols, eight extended moves, roll and delta shock.

Each settlement currency is a pool of its own, and everything is counted in its coin. Per pool

``risk matrix = worst case + roll shock + delta shock``, ``initial = risk matrix + open orders``,
``maintenance = 0.8 risk matrix`` (docs.deribit.com private/pme/simulate, with its response examples;
support.deribit.com 25944756247837). Correlation contingency, the market-maker protection margin and the vega
contingency of the white paper are not published in full and are not here: docs/methods/deribit_portfolio.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Future, Option, Payoff, Perpetual, Spot
from crossmargin.margin.equity import check_haircuts, haircut_components
from crossmargin.margin.exposure import net_quantities
from crossmargin.margin.method import Component, Explanation, Method, Parameters, Requirement
from crossmargin.margin.open_orders import subset_charge
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio, Position
from crossmargin.pricing.valuation import model_price
from crossmargin.risk.risk_array import RiskArray
from crossmargin.scenarios.scenario_set import ScenarioSet, VolTenor
from crossmargin.units import Currency, FloatArray, years_between

EXTENDED_MOVES = (-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)


class PairParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Model parameters of one underlying against its pool, by the venue's own names."""

    price_range: float
    volatility_range_up: float
    volatility_range_down: float
    min_volatility_for_shock_up: float
    short_term_vega_power: float
    long_term_vega_power: float
    extended_table_factor: float
    delta_total_liq_shock_threshold: float
    """USD."""
    m_inc: float
    """Rise of the delta shock per coin beyond the threshold."""
    max_delta_shock: float


class CurrencyParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Model parameters of one settlement currency, by the venue's own names."""

    annualised_move_risk: float
    min_annualised_move: float
    extended_dampener: float
    """USD."""
    pnl_offset: float
    max_offsetable_pnl: float
    """USD; 0 states no limit."""


class DeribitPortfolioParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters by underlying and by settlement currency."""

    buckets_count: int
    mm_factor: float
    pairs: dict[str, PairParameters]
    currencies: dict[str, CurrencyParameters]
    haircuts: dict[str, float]
    """Cross collateral: what a currency loses of its value; currencies without one are not collateral."""

    def __post_init__(self) -> None:
        if self.buckets_count < 1 or not 0.0 < self.mm_factor <= 1.0:
            raise InputError("buckets_count must be at least 1 and mm_factor inside (0, 1]")


def standard_moves(price_range: float, buckets: int) -> FloatArray:
    """Return the price moves of the buckets, lowest first.

    Examples
    --------
    >>> standard_moves(0.16, 4)
    array([-0.16, -0.12, -0.08, -0.04,  0.  ,  0.04,  0.08,  0.12,  0.16])
    """
    return price_range * np.arange(-buckets, buckets + 1) / buckets


def inverse_future_profit(coins: float, moves: FloatArray) -> FloatArray:
    """Return the profit in coin of an inverse future worth `coins` at the index: ``coins * (1 - 1 / (1 + move))``."""
    return np.asarray(coins * (1.0 - 1.0 / (1.0 + moves)))


def extended_profit(profit: FloatArray, moves: FloatArray, price_range: float, factor: float) -> FloatArray:
    """Scale profits in the extended moves back to the end of the range: a future counts as at ``+-price_range``.

    ``profit * factor * range / |move| * (1 + move) / (1 + sign(move) * range)``.

    Examples
    --------
    >>> moves = np.array([-0.66, 5.0])
    >>> extended_profit(inverse_future_profit(1.0, moves), moves, 0.16, 1.0).round(6)
    array([-0.190476,  0.137931])
    """
    scale = factor * price_range / np.abs(moves) * (1.0 + moves) / (1.0 + np.sign(moves) * price_range)
    return np.asarray(profit * scale)


def dampened(profit: FloatArray, moves: FloatArray, price_range: float, dampener: float, index: float) -> FloatArray:
    """Take the dampener (USD) off the size of a pool's profit or loss in each extended move, down to nothing.

    ``min((|move| / range - 1) * dampener / ((1 + sign(move) * range) * index), |profit|)``.
    """
    relief = (np.abs(moves) / price_range - 1.0) * dampener / ((1.0 + np.sign(moves) * price_range) * index)
    return np.asarray(np.sign(profit) * np.maximum(np.abs(profit) - relief, 0.0))


def offset(profit: FloatArray, share: float, limit: float) -> FloatArray:
    """Count profits at `share`, up to `limit` coins where one is stated (above 0); losses count in full."""
    counted = np.where(profit > 0.0, profit * share, profit)
    return np.asarray(np.minimum(counted, limit) if limit > 0.0 else counted)


def roll_shock(deltas: Sequence[tuple[float, float]], move_risk: float, min_move: float) -> float:
    """Return the charge on what nets only across expiries: ``sum |delta| * max(min_move, move_risk * years)``.

    `deltas` are (coins, years) per expiry.

    Examples
    --------
    >>> round(roll_shock([(0.3, 0.0), (-0.1, 0.4)], 0.075, 0.01), 12)
    0.006
    """
    return math.fsum(abs(delta) * max(min_move, move_risk * years) for delta, years in deltas)


def delta_shock(delta: float, threshold: float, m_inc: float, max_shock: float) -> float:
    """Return the charge in coins on net delta beyond `threshold` coins, at a rate that rises by `m_inc` a coin.

    The venue publishes the three parameters, not the formula; this is the reading that agrees with its standard margin,
    whose rates rise by the same slope per coin.
    """
    beyond = max(abs(delta) - threshold, 0.0)
    return min(m_inc * beyond, max_shock) * beyond


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskMatrix:
    """Margin of one pool in its coin. `worst_case` is rounded to nine decimals, as the venue does."""

    worst_case: float
    roll: float
    delta: float

    @property
    def total(self) -> float:
        """Risk-matrix margin."""
        return self.worst_case + self.roll + self.delta


def risk_matrix(standard: FloatArray, extended: FloatArray, roll: float, delta: float) -> RiskMatrix:
    """Return the margin of a pool from its aggregated profits in coin.

    Examples
    --------
    >>> risk_matrix(np.array([-0.5, 0.2]), np.array([-0.3]), 0.01, 0.0).total
    0.51
    """
    worst = max(0.0, -min(float(standard.min()), float(extended.min())))
    return RiskMatrix(worst_case=round(worst, 9), roll=roll, delta=delta)


def scenarios(market: MarketSnapshot, parameters: DeribitPortfolioParameters) -> ScenarioSet:
    """Return 9 x 3 standard and 8 extended moves of every underlying with parameters; each at its own range."""
    coins = tuple(Currency(coin) for coin in sorted(parameters.pairs) if coin in market.index)
    if not coins:
        raise InputError("deribit_portfolio needs the index of an underlying with parameters, found none")
    pairs = [parameters.pairs[coin] for coin in coins]
    first = pairs[0]
    steps = [standard_moves(pair.price_range, parameters.buckets_count) for pair in pairs]
    n = steps[0].size
    price = np.array([np.concatenate([np.repeat(moves, 3), EXTENDED_MOVES]) for moves in steps]) + 1.0
    vol = np.array(
        [
            np.concatenate(
                [
                    np.tile([-pair.volatility_range_down, 0.0, pair.volatility_range_up], n),
                    np.full(len(EXTENDED_MOVES), pair.volatility_range_up),
                ]
            )
            for pair in pairs
        ]
    )
    names = ("vols down", "vols unchanged", "vols up")
    labels = [f"bucket {place - parameters.buckets_count:+d}, {name}" for place in range(n) for name in names]
    labels += [f"extended {100 * move:+.0f} %, vols up" for move in EXTENDED_MOVES]
    return ScenarioSet(
        name="Deribit standard and extended table",
        underlyings=coins,
        price_factor=price,
        vol_shock=vol,
        labels=tuple(labels),
        vol_tenor=VolTenor(short_power=first.short_term_vega_power, long_power=first.long_term_vega_power),
        min_vol_up=first.min_volatility_for_shock_up,
    )


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray | None, parameters: DeribitPortfolioParameters
) -> Requirement:
    """Return the margin of every pool, in USD at the index; equity is cross collateral.

    Raises
    ------
    InputError
        Naming the first contract or balance that this account cannot hold.
    """
    if risk is None:
        raise InputError("deribit_portfolio needs a risk array, found none")
    _check(portfolio, parameters)
    found = pools(portfolio, market, risk, parameters)
    parts = [part for pool in found for part in pool.components]
    worst = max(found, key=lambda pool: pool.matrix.worst_case * pool.index, default=None)
    return Requirement.from_components(
        account=portfolio.account,
        method="deribit_portfolio",
        version=parameters.effective,
        initial=[*parts, _order_margin(portfolio, market, risk, parameters)],
        maintenance=[replace(part, amount=parameters.mm_factor * part.amount) for part in parts],
        equity=haircut_components(portfolio, market, parameters.haircuts),
        worst_scenario=f"{worst.name}: {worst.label}" if worst and worst.matrix.worst_case else "",
        explanation=Explanation(
            name="worst case of each pool",
            pnl=-math.fsum(pool.matrix.worst_case * pool.index for pool in found),
            children=tuple(Explanation(name=f"{p.name}: {p.label}", pnl=-p.matrix.worst_case * p.index) for p in found),
        ),
        measures={f"{pool.name} risk matrix margin (coin)": pool.matrix.total for pool in found},
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool:
    """One underlying in one settlement currency, in that currency's coin.

    `standard` and `extended` are its profits in the moves of the two tables, after damping and offset.
    """

    base: Currency
    settle: Currency
    index: float
    matrix: RiskMatrix
    label: str
    standard: FloatArray
    extended: FloatArray

    @property
    def name(self) -> str:
        """Underlying and settlement currency."""
        return f"{self.base}/{self.settle}"

    @property
    def components(self) -> tuple[Component, ...]:
        """Worst case and shocks in USD."""
        return (
            Component(name=f"{self.name} worst case", amount=self.matrix.worst_case * self.index, reason=self.label),
            Component(name=f"{self.name} roll shock", amount=self.matrix.roll * self.index),
            Component(name=f"{self.name} delta shock", amount=self.matrix.delta * self.index),
        )


def pools(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray, parameters: DeribitPortfolioParameters
) -> list[Pool]:
    """Return every pool of a book with its risk matrix."""
    groups: dict[tuple[Currency, Currency], list[Position]] = {}
    for position in portfolio.positions:
        groups.setdefault((position.instrument.settle, position.instrument.base), []).append(position)
    return [_pool(settle, base, own, market, risk, parameters) for (settle, base), own in sorted(groups.items())]


def _pool(
    settle: Currency,
    base: Currency,
    positions: list[Position],
    market: MarketSnapshot,
    risk: RiskArray,
    parameters: DeribitPortfolioParameters,
) -> Pool:
    pair, terms = parameters.pairs[base], parameters.currencies[settle]
    index = market.index_price(settle)
    contracts = {p.instrument.id: p.instrument for p in positions if not isinstance(p.instrument, Spot)}
    profit = np.zeros(risk.scenarios.size)
    deltas: dict[int, list[float]] = {}
    for name, quantity in net_quantities(positions).items():
        contract = contracts[name]
        profit += quantity * coin_profit(contract, market, risk)
        coins = quantity * float(risk.delta[risk.row_number(name)]) / market.index_price(base)
        coins *= _size_at_index(contract, market)
        expiry = 0 if isinstance(contract, Perpetual) else contract.expiry_ns
        deltas.setdefault(expiry, []).append(coins)
    extended = np.array(EXTENDED_MOVES)
    limit = terms.max_offsetable_pnl / index
    spot = market.index_price(base)
    tail = extended_profit(profit[-extended.size :], extended, pair.price_range, pair.extended_table_factor)
    # the dampener is in USD of the pair's own index; a dollar pool counts in dollars already
    tail = dampened(tail, extended, pair.price_range, terms.extended_dampener, spot if settle == base else index)
    standard = offset(profit[: -extended.size], terms.pnl_offset, limit)
    tail = offset(tail, terms.pnl_offset, limit)
    per_expiry = [
        (math.fsum(coins), max(years_between(market.time_ns, expiry), 0.0) if expiry else 0.0)
        for expiry, coins in sorted(deltas.items())
    ]
    to_pool = spot / index  # coins of the base, in units of the pool
    roll = roll_shock(per_expiry, terms.annualised_move_risk, terms.min_annualised_move) * to_pool
    net = math.fsum(coins for coins, _ in per_expiry)
    shock = delta_shock(net, pair.delta_total_liq_shock_threshold / spot, pair.m_inc, pair.max_delta_shock) * to_pool
    both = np.concatenate([standard, tail])
    return Pool(
        base=base,
        settle=settle,
        index=index,
        matrix=risk_matrix(standard, tail, roll, shock),
        label=risk.scenarios.labels[int(np.argmin(both))],
        standard=standard,
        extended=tail,
    )


def coin_profit(contract: Perpetual | Future | Option, market: MarketSnapshot, risk: RiskArray) -> FloatArray:
    """Return one long contract's profit in its settlement coin; the risk array counts USD at each scenario's index."""
    index = market.index_price(contract.settle)
    moved = index * risk.scenarios.price_factors(contract.settle)
    row = risk.row(contract.id)
    if isinstance(contract, Option):
        coins = contract.contract_size_float * model_price(contract, market)
        return np.asarray((row + coins * index) / moved - coins)
    return np.asarray(row / moved) * _size_at_index(contract, market)


def _size_at_index(contract: Perpetual | Future | Option, market: MarketSnapshot) -> float:
    """Return by how much a size at the mark is too small: the venue counts an inverse future at the index."""
    if isinstance(contract, Option) or contract.payoff is not Payoff.INVERSE:
        return 1.0
    return market.mark_price(contract) / market.index_price(contract.settle)


def _order_margin(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray, parameters: DeribitPortfolioParameters
) -> Component:
    """What the worst subset of fills adds; the venue's own, cruder charge for open orders is not published in full."""

    def deficit(book: Portfolio) -> float:
        needed = math.fsum(part.amount for pool in pools(book, market, risk, parameters) for part in pool.components)
        return needed - math.fsum(part.amount for part in haircut_components(book, market, parameters.haircuts))

    return subset_charge(portfolio, deficit, "deribit_portfolio")


def _check(portfolio: Portfolio, parameters: DeribitPortfolioParameters) -> None:
    contracts = [position.instrument for position in portfolio.positions]
    contracts += [order.instrument for order in portfolio.orders]
    for contract in contracts:
        known = contract.base in parameters.pairs and contract.settle in parameters.currencies
        if isinstance(contract, Spot) or not known or contract.payoff is Payoff.QUANTO:
            raise InputError(f"deribit_portfolio needs parameters of {contract.id}, has none")
        if contract.venue != "deribit":
            raise InputError(f"deribit_portfolio margins contracts of Deribit only, was given {contract.id}")
    check_haircuts(portfolio, "deribit_portfolio", parameters.haircuts)


METHOD = Method(
    name="deribit_portfolio",
    title="Deribit portfolio margin",
    parameters=DeribitPortfolioParameters,
    scenarios=scenarios,
    requirement=requirement,
)
