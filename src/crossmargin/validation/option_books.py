"""Books of options through daily chains: a margin from what was known at a snapshot, a profit from the marks of the next.

Profit comes from real marks, so that a margin pays for what its model of the surface leaves out.
"""

from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.pricing.black76 import black76
from crossmargin.risk.measures import expected_shortfall
from crossmargin.units import DAYS_PER_YEAR, NANOSECONDS_PER_DAY, BoolArray, FloatArray, IntArray

VOL_DECAY = 0.5
"""A move of 30-day vol moves that of other expiries by the root of 30 days over theirs, at most twice as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainDay:
    """One coin's options at one snapshot; arrays of shape (n_options,).

    Attributes
    ----------
    spot
        Index price, USD.
    marks
        USD per coin of underlying.
    deltas
        Of the USD price to the forward.
    """

    time_ns: int
    spot: float
    names: tuple[str, ...]
    expiries_ns: IntArray
    strikes: FloatArray
    calls: BoolArray
    forwards: FloatArray
    vols: FloatArray
    marks: FloatArray
    deltas: FloatArray

    @property
    def days_left(self) -> FloatArray:
        """Until expiry, shape (n_options,)."""
        return np.asarray((self.expiries_ns - self.time_ns) / NANOSECONDS_PER_DAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionBook:
    """Options by their place in the chain, coins of each, and coins of the hedge in spot or a perpetual."""

    name: str
    places: tuple[int, ...]
    quantities: tuple[float, ...]
    hedge: float = 0.0


def option_books(day: ChainDay, days: float = 30.0, far_days: float = 90.0) -> tuple[OptionBook, ...]:
    """Return books of one coin's size on the listed expiries nearest to `days` and `far_days`.

    Straddles at the strike nearest to the forward, strangles and risk reversals at 25 delta, a calendar of straddles;
    hedged ones hold minus their delta.

    Raises
    ------
    InputError
        If fewer than two expiries have five days left.
    """
    near, far = _expiry(day, days), _expiry(day, far_days)
    if near == far:
        raise InputError("a calendar needs two expiries with at least five days left, the chain has one")
    call, put = _at_the_money(day, near, call=True), _at_the_money(day, near, call=False)
    far_call, far_put = _at_the_money(day, far, call=True), _at_the_money(day, far, call=False)
    high, low = _at_delta(day, near, 0.25), _at_delta(day, near, -0.25)
    return (
        _book(day, "long straddle", (call, put), (1.0, 1.0)),
        _book(day, "short straddle", (call, put), (-1.0, -1.0)),
        _book(day, "short strangle", (high, low), (-1.0, -1.0)),
        _book(day, "risk reversal", (high, low), (1.0, -1.0)),
        _book(day, "short call hedged", (call,), (-1.0,), hedged=True),
        _book(day, "short strangle hedged", (high, low), (-1.0, -1.0), hedged=True),
        _book(day, "long straddle hedged", (call, put), (1.0, 1.0), hedged=True),
        _book(day, "calendar hedged", (far_call, far_put, call, put), (1.0, 1.0, -1.0, -1.0), hedged=True),
    )


def option_margin(
    day: ChainDay, book: OptionBook, moves: FloatArray, vol_moves: FloatArray, confidence: float = 0.975
) -> float:
    """Return the expected shortfall of `book` over a day, in USD per USD of one coin.

    Parameters
    ----------
    moves, vol_moves : arrays of shape (n_scenarios,)
        Log move of the spot, and of 30-day implied vol. Options keep their vol by strike and are revalued a day later.
    """
    at = np.array(book.places)
    left = np.maximum(day.days_left[at] / DAYS_PER_YEAR, 0.0)
    scale = np.minimum((30.0 / np.maximum(day.days_left[at], 1.0)) ** VOL_DECAY, 2.0)
    strikes, calls, forwards = day.strikes[at], day.calls[at], day.forwards[at]
    before = black76(forwards, strikes, left, day.vols[at], calls)
    after = black76(
        forwards[:, None] * np.exp(moves),
        strikes[:, None],
        np.maximum(left - 1.0 / DAYS_PER_YEAR, 0.0)[:, None],
        day.vols[at][:, None] * np.exp(scale[:, None] * vol_moves),
        calls[:, None],
    )
    pnl = np.array(book.quantities) @ (after - before[:, None]) + book.hedge * day.spot * np.expm1(moves)
    return float(expected_shortfall(pnl, confidence)) / day.spot


def option_profit(day: ChainDay, after: ChainDay, book: OptionBook) -> float:
    """Return what `book` made from the marks of `day` to those of `after`, per USD of one coin; NaN without a mark."""
    places = {name: place for place, name in enumerate(after.names)}
    total = book.hedge * (after.spot - day.spot)
    for place, quantity in zip(book.places, book.quantities, strict=True):
        if day.names[place] not in places:
            return float("nan")
        total += quantity * (after.marks[places[day.names[place]]] - day.marks[place])
    return float(total / day.spot)


def _book(
    day: ChainDay, name: str, places: tuple[int, ...], quantities: tuple[float, ...], *, hedged: bool = False
) -> OptionBook:
    delta = float(np.array(quantities) @ day.deltas[list(places)])
    return OptionBook(name=name, places=places, quantities=quantities, hedge=-delta if hedged else 0.0)


def _expiry(day: ChainDay, days: float) -> int:
    left = np.where(day.days_left >= 5.0, np.abs(day.days_left - days), np.inf)
    return int(day.expiries_ns[int(left.argmin())])


def _at_the_money(day: ChainDay, expiry_ns: int, *, call: bool) -> int:
    fits = (day.expiries_ns == expiry_ns) & (day.calls == call)
    return int(np.where(fits, np.abs(day.strikes - day.forwards), np.inf).argmin())


def _at_delta(day: ChainDay, expiry_ns: int, delta: float) -> int:
    fits = (day.expiries_ns == expiry_ns) & (day.calls == (delta > 0.0))
    return int(np.where(fits, np.abs(day.deltas - delta), np.inf).argmin())
