"""Books and grid laid out coin by coin, as `coin_parts` reads them."""

from typing import NamedTuple

import numpy as np

from crossmargin.compilation import literal_kernel
from crossmargin.margin.grid_columns import OPTION, GridColumns
from crossmargin.risk.tiles import HUGE, TINY, SingleArray, in_singles, tiles_of
from crossmargin.units import BoolArray, FloatArray, IntArray

SCREENED = 4
"""Tiles from which on it pays to screen them in single precision first."""
UNIT, SHORT, DELTA, EXPIRY, REACH = range(5)
"""Columns of what is read of an instrument beside its risk row."""


class CoinSlices(NamedTuple):
    """Books in compressed sparse rows, coin by coin.

    Attributes
    ----------
    indptr : integers of shape (n_currencies, n_accounts + 1)
        Positions of account a in coin c are those from ``indptr[c, a]`` up to ``indptr[c, a + 1]``.
    rows, places, quantities : arrays of shape (n_positions,)
        Rows increase within a slice, `places` are theirs among the rows of the coin; quantities are contracts, not 0.
    singles : array of shape (n_positions,)
        Quantities in single precision.
    is_ordinary : booleans of shape (n_currencies,)
        Whether single precision holds all quantities of a coin.
    """

    indptr: IntArray
    rows: IntArray
    places: IntArray
    quantities: FloatArray
    singles: SingleArray
    is_ordinary: BoolArray


@literal_kernel
def coin_slices(
    coin: IntArray, n_currencies: int, indptr: IntArray, rows: IntArray, quantities: FloatArray
) -> CoinSlices:
    """Return books in compressed sparse rows coin by coin."""
    n_accounts = indptr.size - 1
    starts = np.zeros((n_currencies, n_accounts + 1), dtype=np.int64)
    for a in range(n_accounts):
        for k in range(indptr[a], indptr[a + 1]):
            starts[coin[rows[k]], a + 1] += 1
    count = 0
    for c in range(n_currencies):
        starts[c, 0] = count
        for a in range(n_accounts):
            count += starts[c, a + 1]
            starts[c, a + 1] = count
    own_rows, own_places = np.empty(rows.size, dtype=np.int64), np.empty(rows.size, dtype=np.int64)
    is_ordinary = np.ones(n_currencies, dtype=np.bool_)
    own, among, place = np.empty(rows.size), places_of(coin, n_currencies), np.empty(n_currencies, dtype=np.int64)
    for a in range(n_accounts):
        place[:] = starts[:, a]
        for k in range(indptr[a], indptr[a + 1]):
            c = coin[rows[k]]
            own_rows[place[c]], own_places[place[c]], own[place[c]] = rows[k], among[rows[k]], quantities[k]
            is_ordinary[c] &= TINY < abs(quantities[k]) < HUGE
            place[c] += 1
    return CoinSlices(starts, own_rows, own_places, own, own.astype(np.float32), is_ordinary)


@literal_kernel
def replace_quantities(slices: CoinSlices, a: int, rows: IntArray, quantities: FloatArray) -> None:
    """Replace the quantities of account `a`, which holds the same `rows` as before."""
    for c in range(slices.indptr.shape[0]):
        place = 0
        for k in range(slices.indptr[c, a], slices.indptr[c, a + 1]):
            while rows[place] != slices.rows[k]:
                place += 1
            slices.quantities[k], slices.singles[k] = quantities[place], quantities[place]
            slices.is_ordinary[c] &= TINY < abs(quantities[place]) < HUGE


@literal_kernel
def places_of(coin: IntArray, n_currencies: int) -> IntArray:
    """Return where each row stands among those of its coin."""
    places, counts = np.empty(coin.size, dtype=np.int64), np.zeros(n_currencies, dtype=np.int64)
    for row in range(coin.size):
        places[row] = counts[coin[row]]
        counts[coin[row]] += 1
    return places


class CoinGrid(NamedTuple):
    """What one coin's slice reads of the grid.

    Attributes
    ----------
    tiles : array of shape (n_tiles, n_own, TILE)
    singles : array of shape (n_pairs, n_own, 2 * TILE)
        The same in single precision; none where there are too few tiles for a screen to pay.
    lines : array of shape (n_own, 5)
        Unit value, coins in a short option, delta, number of the expiry, and the largest profit or loss, at least `TINY`.
    is_screened
        Whether single precision holds all of it.
    """

    c: int
    asset: int
    tiles: FloatArray
    singles: SingleArray
    lines: FloatArray
    is_screened: bool


@literal_kernel
def coin_grid(grid: GridColumns, c: int) -> CoinGrid:
    """Return what a slice of coin `c` reads of `grid`."""
    chosen = np.flatnonzero(grid.coin == c)
    asset = 0
    lines = np.zeros((chosen.size, 5))
    for k in range(chosen.size):
        row = chosen[k]
        if row == grid.asset_row[c]:
            asset = k
        lines[k, UNIT] = grid.unit_value[row]
        lines[k, SHORT] = grid.contract_size[row] if grid.kind[row] == OPTION else 0.0
        lines[k, DELTA], lines[k, EXPIRY], reach = grid.delta[row], grid.expiry[row], TINY
        for s in range(grid.pnl.shape[1]):
            reach = max(reach, abs(grid.pnl[row, s]))
        lines[k, REACH] = reach
    tiles = tiles_of(grid.pnl, chosen)
    is_screened = tiles.shape[0] >= SCREENED and bool((lines[:, REACH] < HUGE).all())
    return CoinGrid(c, asset, tiles, in_singles(tiles if is_screened else tiles[:0]), lines, is_screened)
