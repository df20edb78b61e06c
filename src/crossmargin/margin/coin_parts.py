"""What one coin's positions ask for under `scenario_grid`, for many books at once: a row of `parts` per account.

Sums that are rounded once are the same in any order of their terms; sums that are added up one by one are added up in
the order of rows. `grid_slices` puts the parts of all coins together.
"""

import numpy as np

from crossmargin.compilation import literal_kernel
from crossmargin.margin.coin_exposures import (
    COINS,
    EXPOSURE,
    GROSS,
    NET,
    PAD,
    SIZES,
    SUMS,
    VALUE_SUM,
    add_up,
    exposure_of,
    round_sums,
    sharpen,
)
from crossmargin.margin.coin_slices import REACH, CoinGrid, CoinSlices, coin_grid
from crossmargin.margin.grid_columns import GridColumns
from crossmargin.margin.grid_kernels import DUST, liquidity_add_ons
from crossmargin.margin.scan_loss import BLOCK, ScannedBooks, exact_loss, gather, write_least, write_least_screened
from crossmargin.units import FloatArray, IntArray

SCAN, MINIMUM, BASIS, LIQUIDITY, CONCENTRATION, DELTA, HEDGING, VALUE, LOST, SIZE, PARTS = range(11)
"""Columns of a coin's part: five of initial margin, USD per +100 %, coins in the risk array, the value of what was paid
for with what its sum lost to rounding, and their number."""


@literal_kernel
def _margin_slice(
    grid: GridColumns, own: CoinGrid, slices: CoinSlices, cash: FloatArray, parts: FloatArray, first: int, last: int
) -> None:
    """Write the parts of a coin for accounts `first` to `last` to its plane of `parts`."""
    c, indptr = own.c, slices.indptr[own.c]
    most = 1
    for a in range(first, last):
        most = max(most, indptr[a + 1] - indptr[a] + 1)
    rows, quantities = np.empty(BLOCK * most, dtype=np.int64), np.empty(BLOCK * most)
    singles, hedging, lowest = np.empty(BLOCK * most, dtype=np.float32), np.zeros(BLOCK), np.empty(BLOCK)
    begins, ends = np.empty(BLOCK, dtype=np.int64), np.empty(BLOCK, dtype=np.int64)
    nearly = np.empty((BLOCK, 2 * own.singles.shape[0]), dtype=np.float32)
    dense, sums = np.empty((own.lines.shape[0], BLOCK + PAD)), np.empty((SUMS + grid.n_expiries, BLOCK))
    bounds = np.empty((GROSS, BLOCK))
    for start in range(first, last, BLOCK):
        size = min(BLOCK, last - start)
        _spread(indptr, slices.places, slices.quantities, start, size, dense)
        add_up(dense, own.lines, sums)
        round_sums(sums, dense.shape[0], bounds)
        sharpen(slices, own, start, size, sums, bounds)
        is_hedged = not grid.is_dollar[c] and _hedge(grid, slices, own, cash, start, size, hedging, bounds, sums)
        if is_hedged:
            fits = gather(
                indptr, slices.places, slices.quantities, own.asset, start, size, hedging, rows, quantities, singles
            )
            for b in range(size):
                begins[b], ends[b] = b * most, b * most + indptr[start + b + 1] - indptr[start + b]
                ends[b] += 1 if hedging[b] != 0.0 else 0
            books = ScannedBooks(
                rows, quantities, singles, begins, ends, own.is_screened and slices.is_ordinary[c] and fits
            )
        else:
            begins[:size], ends[:size] = indptr[start : start + size], indptr[start + 1 : start + size + 1]
            is_screened = own.is_screened and slices.is_ordinary[c]
            books = ScannedBooks(slices.places, slices.quantities, slices.singles, begins, ends, is_screened)
        lowest[:] = 0.0
        if books.is_screened:
            write_least_screened(own, books, size, sums[GROSS], nearly, lowest)
        else:
            write_least(own.tiles, books, size, lowest)
        _write_parts(grid, own, sums, bounds, hedging, lowest, size, parts[c, start:])
        _drop_dust(own, books, sums[GROSS], size, parts[c, start:])


