"""Buffers calibrated per asset on what lies before each day, and those of books made of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crossmargin.scenarios.tail_index import (
    FEWEST_RETURNS,
    TailIndex,
    buffer_of,
    empirical_rise,
    shrunk,
    tail_index,
)
from crossmargin.units import FloatArray
from crossmargin.validation.books import LinearBooks

CALIBRATED_EVERY = 30
"""Days between calibrations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetBuffer:
    """The buffer of one asset, and what it comes from.

    Attributes
    ----------
    own, drawn
        The asset's tail index by itself, and drawn towards those of the others.
    rise
        Five-day rise of its volatility forecast that was exceeded on one day in twenty; NaN where unknown.
    """

    own: TailIndex
    drawn: TailIndex
    rise: float

    @property
    def from_index(self) -> bool:
        """Whether the tail index is sure enough to set the buffer; otherwise the empirical rise has a say."""
        return self.drawn.stable or not math.isfinite(self.rise)

    @property
    def buffer(self) -> float:
        """Share of the margin's own average that is added in calm times.

        Of an index that is not sure, and of what the volatility has done so far, the larger counts: neither excludes it.
        """
        asked = buffer_of(self.drawn.index)
        return asked if self.from_index else max(asked, self.rise)


def asset_buffers(returns: FloatArray, variance_paths: FloatArray) -> Mapping[int, AssetBuffer]:
    """Return the buffer of each asset, by its row, that has 200 returns which vary.

    Parameters
    ----------
    returns : array of shape (n_coins, n_days)
    variance_paths : array of shape (n_coins, n_days) or longer
        Forecasts; those beyond the last return are not looked at.
    """
    known = [each[np.isfinite(each)] for each in returns]
    rows = [row for row, each in enumerate(known) if each.size >= FEWEST_RETURNS and each.var() > 0.0]
    own = [tail_index(returns[row]) for row in rows]
    vols = np.sqrt(variance_paths[:, : returns.shape[1]])
    return {
        row: AssetBuffer(own=alone, drawn=together, rise=empirical_rise(vols[row]))
        for row, alone, together in zip(rows, own, shrunk(own), strict=True)
    }


def book_buffers(
    books: LinearBooks, returns: FloatArray, variance_paths: FloatArray, every: int = CALIBRATED_EVERY
) -> FloatArray:
    """Return the buffer of each book for each day: the average of its assets', by size of what it holds.

    Parameters
    ----------
    returns, variance_paths
        As of `asset_buffers`.
    every
        Days between calibrations, each from the days before it.

    Returns
    -------
    array of shape (n_books, n_days)
        NaN before the first calibration of any of its assets; one that has none yet counts as the average of the others.
    """
    n_days = returns.shape[1]
    sizes = np.abs(books.weights)
    found = np.full((len(books.names), n_days), np.nan)
    for day in range(FEWEST_RETURNS, n_days, every):
        calibrated = asset_buffers(returns[:, :day], variance_paths)
        if calibrated:
            rows = list(calibrated)
            known = sizes[:, rows]
            total = known.sum(axis=1)
            averages = (
                known @ np.array([each.buffer for each in calibrated.values()]) / np.where(total > 0.0, total, 1.0)
            )
            found[:, day : day + every] = np.where(total > 0.0, averages, np.nan)[:, None]
    return found
