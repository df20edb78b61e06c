"""How an account stands when prices and vols move: the numbers behind a report's pictures.

Every coin moves alike. Equity and requirement are those of the method itself at each of `COARSE_MOVES`, linear between
them; a vol move adds its revaluation to equity and leaves the requirement as it is, which makes the excess off the
line of unchanged vols an estimate.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from crossmargin.errors import MarketDataError
from crossmargin.instruments.contracts import DOLLAR_COINS
from crossmargin.margin.account_greeks import CoinGreeks, coin_greeks, held_quantities
from crossmargin.margin.comparison import Refusal, answers
from crossmargin.margin.method import Method, P, Requirement
from crossmargin.margin.requirements import held_instruments, risk_for
from crossmargin.margin.ring_fence import account_requirement
from crossmargin.margin.what_if import Change, MarginBenefit, Reduction, margin_benefit, moved, reductions
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import entered
from crossmargin.risk.risk_array import RiskArray, risk_array
from crossmargin.scenarios.grid import price_vol_grid
from crossmargin.units import Currency, FloatArray

COARSE_MOVES = (-0.5, -0.4, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Price moves at which the method is asked again."""
PRICE_STEPS = 20
VOL_MOVES = (-0.4, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
_FLAT_VOL = VOL_MOVES.index(0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidation:
    """The nearest price move, of every coin alike, at which equity falls to maintenance."""

    move: float
    daily_probability: float | None
    """Chance to touch it within a day at `daily_vol`; None where no vol is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountProfile:
    """One account over a dense grid of price and vol moves. USD.

    Attributes
    ----------
    price_moves : array of shape (n_prices,)
    pnl, excess, cushion : arrays of shape (n_vols, n_prices)
        Profit; equity less initial; equity less maintenance, which is 0 on the liquidation boundary.
    initial, maintenance : arrays of shape (n_prices,)
    pnl_by_coin
        Profit of what depends on each coin, over the same grid.
    greeks
        By coin; balances included.
    now
        The answer at no move; `unordered` is the one without open orders.
    """

    price_moves: FloatArray
    vol_moves: FloatArray
    pnl: FloatArray
    excess: FloatArray
    cushion: FloatArray
    initial: FloatArray
    maintenance: FloatArray
    pnl_by_coin: tuple[tuple[Currency, FloatArray], ...]
    greeks: tuple[CoinGreeks, ...]
    now: Requirement
    unordered: Requirement
    liquidation: Liquidation | None
    benefit: MarginBenefit
    reductions: tuple[Reduction, ...]

    @property
    def flat_vol_pnl(self) -> FloatArray:
        """Profit along prices with vols unchanged."""
        return np.asarray(self.pnl[_FLAT_VOL])

    @property
    def flat_vol_excess(self) -> FloatArray:
        """Excess along prices with vols unchanged."""
        return np.asarray(self.excess[_FLAT_VOL])


def profiles(
    portfolios: Iterable[Portfolio], market: MarketSnapshot, method: Method[P], parameters: P
) -> Iterator[AccountProfile | None]:
    """Yield the profile of every portfolio under `method`; None where the method refuses it."""
    books = tuple(portfolios)
    coins = [coin for coin in market.index if coin not in DOLLAR_COINS]
    names = {item.id for item in held_instruments(books)}
    quoted = replace(market, marks={name: price for name, price in market.marks.items() if name in names})
    carried = tuple(entered(book, quoted) for book in books)
    asked = [
        answers(carried, moved(quoted, Change(prices=dict.fromkeys(coins, move))), method, parameters)
        for move in COARSE_MOVES
    ]
    columns = list(zip(*asked, strict=True))
    held = tuple(b for b, column in zip(books, columns, strict=True) if not _refused(column))
    grid = price_vol_grid(dict.fromkeys(coins, max(COARSE_MOVES)), price_steps=PRICE_STEPS, vol_moves=VOL_MOVES)
    dense = risk_array(held_instruments(held), market, grid)
    risk = risk_for(held, market, method, parameters)
    for book, column in zip(books, columns, strict=True):
        if _refused(column):
            yield None
            continue
        filled = replace(book, orders=())  # advice is about positions; worst fills would hide it
        advice = (
            margin_benefit(filled, market, risk, method, parameters),
            reductions(filled, market, risk, method, parameters),
        )
        unordered = account_requirement(filled, market, risk, method, parameters)
        yield _profile(book, column, dense, market, advice, unordered)


def _refused(column: tuple[Requirement | Refusal, ...]) -> bool:
    return any(isinstance(answer, Refusal) for answer in column)


def _profile(
    book: Portfolio,
    column: tuple[Requirement | Refusal, ...],
    dense: RiskArray,
    market: MarketSnapshot,
    advice: tuple[MarginBenefit, tuple[Reduction, ...]],
    unordered: Requirement,
) -> AccountProfile:
    asked = [answer for answer in column if isinstance(answer, Requirement)]
    moves = np.linspace(COARSE_MOVES[0], COARSE_MOVES[-1], 2 * PRICE_STEPS + 1)
    # the grid runs price by price, vol by vol within
    by_coin = {
        coin: profit.reshape(moves.size, len(VOL_MOVES)).T for coin, profit in sorted(_book_pnl(book, dense).items())
    }
    pnl = np.sum([*by_coin.values(), np.zeros((len(VOL_MOVES), moves.size))], axis=0)
    equity, initial, maintenance = (
        np.interp(moves, COARSE_MOVES, [getattr(answer, name) for answer in asked])
        for name in ("equity", "initial", "maintenance")
    )
    moved_equity = equity + pnl - pnl[_FLAT_VOL]
    cushion = moved_equity - maintenance
    return AccountProfile(
        price_moves=moves,
        vol_moves=np.array(VOL_MOVES),
        pnl=pnl,
        excess=moved_equity - initial,
        cushion=cushion,
        initial=initial,
        maintenance=maintenance,
        pnl_by_coin=tuple((coin, profit) for coin, profit in by_coin.items() if coin not in DOLLAR_COINS),
        greeks=coin_greeks(book, dense, market),
        now=asked[COARSE_MOVES.index(0.0)],
        unordered=unordered,
        liquidation=_nearest(moves, cushion[_FLAT_VOL], _daily_vol(book, market)),
        benefit=advice[0],
        reductions=advice[1],
    )


def _book_pnl(book: Portfolio, dense: RiskArray) -> dict[Currency, FloatArray]:
    """Profit by underlying; they sum to the book's."""
    found: dict[Currency, FloatArray] = {}
    for name, quantity in held_quantities(book).items():
        coin = dense.instruments[dense.row_number(name)].underlying
        found[coin] = found.get(coin, np.zeros(dense.scenarios.size)) + quantity * dense.row(name)
    return found


def _nearest(moves: FloatArray, cushion: FloatArray, daily_vol: float | None) -> Liquidation | None:
    """Nearest change of sign of `cushion` to no move, by linear interpolation."""
    present = int(np.argmin(np.abs(moves)))
    if cushion[present] < 0.0:
        return Liquidation(move=0.0, daily_probability=1.0)
    places = np.flatnonzero(np.diff(np.sign(cushion)) != 0)
    if places.size == 0 or not cushion.any():
        return None
    rise = cushion[places + 1] - cushion[places]
    crossings = moves[places] - cushion[places] * (moves[places + 1] - moves[places]) / rise
    move = float(crossings[np.argmin(np.abs(crossings))])
    return Liquidation(move=move, daily_probability=touch_probability(move, daily_vol) if daily_vol else None)


def touch_probability(move: float, daily_vol: float) -> float:
    """Return the chance that a driftless log-price touches `move` within a day: ``2 N(-|ln(1 + move)| / vol)``.

    The reflection principle (Karatzas & Shreve 1991, Brownian Motion and Stochastic Calculus, 2.8).

    Examples
    --------
    >>> touch_probability(0.0, 0.02)
    1.0
    """
    return math.erfc(abs(math.log1p(move)) / daily_vol / math.sqrt(2.0))


def _daily_vol(book: Portfolio, market: MarketSnapshot) -> float | None:
    """Daily vol of the coin with most positions: of its closes, where a history is known."""
    if market.history is None:
        return None
    coins = [position.instrument.underlying for position in book.positions]
    coins += [balance.currency for balance in book.balances if balance.currency not in DOLLAR_COINS]
    known = [coin for coin in coins if coin in market.history.currencies]
    if not known:
        return None
    try:
        returns = market.history.of((max(sorted(set(known)), key=known.count),)).log_returns(1)
    except MarketDataError:
        return None
    spread = float(np.nanstd(returns))
    return spread if spread > 0.0 else None