@literal_kernel
def _spread(indptr: IntArray, places: IntArray, held: FloatArray, start: int, size: int, dense: FloatArray) -> None:
    """Write contracts by row and account."""
    dense[:] = 0.0
    for b in range(size):
        for k in range(indptr[start + b], indptr[start + b + 1]):
            dense[places[k], b] = held[k]


@literal_kernel
def _hedge(
    grid: GridColumns,
    slices: CoinSlices,
    own: CoinGrid,
    cash: FloatArray,
    start: int,
    size: int,
    hedging: FloatArray,
    bounds: FloatArray,
    sums: FloatArray,
) -> bool:
    """Write the coins that enter the risk array, all that is owed and what offsets the derivatives' delta.

    Return whether there are any.
    """
    c, price, reach, found = own.c, grid.index_price[own.c], own.lines[own.asset, REACH], False
    for b in range(size):
        coins = cash[start + b, c]
        if coins > 0.0:
            coins = min(coins, max(-bounds[EXPOSURE, b], 0.0) / price)
        hedging[b] = coins
        if coins != 0.0:
            bounds[EXPOSURE, b] = exposure_of(slices, own, start + b, coins)
            sums[GROSS, b] += abs(coins) * reach
            found = True
    return found


@literal_kernel
def _write_parts(
    grid: GridColumns,
    own: CoinGrid,
    sums: FloatArray,
    bounds: FloatArray,
    hedging: FloatArray,
    lowest: FloatArray,
    size: int,
    plane: FloatArray,
) -> None:
    """Write a block of accounts to a coin's plane of the parts."""
    price, minimum, basis = grid.index_price[own.c], grid.rates[1], grid.rates[2]
    rule, rates = grid.liquidity[own.c], grid.rates
    for b in range(size):
        net, scan = abs(bounds[NET, b]), -lowest[b]
        plane[b, HEDGING], plane[b, DELTA], plane[b, SCAN] = hedging[b], bounds[EXPOSURE, b], scan
        plane[b, VALUE], plane[b, LOST], plane[b, SIZE] = (
            sums[VALUE_SUM, b],
            sums[VALUE_SUM + 1, b],
            sums[VALUE_SUM + 2, b],
        )
        plane[b, MINIMUM] = minimum * price * bounds[COINS, b]
        plane[b, BASIS] = basis * (bounds[SIZES, b] - net)
        plane[b, LIQUIDITY], plane[b, CONCENTRATION] = liquidity_add_ons(rule, rates, net)


@literal_kernel
def _drop_dust(own: CoinGrid, books: ScannedBooks, gross: FloatArray, size: int, plane: FloatArray) -> None:
    """Look again at losses that may be but rounding, and let the short-option minimum be what it adds to the loss."""
    for b in range(size):
        # only near the edge does the rounding of a perfect hedge decide
        if 0.0 < plane[b, SCAN] <= 2.0 * DUST * gross[b]:
            held = slice(books.begins[b], books.ends[b])
            plane[b, SCAN] = exact_loss(own, books.rows[held], books.quantities[held])
        plane[b, MINIMUM] = max(plane[b, SCAN], plane[b, MINIMUM]) - plane[b, SCAN]


@literal_kernel
def empty_parts(slices: CoinSlices) -> FloatArray:
    """Return room for the parts of every coin and account, of shape (n_currencies, n_accounts, PARTS)."""
    return np.zeros((slices.indptr.shape[0], slices.indptr.shape[1] - 1, PARTS))


@literal_kernel
def margin_coin(grid: GridColumns, slices: CoinSlices, cash: FloatArray, c: int, parts: FloatArray) -> None:
    """Write what the positions in coin `c` ask for, account by account, to ``parts[c]``.

    Parameters
    ----------
    cash : array of shape (n_accounts, n_currencies)
        Coins, profit since entry included; negative is owed.
    """
    margin_coin_of_some(grid, slices, cash, c, parts, 0, cash.shape[0])


@literal_kernel
def margin_coin_of_some(
    grid: GridColumns, slices: CoinSlices, cash: FloatArray, c: int, parts: FloatArray, first: int, last: int
) -> None:
    """Write the parts of coin `c` for accounts `first` up to `last`."""
    _margin_slice(grid, coin_grid(grid, c), slices, cash, parts, first, last)
