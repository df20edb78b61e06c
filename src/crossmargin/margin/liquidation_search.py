"""Where liquidation begins: along moves of one asset, along a ray of joint moves, over two assets, and in time.

The method itself is asked at each moved market, so that other positions, haircuts and netting all count; orders that a
move crosses fill at their limits on the way. A hedged book may be liquidated on both sides, on neither, or only inside
a band of prices: every crossing is given, never a single number.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Option, Payoff, Perpetual
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin.exposure import net_quantities
from crossmargin.margin.method import Method, P, Requirement
from crossmargin.margin.open_orders import with_fills
from crossmargin.margin.requirements import held_instruments, risk_for
from crossmargin.margin.ring_fence import account_requirement
from crossmargin.margin.what_if import Change, moved
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Order, Portfolio, Side
from crossmargin.pricing.valuation import entered, model_price
from crossmargin.units import NANOSECONDS_PER_DAY, Currency, FloatArray

LARGEST_FALL, LARGEST_RISE = 0.98, 4.0
"""Relative moves that are searched: down to 2 % of the price, up to five times it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A move at which equity meets maintenance.

    Attributes
    ----------
    move
        Relative move of the price, or share of the ray.
    price
        Price of the asset there; None on a ray of several.
    enters
        Whether the account becomes liquidatable when the move goes on beyond it, away from today.
    """

    move: float
    price: float | None
    enters: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationRange:
    """Every crossing along a line of moves, nearest first.

    `liquidatable_now` says that maintenance is not met today; `searched` are the ends of the line.
    """

    crossings: tuple[Crossing, ...]
    liquidatable_now: bool
    searched: tuple[float, float]

    @property
    def nearest(self) -> Crossing | None:
        """The nearest move into liquidation; None if there is none or it has begun."""
        return next((crossing for crossing in self.crossings if crossing.enters), None)


def liquidation_prices(
    portfolio: Portfolio,
    market: MarketSnapshot,
    method: Method[P],
    parameters: P,
    coin: Currency,
    *,
    steps: int = 40,
) -> LiquidationRange:
    """Return the prices of `coin`, all else as it is, at which maintenance is hit.

    Raises
    ------
    InputError
        If `coin` has no index price, or the method refuses the book.

    Notes
    -----
    The line is scanned outward in `steps` moves of equal log size on each side; crossings are then refined to 1e-10 of
    the price. Two crossings within one step may be missed: raise `steps` for books with many strikes.
    """
    today = market.index_price(coin)
    found = first_hits(portfolio, market, method, parameters, {coin: 1.0}, steps=steps)
    priced = tuple(replace(crossing, price=today * (1.0 + crossing.move)) for crossing in found.crossings)
    return replace(found, crossings=priced)


def first_hits(
    portfolio: Portfolio,
    market: MarketSnapshot,
    method: Method[P],
    parameters: P,
    direction: Mapping[Currency, float],
    *,
    vols: Mapping[Currency, float] | None = None,
    steps: int = 40,
) -> LiquidationRange:
    """Return every crossing along the ray ``price_i = today_i * (1 + share)**direction_i``.

    `direction` weighs log moves: ``{"BTC": 1, "ETH": 1.2}`` moves ETH 1.2 times as far; `vols` are relative vol moves
    per unit of ``|log move|``, so that vols rise on both sides.
    """
    if not direction or not all(math.isfinite(weight) for weight in direction.values()):
        raise InputError(f"a direction needs finite weights, was {dict(direction)}")

    portfolio, market = entered(portfolio, market), _held_marks(portfolio, market)

    def cushion(share: float) -> float:
        log_move = math.log1p(share)
        change = Change(
            prices={coin: math.expm1(weight * log_move) for coin, weight in direction.items()},
            vols={coin: rate * abs(log_move) for coin, rate in (vols or {}).items()},
        )
        later = moved(market, change)
        return _cushion(_filled_on_the_way(portfolio, market, later), later, method, parameters)

    return _crossings(cushion, steps)


def joint_surface(
    portfolio: Portfolio,
    market: MarketSnapshot,
    method: Method[P],
    parameters: P,
    coins: tuple[Currency, Currency],
    moves: FloatArray,
) -> FloatArray:
    """Return equity less maintenance for every pair of relative `moves` of two coins, USD; below 0 is liquidation.

    Returns
    -------
    array of shape (n_moves, n_moves)
        First axis the first coin.
    """
    portfolio, market = entered(portfolio, market), _held_marks(portfolio, market)
    surface = np.empty((moves.size, moves.size))
    for row, first in enumerate(moves):
        for column, second in enumerate(moves):
            later = moved(market, Change(prices={coins[0]: float(first), coins[1]: float(second)}))
            book = _filled_on_the_way(portfolio, market, later)
            surface[row, column] = _cushion(book, later, method, parameters)
    return surface


def days_to_liquidation(
    portfolio: Portfolio, market: MarketSnapshot, method: Method[P], parameters: P, *, horizon_days: float = 365.0
) -> float | None:
    """Return after how many days funding and the passage of time alone bring equity to maintenance; None if never.

    Prices and vols stand still, funding stays at its last rate, and options lose their time value.

    Notes
    -----
    The first crossing within `horizon_days` on a daily scan, refined within its day.
    """
    from scipy.optimize import brentq  # slow to load, and seldom needed

    portfolio, market = entered(portfolio, market), _held_marks(portfolio, market)

    def cushion(days: float) -> float:
        return _cushion(funded(portfolio, market, days), aged(market, days), method, parameters)

    before = cushion(0.0)
    if before <= 0.0:
        return 0.0
    scan = np.unique(
        np.concatenate([np.arange(0.0, min(horizon_days, 30.0) + 1.0), np.linspace(0.0, horizon_days, 40)])
    )
    for start, end in itertools.pairwise(scan):
        if cushion(float(end)) <= 0.0:
            return float(brentq(cushion, float(start), float(end), xtol=1e-6))
    return None


def funded(portfolio: Portfolio, market: MarketSnapshot, days: float) -> Portfolio:
    """Return `portfolio` after `days` of funding at the last rates, paid in each contract's settlement currency."""
    payments = []
    contracts = {position.instrument.id: position.instrument for position in portfolio.positions}
    for name, quantity in net_quantities(portfolio.positions).items():
        contract = contracts[name]
        rate = market.funding_rate_8h.get(name, 0.0)
        if not isinstance(contract, Perpetual) or rate == 0.0:
            continue
        size = quantity * contract.contract_size_float
        mark = market.mark_price(contract)
        notional = size / mark if contract.payoff is Payoff.INVERSE else size * mark
        payments.append(Balance(currency=contract.settle, amount=-notional * rate * 3.0 * days))
    return replace(portfolio, balances=(*portfolio.balances, *payments))


