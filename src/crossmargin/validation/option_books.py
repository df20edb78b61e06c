"""Books of options through daily chains: a margin from what was known at a snapshot, a profit from the marks of the next.

Profit comes from real marks, so that a margin pays for what its model of the surface leaves out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.pricing.kernels import ExpiryScenarios, OptionTerms, option_profits
from crossmargin.risk.measures import expected_shortfall
from crossmargin.units import DAYS_PER_YEAR, NANOSECONDS_PER_DAY, BoolArray, FloatArray, IntArray

TERM_DECAY = 0.5
"""A move of 30-day vol or basis moves that of other expiries by the root of 30 days over theirs, at most twice as much."""


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

    def forward(self, expiry_ns: int) -> float:
        """Return the forward of an expiry, USD; NaN where it is not listed."""
        found = self.forwards[self.expiries_ns == expiry_ns]
        return float(np.median(found)) if found.size else float("nan")

    def vol(self, days: float) -> float:
        """Return the vol at the money of the listed expiry nearest to `days`."""
        return float(self.vols[_at_the_money(self, _expiry(self, days), call=True)])

    def basis(self, days: float) -> float:
        """Return the log basis per year of the listed expiry nearest to `days`."""
        expiry = _expiry(self, days)
        years = (expiry - self.time_ns) / NANOSECONDS_PER_DAY / DAYS_PER_YEAR
        return float(np.log(self.forward(expiry) / self.spot)) / years


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionBook:
    """Coins of everything held: options by their place in the chain, futures by expiry, the rest in spot or a perpetual."""

    name: str
    places: tuple[int, ...] = ()
    quantities: tuple[float, ...] = ()
    hedge: float = 0.0
    futures: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """Joint moves over a day, arrays of shape (n_scenarios,).

    Attributes
    ----------
    spot, vol
        Log moves of the index, and of 30-day implied vol.
    basis
        Change of the log basis per year, 30 days ahead.
    """

    spot: FloatArray
    vol: FloatArray
    basis: FloatArray


def option_books(
    day: ChainDay, days: float = 30.0, far_days: float = 90.0, *, random: int = 0
) -> tuple[OptionBook, ...]:
    """Return books of one coin's size on the listed expiries nearest to `days` and `far_days`.

    Straddles at the strike nearest to the forward, strangles and risk reversals at 25 delta, a calendar of straddles;
    hedged ones hold minus their delta. `basis` holds spot against the near future, `calendar` the far future against the
    near one. `random` books hold four options each, drawn by delta, and a hedge; the same draws every day.

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
        OptionBook(name="basis", hedge=1.0, futures=((near, -1.0),)),
        OptionBook(name="calendar", futures=((near, -1.0), (far, 1.0))),
        *(_random_book(day, number, near, far) for number in range(1, random + 1)),
    )


def option_margins(day: ChainDay, books: Sequence[OptionBook], moves: Moves, confidence: float = 0.975) -> FloatArray:
    """Return the expected shortfall over a day of every book, in USD per USD of one coin, shape (n_books,).

    Options keep their vol by strike and are revalued a day later; vol and basis of 30 days move as given, those of other
    expiries by the root of 30 days over theirs, at most twice as much. An option that several books hold is revalued
    once.
    """
    pnl = np.array([_linear_pnl(day, book, moves) for book in books])
    places = sorted({place for book in books for place in book.places}, key=lambda at: (day.expiries_ns[at], at))
    if places:
        columns = {place: column for column, place in enumerate(places)}
        held = np.zeros((len(books), len(places)))
        for row, book in enumerate(books):
            for place, quantity in zip(book.places, book.quantities, strict=True):
                held[row, columns[place]] += quantity
        pnl += held @ _revalued(day, np.array(places), moves)
    return np.asarray(expected_shortfall(pnl, confidence)) / day.spot


def _linear_pnl(day: ChainDay, book: OptionBook, moves: Moves) -> FloatArray:
    pnl: FloatArray = np.multiply(book.hedge * day.spot, np.expm1(moves.spot))
    for expiry, quantity in book.futures:
        days = (expiry - day.time_ns) / NANOSECONDS_PER_DAY
        moved = moves.spot + days / DAYS_PER_YEAR * _scale(np.array(days)) * moves.basis
        pnl = pnl + np.multiply(quantity * day.forward(expiry), np.expm1(moved))
    return pnl


