"""Option books walked through daily chains: each margin from moves that were over at the snapshot."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.scenarios.joint import joint_filtered_scenarios
from crossmargin.units import NANOSECONDS_PER_DAY, Currency, FloatArray, IntArray
from crossmargin.validation.option_books import (
    ChainDay,
    Moves,
    OptionBook,
    marked_profits,
    option_books,
    option_margins,
)

COUNT = 1_000
FEWEST_BASIS_MOVES = 10
"""Daily changes of the basis on chains before futures have a margin."""
_DAYS = 30.0
_DAY_AT_MOST, _DAY_AT_LEAST = 1.3, 0.7
"""Snapshots further or less far apart in days make no daily profit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyMoves:
    """What moved each day before chains were collected; arrays of shape (n_days,), NaN where unknown.

    Attributes
    ----------
    times_ns
        Ends of the days.
    returns, vols
        Log moves of the coin, and of 30-day implied vol.
    funding
        Changes of the perpetual's funding as a rate per year: their shapes stand for those of the futures basis, whose
        size is that of the chains so far.
    """

    times_ns: IntArray
    returns: FloatArray
    vols: FloatArray
    funding: FloatArray

    def __post_init__(self) -> None:
        for each in (self.returns, self.vols, self.funding):
            if each.shape != self.times_ns.shape:
                raise InputError(f"daily moves must have the shape {self.times_ns.shape} of times, had {each.shape}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionOutcomes:
    """Margins and profits of one kind of book, per USD of one coin, shape (n_days,); margins NaN where there are none."""

    name: str
    times_ns: IntArray
    margins: FloatArray
    profits: FloatArray


def option_walk(
    chains: Sequence[ChainDay],
    past: DailyMoves,
    books: Callable[[ChainDay], tuple[OptionBook, ...]] = option_books,
) -> tuple[OptionOutcomes, ...]:
    """Return the margins of every book of `books` at every snapshot, and what a day later it had made.

    Scenarios are whole past dates, with the moves of coin, vol and basis each rescaled to its volatility of the day
    (`scenarios.joint`). Where the daily record has ended, the snapshots go on: their index, and their vol at the
    money and basis in 30 days.

    Parameters
    ----------
    chains
        One coin's, oldest first.

    Raises
    ------
    InputError
        If fewer than 250 days with moves of coin and vol are over at a snapshot.
    """
    found: dict[str, list[tuple[int, float, float]]] = {}
    own: list[tuple[int, tuple[float, float, float]]] = []
    for place, (day, after) in enumerate(itertools.pairwise(chains)):
        if place and _a_day(chains[place - 1], day):
            own.append((day.time_ns, _moved(chains[place - 1], day)))
        moves = day_moves(past, own, day.time_ns)
        if not _a_day(day, after):
            continue
        held = books(day)
        margins, profits = option_margins(day, held, moves), marked_profits(day, after, held)
        for book, margin, profit in zip(held, margins.tolist(), profits.tolist(), strict=True):
            known = len(own) >= FEWEST_BASIS_MOVES or not book.futures
            found.setdefault(book.name, []).append((day.time_ns, margin if known else np.nan, profit))
    return tuple(
        OptionOutcomes(
            name=name,
            times_ns=np.array([row[0] for row in rows]),
            margins=np.array([row[1] for row in rows]),
            profits=np.array([row[2] for row in rows]),
        )
        for name, rows in found.items()
    )


def day_moves(past: DailyMoves, own: Sequence[tuple[int, tuple[float, float, float]]], time_ns: int) -> Moves:
    """Return the scenarios of a day from what was over at `time_ns`: `past`, then the `own` moves of the chains."""
    count = int(np.searchsorted(past.times_ns, time_ns, side="right"))
    # own moves count where the record has ended: a day is never used twice
    since = [move for end, move in own if count == past.times_ns.size and end > int(past.times_ns[-1])]
    returns, vols, basis = (
        np.concatenate([row[:count], [move[factor] for move in since]])
        for factor, row in enumerate((past.returns, past.vols, past.funding))
    )
    size = np.sqrt(np.mean(np.square([move[2] for _, move in own]))) if len(own) >= FEWEST_BASIS_MOVES else 0.0
    recent = past.funding[:count][np.isfinite(past.funding[:count])][-100:]
    if size > 0.0 and recent.any():
        basis[:count] *= size / np.sqrt(np.mean(np.square(recent)))
    else:
        basis = np.full(basis.shape, np.nan)
    if np.isfinite(returns + vols).sum() < 250:
        raise InputError(
            f"an option margin needs 250 past days of coin and vol, had {np.isfinite(returns + vols).sum()}"
        )
    drawn = joint_filtered_scenarios(
        (_COIN,),
        returns[None, :],
        vol_moves=vols[None, :],
        basis_moves=basis[None, :],
        dates=tuple(map(str, range(returns.size))),
        count=COUNT,
    )
    return Moves(
        spot=np.log(drawn.price_factors(_COIN)),
        vol=np.log1p(drawn.vol_shocks(_COIN)),
        basis=drawn.basis_shifts(_COIN),
    )


_COIN = Currency("coin")


def _moved(before: ChainDay, day: ChainDay) -> tuple[float, float, float]:
    return (
        float(np.log(day.spot / before.spot)),
        float(np.log(day.vol(_DAYS) / before.vol(_DAYS))),
        day.basis(_DAYS) - before.basis(_DAYS),
    )


def _a_day(first: ChainDay, second: ChainDay) -> bool:
    return _DAY_AT_LEAST < (second.time_ns - first.time_ns) / NANOSECONDS_PER_DAY < _DAY_AT_MOST