def aged(market: MarketSnapshot, days: float) -> MarketSnapshot:
    """Return `market` with `days` passed and nothing else changed: an option's mark loses what its model value does."""
    if days == 0.0:
        return market
    time_ns = market.time_ns + int(days * NANOSECONDS_PER_DAY)
    later = replace(
        market,
        time_ns=time_ns,
        forwards={coin: replace(curve, time_ns=time_ns) for coin, curve in market.forwards.items()},
        surfaces={coin: replace(surface, time_ns=time_ns) for coin, surface in market.surfaces.items()},
    )
    marks = dict(market.marks)
    for name, price in market.marks.items():
        contract = parse_contract(name)
        if isinstance(contract, Option):
            decay = model_price(contract, later) - model_price(contract, market)
            marks[name] = Price(max(price.value + decay, 0.0), price.quality, price.time_ns)
    return replace(later, marks=marks)


def _held_marks(portfolio: Portfolio, market: MarketSnapshot) -> MarketSnapshot:
    """`market` with the marks of the book alone: moving those of a whole venue at every step would cost seconds."""
    names = {item.id for item in held_instruments((portfolio,))}
    return replace(market, marks={name: price for name, price in market.marks.items() if name in names})


def _cushion(portfolio: Portfolio, market: MarketSnapshot, method: Method[P], parameters: P) -> float:
    risk = risk_for((portfolio,), market, method, parameters)
    result: Requirement = account_requirement(portfolio, market, risk, method, parameters)
    return result.equity - result.maintenance


def _filled_on_the_way(portfolio: Portfolio, market: MarketSnapshot, later: MarketSnapshot) -> Portfolio:
    """The book once every limit that the move crosses has filled; what was marketable today counts as resting."""
    if not portfolio.orders:
        return portfolio
    crossed: list[Order] = []
    resting: list[Order] = []
    for order in portfolio.orders:
        before, after = market.mark_price(order.instrument), later.mark_price(order.instrument)
        buys = order.side is Side.BUY
        hit = after <= order.price < before if buys else before < order.price <= after
        (crossed if hit else resting).append(order)
    return replace(with_fills(portfolio, crossed), orders=tuple(resting))


def _crossings(cushion: Callable[[float], float], steps: int) -> LiquidationRange:
    from scipy.optimize import brentq  # slow to load, and seldom needed

    if steps < 2:
        raise InputError(f"steps must be at least 2, was {steps}")
    now = cushion(0.0)
    found: list[Crossing] = []
    for end in (-LARGEST_FALL, LARGEST_RISE):
        moves = np.expm1(np.linspace(0.0, math.log1p(end), steps + 1))
        inside, start = now, 0.0
        for move in moves[1:]:
            beyond = cushion(float(move))
            if (inside < 0.0) != (beyond < 0.0):
                at = float(brentq(cushion, start, float(move), xtol=1e-12, rtol=1e-12))
                found.append(Crossing(move=at, price=None, enters=beyond < 0.0))
            inside, start = beyond, float(move)
    return LiquidationRange(
        crossings=tuple(sorted(found, key=lambda crossing: abs(math.log1p(crossing.move)))),
        liquidatable_now=now < 0.0,
        searched=(-LARGEST_FALL, LARGEST_RISE),
    )
