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
    empty_parts,
    margin_coin,
    margin_coin_of_some,
)
from crossmargin.margin.coin_slices import CoinSlices, coin_slices
from crossmargin.margin.grid_columns import GridColumns, opened, packed
from crossmargin.margin.grid_kernels import EQUITY, INITIAL, MAINTENANCE, WORTH, credit_of
from crossmargin.margin.scan_loss import BLOCK
from crossmargin.risk.exact_sum import exact_sum, rounded, sum_columns
from crossmargin.units import FloatArray, IntArray


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
    n = grid.index_price.size
    adding = bool((grid.add_on != 0.0).any())
    moving = np.flatnonzero((grid.is_dollar == 0) | (slices.indptr[:, 0] < slices.indptr[:, -1]))
    n_parts = (CONCENTRATION + 1) * moving.size + grid.offset_credits.size
    terms, totals, values = np.empty((n_parts, BLOCK)), np.empty(BLOCK), np.empty(BLOCK)
    coins, assets, worths, equities = (
        np.empty((n + 1, BLOCK)),
        np.empty((2 * n + 1, BLOCK)),
        totals.copy(),
        totals.copy(),
    )
    for start in range(first, last, BLOCK):
        size = min(BLOCK, last - start)
        _add_values(grid, slices, parts, moving, start, size, values)
        _parts_of(grid, parts, moving, start, size, terms)
        sum_columns(terms, size, totals)
        _assets_of(grid, cash, parts, start, size, values, coins, assets)
        sum_columns(coins[:n], size, worths)
        sum_columns(assets, size, equities)
        for b in range(size):
            a, extra = start + b, 0.0
            if adding:
                extra = _add_on(grid, slices, a)
            out[a, INITIAL], out[a, MAINTENANCE] = totals[b] + extra, grid.rates[0] * totals[b]
            out[a, WORTH], out[a, EQUITY] = worths[b] + values[b], equities[b]


@literal_kernel
def _parts_of(grid: GridColumns, parts: FloatArray, moving: IntArray, start: int, size: int, terms: FloatArray) -> None:
    """Write what initial margin is made of, the credits of offsets included, term by term and account by account."""
    for m in range(moving.size):
        for b in range(size):
            for j in range(CONCENTRATION + 1):
                terms[m * (CONCENTRATION + 1) + j, b] = parts[moving[m], start + b, j]
    n_offsets, pairs, shares = grid.offset_credits.size, grid.offset_pairs, grid.offset_credits
    if n_offsets == 0:
        return
    scans, done = np.zeros(grid.index_price.size), (CONCENTRATION + 1) * moving.size
    for b in range(size):
        a = start + b
        for m in range(moving.size):
            scans[moving[m]] = parts[moving[m], a, SCAN]
        for o in range(n_offsets):
            one, other = pairs[o, 0], pairs[o, 1]
            terms[done + o, b] = 0.0
            if parts[one, a, DELTA] * parts[other, a, DELTA] < 0.0:
                matched = min(scans[one], scans[other])
                scans[one] -= matched
                scans[other] -= matched
                terms[done + o, b] = -(2.0 * matched * shares[o])


@literal_kernel
def _add_values(
    grid: GridColumns,
    slices: CoinSlices,
    parts: FloatArray,
    moving: IntArray,
    start: int,
    size: int,
    values: FloatArray,
) -> None:
    """Write the value of what was paid for, rounded once over all coins."""
    indptr = slices.indptr
    for b in range(size):
        a, positions, value, lost, rests = start + b, 0, 0.0, 0.0, 0.0
        for m in range(moving.size):
            c = moving[m]
            positions += indptr[c, a + 1] - indptr[c, a] + 4
            after = value + parts[c, a, VALUE]
            back = after - value
            rest = (value - (after - back)) + (parts[c, a, VALUE] - back)
            lost += parts[c, a, LOST] + rest
            rests += parts[c, a, SIZE] + abs(rest)
            value = after
        low, high = rounded(value, lost, rests, positions)
        values[b] = low if low == high else _value(grid, slices, a)


@literal_kernel
def _assets_of(
    grid: GridColumns,
    cash: FloatArray,
    parts: FloatArray,
    start: int,
    size: int,
    values: FloatArray,
    coins: FloatArray,
    assets: FloatArray,
) -> None:
    """Write what each currency is worth, and what it counts for: coins in the risk array in full, the rest haircut."""
    prices, tiers, haircut, up_to = grid.index_price, grid.tier_first, grid.haircut, grid.up_to
    n, is_dollar = prices.size, grid.is_dollar
    for c in range(n):
        price, whole = prices[c], c == grid.numeraire
        for b in range(size):
            held = 0.0 if is_dollar[c] else parts[c, start + b, HEDGING]
            coins[c, b], assets[2 * c, b] = cash[start + b, c] * price, held * price
            rest = (cash[start + b, c] - held) * price
            assets[2 * c + 1, b] = (
                rest if whole or rest <= 0.0 else credit_of(rest, tiers[c], tiers[c + 1], haircut, up_to)
            )
    assets[2 * n, :size] = values[:size]


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
def _value(grid: GridColumns, slices: CoinSlices, a: int) -> float:
    """Return the value of what was paid for, from all positions: for sums at the edge of rounding."""
    count = 0
    for c in range(slices.indptr.shape[0]):
        count += slices.indptr[c, a + 1] - slices.indptr[c, a]
    terms, size = np.empty(count), 0
    for c in range(slices.indptr.shape[0]):
        for k in range(slices.indptr[c, a], slices.indptr[c, a + 1]):
            terms[size] = slices.quantities[k] * grid.unit_value[slices.rows[k]]
            size += 1
    return exact_sum(terms)


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
        _remargin_in_parallel(*packed(grid), slices, cash, moved, parts, out, threads)


@parallel_kernel
def _remargin_in_parallel(
    floats: FloatArray,
    integers: IntArray,
    slices: CoinSlices,
    cash: FloatArray,
    moved: IntArray,
    parts: FloatArray,
    out: FloatArray,
    threads: int,
) -> None:
    share = (cash.shape[0] + threads - 1) // threads
    for thread in numba.prange(threads):
        first, last = min(thread * share, cash.shape[0]), min((thread + 1) * share, cash.shape[0])
        _remargin_some(floats, integers, slices, cash, moved, parts, out, first, last)


@literal_kernel
def _remargin_some(
    floats: FloatArray,
    integers: IntArray,
    slices: CoinSlices,
    cash: FloatArray,
    moved: IntArray,
    parts: FloatArray,
    out: FloatArray,
    first: int,
    last: int,
) -> None:
    grid = opened(floats, integers)
    for c in moved:
        margin_coin_of_some(grid, slices, cash, int(c), parts, first, last)
    _combine(grid, slices, cash, parts, out, first, last)
