"""`scenario_grid` for many books at once, coin by coin: after a move of one coin only its slice is computed anew.

What a coin's positions ask for is a row of `parts` per account (`coin_parts`); `combined` puts the parts of all coins
together. The figures have the bits of `grid_kernels.margin_book`: sums that are rounded once are the same in any order of
their terms, sums that are added up one by one lie within one coin.
"""

import numba
import numpy as np

from crossmargin.compilation import literal_kernel, parallel_kernel
from crossmargin.margin.coin_parts import (
    CONCENTRATION,
    DELTA,
    HEDGING,
    LOST,
    SCAN,
    SIZE,
    VALUE,
    CoinSlices,
    coin_slices,
    empty_parts,
    margin_coin,
    margin_coin_of_some,
)
from crossmargin.margin.grid_columns import GridColumns, opened, packed
from crossmargin.margin.grid_kernels import EQUITY, INITIAL, MAINTENANCE, WORTH, collateral
from crossmargin.risk.exact_sum import PARTIALS, ROUNDING, sum_exactly
from crossmargin.units import FloatArray, IntArray


@literal_kernel
def rounded(total: float, lost: float, size: float, count: int) -> tuple[float, float]:
    """Return the two floats between which a sum of `count` terms lies: if they are one, the sum rounded once.

    `lost` is the sum of what additions rounded away, `size` that of its sizes.
    """
    reach = 2.0 * count * ROUNDING * size + 4.0 * ROUNDING * abs(lost)
    return total + (lost - reach), total + (lost + reach)


@literal_kernel
def _combine(
    grid: GridColumns,
    slices: CoinSlices,
    cash: FloatArray,
    parts: FloatArray,
    out: FloatArray,
    first: int,
    last: int,
) -> None:
    """Write equity, initial margin, maintenance margin and worth of accounts `first` to `last` to `out`."""
    n, n_offsets = grid.index_price.size, grid.offset_credits.size
    terms, partials = np.empty(5 * n + n_offsets + 1), np.empty(PARTIALS)
    scans, hedging, moving = np.empty(n), np.zeros(n), np.empty(n, dtype=np.int64)
    adding = bool((grid.add_on != 0.0).any())
    count = 0
    for c in range(n):
        if not grid.is_dollar[c] or slices.indptr[c, 0] < slices.indptr[c, -1]:
            moving[count] = c
            count += 1
    moving = moving[:count]
    for a in range(first, last):
        size, positions, value, lost, rests = 0, 0, 0.0, 0.0, 0.0
        for m in range(moving.size):
            c = int(moving[m])
            part = parts[c, a]
            for j in range(SCAN, CONCENTRATION + 1):
                terms[size + j] = part[j]
            size += CONCENTRATION + 1
            scans[c], hedging[c] = part[SCAN], part[HEDGING]
            positions += slices.indptr[c, a + 1] - slices.indptr[c, a] + 4
            after = value + part[VALUE]
            back = after - value
            rest = (value - (after - back)) + (part[VALUE] - back)
            lost += part[LOST] + rest
            rests += part[SIZE] + abs(rest)
            value = after
        for o in range(n_offsets):
            one, other = grid.offset_pairs[o, 0], grid.offset_pairs[o, 1]
            if parts[one, a, DELTA] * parts[other, a, DELTA] < 0.0:
                matched = min(scans[one], scans[other])
                scans[one] -= matched
                scans[other] -= matched
                terms[size] = -(2.0 * matched * grid.offset_credits[o])
                size += 1
        total, extra = sum_exactly(terms[:size], partials), 0.0
        if adding:
            extra = _add_on(grid, slices, a)
        out[a, INITIAL], out[a, MAINTENANCE] = total + extra, grid.rates[0] * total
        low, high = rounded(value, lost, rests, positions)
        if low != high:
            low = _value(grid, slices, a, partials)
        for c in range(n):
            terms[c] = cash[a, c] * grid.index_price[c]
        out[a, WORTH] = sum_exactly(terms[:n], partials) + low
        collateral(cash[a], hedging, grid.index_price, grid.numeraire, grid.tier_first, grid.haircut, grid.up_to, terms)
        terms[2 * n] = low
        out[a, EQUITY] = sum_exactly(terms[: 2 * n + 1], partials)