def _revalued(day: ChainDay, at: IntArray, moves: Moves) -> FloatArray:
    """Profit of a coin's worth of each option, USD, shape (n_options, n_scenarios)."""
    expiries, row = np.unique(day.expiries_ns[at], return_inverse=True)
    days = (expiries - day.time_ns) / NANOSECONDS_PER_DAY
    years, scale = np.maximum(days, 0.0) / DAYS_PER_YEAR, _scale(days)
    ones = np.ones((expiries.size, moves.spot.size))
    scenarios = ExpiryScenarios(
        years_now=years,
        years_later=np.maximum(years - 1.0 / DAYS_PER_YEAR, 0.0),
        moves=np.exp(moves.spot + (years * scale)[:, None] * moves.basis),
        vol_factors=np.exp(scale[:, None] * moves.vol),
        vol_floors=0.0 * ones,
        conversion=ones,
        damping=ones,
    )
    terms = OptionTerms(
        expiry=row.astype(np.int64),
        forward=day.forwards[at],
        strike=day.strikes[at],
        vol=day.vols[at],
        is_call=day.calls[at],
        scale=np.ones(at.size),
    )
    return option_profits(terms, scenarios)


def marked_profits(day: ChainDay, after: ChainDay, books: Sequence[OptionBook]) -> FloatArray:
    """Return what every book made from the marks of `day` to those of `after`, per USD of one coin, shape (n_books,).

    NaN where something has no mark.
    """
    places = {name: place for place, name in enumerate(after.names)}
    made = np.empty(len(books))
    for row, book in enumerate(books):
        total = book.hedge * (after.spot - day.spot)
        for expiry, quantity in book.futures:
            total += quantity * (after.forward(expiry) - day.forward(expiry))
        for place, quantity in zip(book.places, book.quantities, strict=True):
            at = places.get(day.names[place])
            total += np.nan if at is None else quantity * (after.marks[at] - day.marks[place])
        made[row] = total / day.spot
    return made


def restated(day: ChainDay, name: str, options: Sequence[tuple[float, float, bool, float]], hedge: float) -> OptionBook:
    """Return a book of another day on the options of `day` that are nearest: by days left first, then by strike.

    Parameters
    ----------
    options
        Days left, strike over spot, whether a call, and coins of each.
    hedge
        Coins in spot, perpetuals and futures.
    """
    places = []
    for days, moneyness, call, _ in options:
        fits = (day.expiries_ns == _expiry(day, days, least=1.0)) & (day.calls == call)
        places.append(int(np.where(fits, np.abs(day.strikes / day.spot - moneyness), np.inf).argmin()))
    return OptionBook(name=name, places=tuple(places), quantities=tuple(each[3] for each in options), hedge=hedge)


def _scale(days_left: FloatArray) -> FloatArray:
    return np.asarray(np.minimum((30.0 / np.maximum(days_left, 1.0)) ** TERM_DECAY, 2.0))


def _random_book(day: ChainDay, number: int, near: int, far: int) -> OptionBook:
    dice = np.random.default_rng(number)
    expiries = np.where(dice.random(4) < 0.5, near, far)
    deltas, sizes = dice.uniform(0.1, 0.9, 4) * np.where(dice.random(4) < 0.5, 1.0, -1.0), dice.normal(size=5)
    places = tuple(_at_delta(day, int(expiry), float(delta)) for expiry, delta in zip(expiries, deltas, strict=True))
    return OptionBook(
        name=f"random options {number}", places=places, quantities=tuple(sizes[:4].tolist()), hedge=float(sizes[4])
    )


def _book(
    day: ChainDay, name: str, places: tuple[int, ...], quantities: tuple[float, ...], *, hedged: bool = False
) -> OptionBook:
    delta = float(np.array(quantities) @ day.deltas[list(places)])
    return OptionBook(name=name, places=places, quantities=quantities, hedge=-delta if hedged else 0.0)


def _expiry(day: ChainDay, days: float, least: float = 5.0) -> int:
    left = np.where(day.days_left >= least, np.abs(day.days_left - days), np.inf)
    return int(day.expiries_ns[int(left.argmin())])


def _at_the_money(day: ChainDay, expiry_ns: int, *, call: bool) -> int:
    fits = (day.expiries_ns == expiry_ns) & (day.calls == call)
    return int(np.where(fits, np.abs(day.strikes - day.forwards), np.inf).argmin())


def _at_delta(day: ChainDay, expiry_ns: int, delta: float) -> int:
    fits = (day.expiries_ns == expiry_ns) & (day.calls == (delta > 0.0))
    return int(np.where(fits, np.abs(day.deltas - delta), np.inf).argmin())
