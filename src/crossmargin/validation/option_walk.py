"""Option books walked through daily chains: each margin from moves that were over at the snapshot."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.scenarios.volatility import ewma_variance_path
from crossmargin.units import NANOSECONDS_PER_DAY, FloatArray, IntArray
from crossmargin.validation.option_books import ChainDay, option_books, option_margin, option_profit

DECAY = 0.94
COUNT = 1_000
_DAY_AT_MOST, _DAY_AT_LEAST = 1.3, 0.7
"""Snapshots further or less far apart in days make no daily profit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionOutcomes:
    """Margins and profits of one kind of book, per USD of one coin, shape (n_days,)."""

    name: str
    times_ns: IntArray
    margins: FloatArray
    profits: FloatArray


def option_walk(
    chains: Sequence[ChainDay], times_ns: IntArray, returns: FloatArray, vol_returns: FloatArray
) -> tuple[OptionOutcomes, ...]:
    """Return the margins of every book of `option_books` at every snapshot, and what a day later it had made.

    Parameters
    ----------
    chains
        One coin's, oldest first.
    times_ns, returns, vol_returns : arrays of shape (n_days,)
        Ends of days, and the daily log moves of the coin and of 30-day implied vol; NaN where unknown. Volatility goes on
        from the snapshots' own index where the daily record has ended.

    Raises
    ------
    InputError
        If fewer than 250 days with both moves are over at a snapshot.
    """
    found: dict[str, list[tuple[int, float, float]]] = {}
    since: list[float] = []
    for place, (day, after) in enumerate(itertools.pairwise(chains)):
        past = int(np.searchsorted(times_ns, day.time_ns, side="right"))
        if past == times_ns.size and place and _a_day(chains[place - 1], day):
            since.append(float(np.log(day.spot / chains[place - 1].spot)))
        variances = ewma_variance_path(np.concatenate([returns[:past], since]), DECAY)
        shapes, vol_moves = returns[:past] / np.sqrt(variances[:past]), vol_returns[:past]
        known = np.flatnonzero(np.isfinite(shapes) & np.isfinite(vol_moves))[-COUNT:]
        if known.size < 250:
            raise InputError(f"an option margin needs 250 past days with moves of coin and vol, had {known.size}")
        if not _a_day(day, after):
            continue
        moves = shapes[known] * np.sqrt(variances[-1])
        for book in option_books(day):
            margin = option_margin(day, book, moves, vol_moves[known])
            found.setdefault(book.name, []).append((day.time_ns, margin, option_profit(day, after, book)))
    return tuple(
        OptionOutcomes(
            name=name,
            times_ns=np.array([row[0] for row in rows]),
            margins=np.array([row[1] for row in rows]),
            profits=np.array([row[2] for row in rows]),
        )
        for name, rows in found.items()
    )


def _a_day(first: ChainDay, second: ChainDay) -> bool:
    return _DAY_AT_LEAST < (second.time_ns - first.time_ns) / NANOSECONDS_PER_DAY < _DAY_AT_MOST