@literal_kernel
def _add_on(grid: GridColumns, slices: CoinSlices, a: int) -> float:
    """Return initial margin on top of the method, added up in the order of rows over all coins."""
    total, done = 0.0, -1
    while True:
        row, place = grid.add_on.size, -1
        for c in range(slices.indptr.shape[0]):
            for k in range(slices.indptr[c, a], slices.indptr[c, a + 1]):
                if done < slices.rows[k] < row:
                    row, place = slices.rows[k], k
        if place < 0:
            return total
        total += abs(slices.quantities[place]) * grid.add_on[row]
        done = row


@literal_kernel
def _value(grid: GridColumns, slices: CoinSlices, a: int, partials: FloatArray) -> float:
    """Return the value of what was paid for, from all positions: for sums at the edge of rounding."""
    count = 0
    for c in range(slices.indptr.shape[0]):
        count += slices.indptr[c, a + 1] - slices.indptr[c, a]
    terms, size = np.empty(count), 0
    for c in range(slices.indptr.shape[0]):
        for k in range(slices.indptr[c, a], slices.indptr[c, a + 1]):
            terms[size] = slices.quantities[k] * grid.unit_value[slices.rows[k]]
            size += 1
    return sum_exactly(terms, partials)


@literal_kernel
def combined(grid: GridColumns, slices: CoinSlices, cash: FloatArray, parts: FloatArray, out: FloatArray) -> None:
    """Write the figures of all accounts, of shape (n_accounts, 4), to `out` from the parts of their coins."""
    _combine(grid, slices, cash, parts, out, 0, cash.shape[0])


@literal_kernel
def margin_slices(grid: GridColumns, slices: CoinSlices, cash: FloatArray, out: FloatArray) -> FloatArray:
    """Write the figures of all accounts to `out`; return the parts of their coins."""
    parts = empty_parts(slices)
    for c in range(grid.index_price.size):
        if not grid.is_dollar[c] or slices.indptr[c, 0] < slices.indptr[c, -1]:
            margin_coin(grid, slices, cash, c, parts)
    combined(grid, slices, cash, parts, out)
    return parts


@literal_kernel
def margin_books(
    grid: GridColumns, indptr: IntArray, rows: IntArray, quantities: FloatArray, cash: FloatArray, out: FloatArray
) -> None:
    """Write the figures of many books, in compressed sparse rows, to `out` of shape (n_accounts, 4)."""
    margin_slices(grid, coin_slices(grid.coin, grid.index_price.size, indptr, rows, quantities), cash, out)


def remargin_coins(
    grid: GridColumns,
    slices: CoinSlices,
    cash: FloatArray,
    moved: IntArray,
    parts: FloatArray,
    out: FloatArray,
    *,
    threads: int = 1,
) -> None:
    """Margin all accounts anew after the prices of `moved` coins; any number of `threads` gives the same bits.

    `parts` are those of the grid before, and are brought up to date.
    """
    if threads == 1:
        for c in moved:
            margin_coin(grid, slices, cash, int(c), parts)
        combined(grid, slices, cash, parts, out)
    else:
        _remargin_in_parallel(
            *packed(grid), slices.indptr, slices.rows, slices.quantities, cash, moved, parts, out, threads
        )


@parallel_kernel
def _remargin_in_parallel(
    floats: FloatArray,
    integers: IntArray,
    indptr: IntArray,
    rows: IntArray,
    quantities: FloatArray,
    cash: FloatArray,
    moved: IntArray,
    parts: FloatArray,
    out: FloatArray,
    threads: int,
) -> None:
    share = (cash.shape[0] + threads - 1) // threads
    for thread in numba.prange(threads):
        first, last = min(thread * share, cash.shape[0]), min((thread + 1) * share, cash.shape[0])
        _remargin_some(floats, integers, indptr, rows, quantities, cash, moved, parts, out, first, last)


@literal_kernel
def _remargin_some(
    floats: FloatArray,
    integers: IntArray,
    indptr: IntArray,
    rows: IntArray,
    quantities: FloatArray,
    cash: FloatArray,
    moved: IntArray,
    parts: FloatArray,
    out: FloatArray,
    first: int,
    last: int,
) -> None:
    grid, slices = opened(floats, integers), CoinSlices(indptr, rows, quantities)
    for c in moved:
        margin_coin_of_some(grid, slices, cash, int(c), parts, first, last)
    _combine(grid, slices, cash, parts, out, first, last)
