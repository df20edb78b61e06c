"""`scenario_grid`: the worst loss over a price x vol grid, underlying by underlying, with declared offsets.

``initial = sum over underlyings of max(worst loss, short-option minimum) - offsets``;
``maintenance = maintenance_factor * initial``. The grid is the usual one of crypto venues (nine prices, three vols,
tails that count in part); the page docs/methods/scenario_grid.md gives the formula and a worked example.

Coins that hedge the derivatives of their own underlying enter the risk array at full value; the rest of a coin balance
is collateral after haircut. What is borrowed always enters the array.
"""

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import DOLLAR_COINS, Option, Spot
from crossmargin.margin.add_ons import Liquidity, basis_add_on, concentration_add_on, liquidity_add_on
from crossmargin.margin.collateral import HaircutSchedule
from crossmargin.margin.exposure import (
    book_delta,
    book_pnl,
    by_underlying,
    check_scenarios_move,
    deltas_by_expiry,
    net_quantities,
    weighted_rows,
)
from crossmargin.margin.method import Component, Explanation, Method, Parameters, Requirement
from crossmargin.margin.open_orders import ENUMERATED, fill_profits, immediate_profits, worst_subset
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Order, Portfolio, Position
from crossmargin.pricing.valuation import cash_by_currency, position_value, unrealised_profit
from crossmargin.risk.measures import worst_loss, worst_scenario
from crossmargin.risk.risk_array import RiskArray
from crossmargin.scenarios.grid import price_vol_grid
from crossmargin.scenarios.scenario_set import ScenarioSet, VolTenor
from crossmargin.units import USD, Currency, InstrumentId


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
    basis_rate: float
    """On exposure that nets only across expiries."""
    liquidity: dict[str, Liquidity]
    """Underlyings without one have no liquidity and concentration add-on."""
    concentration_free_share: float
    """Share of a day's volume that needs no concentration add-on."""
    concentration_rate: float
    offsets: tuple[Offset, ...]
    haircuts: HaircutSchedule

    def __post_init__(self) -> None:
        if not 0.0 < self.maintenance_factor <= 1.0:
            raise InputError(f"maintenance_factor must be inside (0, 1], was {self.maintenance_factor}")
        if not 0.0 <= self.short_option_minimum < 1.0:
            raise InputError(f"short_option_minimum must be inside [0, 1), was {self.short_option_minimum}")
        for name in ("basis_rate", "concentration_free_share", "concentration_rate"):
            if not getattr(self, name) >= 0.0:
                raise InputError(f"{name} must not be negative, was {getattr(self, name)}")


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
    """Return the margin requirement of `portfolio`.

    Raises
    ------
    InputError
        If it holds a coin that the grid does not move.
    """
    if risk is None:
        raise InputError("scenario_grid needs a risk array, found none")
    check_scenarios_move(portfolio, risk, "scenario_grid")
    state = _margined(portfolio, market, risk, parameters)
    orders = _order_margin(portfolio, market, risk, parameters, state)
    parts = (*state.components, Component(name="open orders", amount=orders)) if orders else state.components
    worst = max(state.buckets, key=lambda bucket: bucket.scan, default=None)
    return Requirement(
        account=portfolio.account,
        method="scenario_grid",
        version=parameters.effective,
        initial=math.fsum(part.amount for part in parts),
        maintenance=parameters.maintenance_factor * state.total,
        equity=math.fsum(part.amount for part in state.equity),
        initial_components=parts,
        maintenance_components=tuple(
            Component(name=part.name, amount=parameters.maintenance_factor * part.amount, reason=part.reason)
            for part in state.components
        ),
        equity_components=state.equity,
        worst_scenario=f"{worst.underlying}: {worst.worst_label}" if worst and worst.scan else "",
        explanation=Explanation(
            name="worst loss of each underlying",
            pnl=math.fsum(bucket.explanation.pnl for bucket in state.buckets),
            children=tuple(bucket.explanation for bucket in state.buckets),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Margined:
    """A book without its open orders."""

    buckets: tuple[_Bucket, ...]
    components: tuple[Component, ...]
    equity: tuple[Component, ...]

    @property
    def total(self) -> float:
        return math.fsum(part.amount for part in self.components)

    @property
    def deficit(self) -> float:
        return self.total - math.fsum(part.amount for part in self.equity)


def _margined(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray, parameters: ScenarioGridParameters
) -> _Margined:
    cash = cash_by_currency(portfolio, market)
    groups = by_underlying(portfolio.positions)
    hedging = _hedging_coins(groups, cash, market, risk)
    coins = sorted(set(groups) | set(hedging))
    buckets = tuple(_bucket(coin, groups.get(coin, []), hedging, market, risk, parameters) for coin in coins)
    parts = [Component(name=f"{b.underlying} scan", amount=b.scan, reason=b.worst_label) for b in buckets]
    parts += [Component(name=f"{b.underlying} short-option minimum", amount=b.charge - b.scan) for b in buckets]
    parts += [
        Component(name=f"{n} offset", amount=-credit) for n, credit in _offset_credits(buckets, parameters.offsets)
    ]
    for bucket in buckets:
        parts += _add_ons(bucket.underlying, groups.get(bucket.underlying, []), risk, parameters)
    return _Margined(
        buckets=buckets,
        components=tuple(part for part in parts if part.amount),
        equity=_equity_components(portfolio, cash, hedging, market, parameters.haircuts),
    )


def _add_ons(
    coin: Currency, positions: Sequence[Position], risk: RiskArray, parameters: ScenarioGridParameters
) -> list[Component]:
    expiries = deltas_by_expiry(positions, risk)
    parts = [
        Component(
            name=f"{coin} basis",
            amount=basis_add_on(expiries.values(), parameters.basis_rate),
            reason="nets only across expiries",
        )
    ]
    rule = parameters.liquidity.get(coin)
    if rule is not None:
        delta = math.fsum(expiries.values())
        crowded = concentration_add_on(
            delta, rule.daily_volume, parameters.concentration_free_share, parameters.concentration_rate
        )
        parts.append(
            Component(name=f"{coin} liquidity", amount=liquidity_add_on(delta, rule), reason="cost of closing")
        )
        parts.append(Component(name=f"{coin} concentration", amount=crowded))
    return parts


def _order_margin(
    portfolio: Portfolio,
    market: MarketSnapshot,
    risk: RiskArray,
    parameters: ScenarioGridParameters,
    state: _Margined,
) -> float:
    """What the worst subset of fills adds to requirement less equity."""
    if not portfolio.orders:
        return 0.0
    if len(portfolio.orders) <= ENUMERATED:
        worst, _ = worst_subset(portfolio, lambda book: _margined(book, market, risk, parameters).deficit)
    else:
        worst = _deficit_bound(portfolio, market, risk, parameters)
    return max(worst - state.deficit, 0.0)


def _deficit_bound(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray, parameters: ScenarioGridParameters
) -> float:
    """A deficit that no subset of fills exceeds.

    Underlying by underlying the scan is bounded scenario by scenario: those fills happen that lose, and as much of
    each coin balance counts as hedge as loses most. Offsets are given up; coins are haircut in full; minimum and
    add-ons take the longest or shortest position that fills can reach.
    """
    cash = cash_by_currency(portfolio, market)
    profits, at_once = fill_profits(portfolio, market, risk), immediate_profits(portfolio, market)
    coins = {item.instrument.underlying for item in portfolio.positions}
    coins |= {order.instrument.underlying for order in portfolio.orders}
    coins |= {coin for coin in cash if coin not in DOLLAR_COINS}
    total = 0.0
    for coin in sorted(coins):
        own = [position for position in portfolio.positions if position.instrument.underlying == coin]
        places = [n for n, order in enumerate(portfolio.orders) if order.instrument.underlying == coin]
        orders = [portfolio.orders[n] for n in places]
        pnl = book_pnl(net_quantities(own), risk) + np.minimum(profits[places], 0.0).sum(axis=0)
        if coin in cash:
            pnl = pnl + np.minimum(cash[coin] * risk.row(coin), 0.0)
        lost = -math.fsum(min(float(at_once[n]), 0.0) for n in places)
        held = short_coins(own) + math.fsum(
            order.quantity * order.instrument.contract_size_float
            for order in orders
            if isinstance(order.instrument, Option) and order.signed_quantity < 0.0
        )
        minimum = parameters.short_option_minimum * market.index_price(coin) * held
        total += max(float(worst_loss(pnl)), minimum + lost) + _add_on_bound(coin, own, orders, risk, parameters)
    # what a fill pays in a coin leaves at most at its full value: that is in the fill's profit, which nets no haircut
    equity = _equity_components(portfolio, cash, {}, market, parameters.haircuts)
    credit = math.fsum(part.amount for part in equity)
    full = math.fsum(_haircut_bound(order, market) for order in portfolio.orders)
    return total - credit + full


def _haircut_bound(order: Order, market: MarketSnapshot) -> float:
    """The most collateral value that a fill can lose to haircuts on what it pays or earns.

    An option bought for cash turns collateral at its haircut into an asset at full value; one sold brings cash that may
    count for nothing. The whole price bounds both.
    """
    contract = order.instrument
    if isinstance(contract, Option | Spot):
        return order.quantity * contract.contract_size_float * order.price * market.index_price(contract.settle)
    gap = abs(
        unrealised_profit(Position(instrument=contract, quantity=order.quantity, entry_price=order.price), market)
    )
    return gap * market.index_price(contract.settle)


def _add_on_bound(
    coin: Currency, positions: list[Position], orders: list[Order], risk: RiskArray, parameters: ScenarioGridParameters
) -> float:
    gross = math.fsum(abs(delta) for delta in deltas_by_expiry(positions, risk).values())
    gross += math.fsum(
        order.quantity * abs(float(risk.delta[risk.row_number(order.instrument.id)])) for order in orders
    )
    bound = parameters.basis_rate * gross
    rule = parameters.liquidity.get(coin)
    if rule is not None:
        bound += liquidity_add_on(gross, rule) + concentration_add_on(
            gross, rule.daily_volume, parameters.concentration_free_share, parameters.concentration_rate
        )
    return bound


def _hedging_coins(
    groups: Mapping[Currency, Sequence[Position]],
    cash: Mapping[Currency, float],
    market: MarketSnapshot,
    risk: RiskArray,
) -> dict[Currency, float]:
    """Coins per currency that enter the risk array: all that is owed, and what offsets the derivatives' delta."""
    hedging: dict[Currency, float] = {}
    for currency, coins in sorted(cash.items()):
        if currency in DOLLAR_COINS or coins == 0.0:
            continue
        own = net_quantities(groups.get(currency, ()))
        short = max(-book_delta(own, risk), 0.0) / market.index_price(currency)
        entering = coins if coins < 0.0 else min(coins, short)
        if entering != 0.0:
            hedging[currency] = entering
    return hedging


def _bucket(
    underlying: Currency,
    own: Sequence[Position],
    hedging: Mapping[Currency, float],
    market: MarketSnapshot,
    risk: RiskArray,
    parameters: ScenarioGridParameters,
) -> _Bucket:
    held = net_quantities(own)
    sizes = {
        item.instrument.id: item.instrument.contract_size_float for item in own if isinstance(item.instrument, Option)
    }
    short = math.fsum(max(-quantity, 0.0) * sizes[name] for name, quantity in held.items() if name in sizes)
    if underlying in hedging:
        held[InstrumentId(underlying)] = hedging[underlying]
    names = sorted(held)
    amounts, rows = [held[name] for name in names], risk.row_numbers(names)
    pnl = weighted_rows(np.array(amounts), rows, risk.pnl)
    worst = int(worst_scenario(pnl))
    in_worst = list(map(operator.mul, amounts, risk.pnl[rows, worst].tolist()))
    gross = math.fsum(map(abs, in_worst))
    # a perfect hedge leaves rounding dust behind, which is no loss
    scan = loss if (loss := max(-float(pnl[worst]), 0.0)) > _DUST * gross else 0.0
    label = risk.scenarios.labels[worst]
    return _Bucket(
        underlying=underlying,
        delta=math.fsum(map(operator.mul, amounts, risk.delta[rows].tolist())),
        scan=scan,
        charge=max(scan, parameters.short_option_minimum * market.index_price(underlying) * short),
        worst_label=label,
        explanation=Explanation(
            name=f"{underlying}: {label}",
            pnl=float(pnl[worst]),
            children=tuple(Explanation(name=name, pnl=lost) for name, lost in zip(names, in_worst, strict=True)),
        ),
    )


_DUST = 1e-9


def short_coins(positions: Sequence[Position]) -> float:
    """Return coins of underlying in short options, lots of one option netted; strikes, calls and puts count apart."""
    held = [position for position in positions if isinstance(position.instrument, Option)]
    sizes = {position.instrument.id: position.instrument.contract_size_float for position in held}
    return math.fsum(max(-quantity, 0.0) * sizes[name] for name, quantity in net_quantities(held).items())


def _offset_credits(buckets: tuple[_Bucket, ...], offsets: tuple[Offset, ...]) -> list[tuple[str, float]]:
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
