"""What one coin's positions ask for under `scenario_grid`, for many books at once: a row of `parts` per account.

Sums that are rounded once are the same in any order of their terms; sums that are added up one by one are added up in
the order of rows. `grid_slices` puts the parts of all coins together.

What bounds the speed is reading risk rows: 25 positions of a coin on 1,005 scenarios are 200 kB per account. A tile of
scenarios of all rows of a coin therefore stays in the first-level cache while a block of accounts passes over it.
"""

from typing import NamedTuple

import numpy as np

from crossmargin.compilation import literal_kernel
from crossmargin.margin.grid_columns import OPTION, GridColumns
from crossmargin.margin.grid_kernels import DUST, liquidity_add_ons
from crossmargin.risk.exact_sum import PARTIALS, ROUNDING, sum_exactly
from crossmargin.risk.tiles import TILE, least_in_tile, tiles_of
from crossmargin.units import FloatArray, IntArray

SCAN, MINIMUM, BASIS, LIQUIDITY, CONCENTRATION, DELTA, HEDGING, VALUE, LOST, SIZE, PARTS = range(11)
"""Columns of a coin's part: five of initial margin, USD per +100 %, coins in the risk array, the value of what was paid
for with what its sum lost to rounding, and their number."""
BLOCK = 128
"""Accounts that pass over a tile before the next one is fetched."""
_UNIT, _SHORT, _DELTA, _EXPIRY, _REACH = range(5)
"""Columns of what is read of an instrument beside its risk row."""
_VALUE, _EXPOSURE, _COINS, _NET, _SIZES, _GROSS, _SUMS = 0, 3, 6, 9, 12, 15, 16
"""Rows of the sums of a block of accounts; those of the expiries follow."""


class CoinSlices(NamedTuple):
    """Books in compressed sparse rows, coin by coin.

    Attributes
    ----------
    indptr : integers of shape (n_currencies, n_accounts + 1)
        Positions of account a in coin c are those from ``indptr[c, a]`` up to ``indptr[c, a + 1]``.
    rows, quantities : arrays of shape (n_positions,)
        Rows increase within a slice; quantities are contracts, not 0.
    """

    indptr: IntArray
    rows: IntArray
    quantities: FloatArray


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
    own_rows, own = np.empty(rows.size, dtype=np.int64), np.empty(rows.size)
    place = np.empty(n_currencies, dtype=np.int64)
    for a in range(n_accounts):
        place[:] = starts[:, a]
        for k in range(indptr[a], indptr[a + 1]):
            c = coin[rows[k]]
            own_rows[place[c]], own[place[c]] = rows[k], quantities[k]
            place[c] += 1
    return CoinSlices(starts, own_rows, own)


class _CoinGrid(NamedTuple):
    """What one coin's slice reads of the grid.

    Attributes
    ----------
    place : integers of shape (n_instruments,)
        Where a row stands among those of the coin.
    tiles : array of shape (n_tiles, n_own, TILE)
    lines : array of shape (n_own, 5)
        Unit value, coins in a short option, delta, number of the expiry, and the largest profit or loss.
    """

    c: int
    asset: int
    place: IntArray
    tiles: FloatArray
    lines: FloatArray


@literal_kernel
def _coin_grid(grid: GridColumns, c: int) -> _CoinGrid:
    place, chosen = np.empty(grid.coin.size, dtype=np.int64), np.empty(grid.coin.size, dtype=np.int64)
    count, asset = 0, 0
    for row in range(grid.coin.size):
        if grid.coin[row] == c or row == grid.asset_row[c]:
            if row == grid.asset_row[c]:
                asset = count
            place[row], chosen[count] = count, row
            count += 1
    lines = np.zeros((count, 5))
    for k in range(count):
        row = chosen[k]
        lines[k, _UNIT] = grid.unit_value[row]
        lines[k, _SHORT] = grid.contract_size[row] if grid.kind[row] == OPTION else 0.0
        lines[k, _DELTA], lines[k, _EXPIRY] = grid.delta[row], grid.expiry[row]
        for s in range(grid.pnl.shape[1]):
            lines[k, _REACH] = max(lines[k, _REACH], abs(grid.pnl[row, s]))
    return _CoinGrid(c, asset, place, tiles_of(grid.pnl, chosen[:count]), lines)


@literal_kernel
def _margin_slice(
    grid: GridColumns, own: _CoinGrid, slices: CoinSlices, cash: FloatArray, parts: FloatArray, first: int, last: int
) -> None:
    """Write the parts of a coin for accounts `first` to `last` to its plane of `parts`."""
    c, indptr = own.c, slices.indptr[own.c]
    # by their own names, because handing over a whole grid to a function costs more than what that does
    price, rates, rule = grid.index_price[c], grid.rates, grid.liquidity[c]
    places, held_rows, held_quantities = own.place, slices.rows, slices.quantities
    moves, asset_reach, tiles = not grid.is_dollar[c], own.lines[own.asset, _REACH], own.tiles
    most = 1
    for a in range(first, last):
        most = max(most, indptr[a + 1] - indptr[a] + 1)
    rows, quantities = np.empty(BLOCK * most, dtype=np.int64), np.empty(BLOCK * most)
    counts, lowest = np.empty(BLOCK, dtype=np.int64), np.empty(BLOCK)
    dense, sums = np.empty((own.lines.shape[0], BLOCK)), np.empty((_SUMS + grid.n_expiries, BLOCK))
    bounds = np.empty((_GROSS, BLOCK))
    vector, terms, partials = np.empty(grid.pnl.shape[1]), np.empty(most), np.empty(PARTIALS)
    expiries = np.empty(grid.n_expiries)
    for start in range(first, last, BLOCK):
        size = min(BLOCK, last - start)
        dense[:] = 0.0
        for b in range(size):
            for k in range(indptr[start + b], indptr[start + b + 1]):
                dense[places[held_rows[k]], b] = held_quantities[k]
        _add_up(dense, own.lines, sums)
        for at in (_EXPOSURE, _COINS, _NET, _SIZES):
            _round(sums[at], sums[at + 1], sums[at + 2], sums.shape[0] + dense.shape[0], bounds[at], bounds[at + 1])
        _sharpen(slices, own, start, size, sums, bounds, expiries, terms, partials)
        for b in range(size):
            held = _hedging(cash[start + b, c], bounds[_EXPOSURE, b], price) if moves else 0.0
            if held != 0.0:
                bounds[_EXPOSURE, b] = _exposure(slices, own, start + b, held, terms, partials)
            parts[c, start + b, HEDGING], lowest[b] = held, 0.0
            counts[b] = _copy(slices, own, start + b, held, rows, quantities, b * most)
        for t in range(tiles.shape[0]):
            for b in range(size):
                loss = least_in_tile(tiles, t, rows, quantities, b * most, b * most + counts[b])
                lowest[b] = min(lowest[b], loss)
        for b in range(size):
            a, part, every = start + b, parts[c, start + b], slice(b * most, b * most + counts[b])
            part[VALUE], part[LOST], part[SIZE] = sums[_VALUE, b], sums[_VALUE + 1, b], sums[_VALUE + 2, b]
            part[SCAN] = -lowest[b]
            # only near the edge does the rounding of a perfect hedge decide
            if 0.0 < part[SCAN] <= 2.0 * DUST * (sums[_GROSS, b] + abs(part[HEDGING]) * asset_reach):
                part[SCAN] = _exact_loss(own, rows[every], quantities[every], vector, terms, partials)
            net = abs(bounds[_NET, b])
            part[MINIMUM] = max(part[SCAN], rates[1] * price * bounds[_COINS, b]) - part[SCAN]
            part[BASIS], part[DELTA] = rates[2] * (bounds[_SIZES, b] - net), bounds[_EXPOSURE, b]
            part[LIQUIDITY], part[CONCENTRATION] = liquidity_add_ons(rule, rates, net)


@literal_kernel
def _hedging(coins: float, exposed: float, price: float) -> float:
    """Return the coins that enter the risk array: all that is owed, and what offsets the derivatives' delta."""
    return coins if coins < 0.0 else float(min(coins, max(-exposed, 0.0) / price))


@literal_kernel
def _sharpen(
    slices: CoinSlices,
    own: _CoinGrid,
    start: int,
    size: int,
    sums: FloatArray,
    bounds: FloatArray,
    expiries: FloatArray,
    terms: FloatArray,
    partials: FloatArray,
) -> None:
    """Add up once more, with all digits, what lies at the edge of rounding."""
    for b in range(size):
        if bounds[_EXPOSURE, b] != bounds[_EXPOSURE + 1, b]:
            bounds[_EXPOSURE, b] = _exposure(slices, own, start + b, 0.0, terms, partials)
        if bounds[_COINS, b] != bounds[_COINS + 1, b]:
            bounds[_COINS, b] = _short_coins(slices, own, start + b, terms, partials)
        if bounds[_NET, b] != bounds[_NET + 1, b] or bounds[_SIZES, b] != bounds[_SIZES + 1, b]:
            expiries[:] = sums[_SUMS:, b]
            bounds[_NET, b] = sum_exactly(expiries, partials)
            bounds[_SIZES, b] = sum_exactly(np.abs(expiries), partials)


@literal_kernel
def _add_up(dense: FloatArray, lines: FloatArray, sums: FloatArray) -> None:
    """Add up the positions of a block of accounts, each in the order of rows, account beside account.

    `dense` is contracts by row and account. Three sums are kept with what their additions rounded away (Knuth, The Art
    of Computer Programming 2, 4.2.2), so that `_rounded` can round them once.
    """
    sums[:] = 0.0
    for k in range(lines.shape[0]):
        held = dense[k]
        _add_products(held, lines[k, _UNIT], sums[_VALUE], sums[_VALUE + 1], sums[_VALUE + 2])
        _add_products(held, lines[k, _DELTA], sums[_EXPOSURE], sums[_EXPOSURE + 1], sums[_EXPOSURE + 2])
        if lines[k, _SHORT] != 0.0:
            _add_shorts(held, lines[k, _SHORT], sums[_COINS], sums[_COINS + 1], sums[_COINS + 2])
        _add_sizes(held, lines[k, _DELTA], lines[k, _REACH], sums[_SUMS + int(lines[k, _EXPIRY])], sums[_GROSS])
    for e in range(_SUMS, sums.shape[0]):
        _add_products(sums[e], 1.0, sums[_NET], sums[_NET + 1], sums[_NET + 2])
        _add_products(np.abs(sums[e]), 1.0, sums[_SIZES], sums[_SIZES + 1], sums[_SIZES + 2])


@literal_kernel
def _round(
    total: FloatArray, lost: FloatArray, size: FloatArray, count: int, low: FloatArray, high: FloatArray
) -> None:
    for b in range(total.size):
        reach = 2.0 * count * ROUNDING * size[b] + 4.0 * ROUNDING * abs(lost[b])
        low[b], high[b] = total[b] + (lost[b] - reach), total[b] + (lost[b] + reach)


@literal_kernel
def _add_products(held: FloatArray, price: float, total: FloatArray, lost: FloatArray, size: FloatArray) -> None:
    for b in range(held.size):
        term, before = held[b] * price, total[b]
        after = before + term
        part = after - before
        rest = (before - (after - part)) + (term - part)
        total[b] = after
        lost[b] += rest
        size[b] += abs(rest)


@literal_kernel
def _add_shorts(held: FloatArray, coins: float, total: FloatArray, lost: FloatArray, size: FloatArray) -> None:
    for b in range(held.size):
        term, before = (-held[b] if held[b] < 0.0 else 0.0) * coins, total[b]
        after = before + term
        part = after - before
        rest = (before - (after - part)) + (term - part)
        total[b] = after
        lost[b] += rest
        size[b] += abs(rest)


@literal_kernel
def _add_sizes(held: FloatArray, delta: float, reach: float, expiry: FloatArray, gross: FloatArray) -> None:
    for b in range(held.size):
        expiry[b] += held[b] * delta
        gross[b] += abs(held[b]) * reach


@literal_kernel
def _copy(
    slices: CoinSlices, own: _CoinGrid, a: int, coins: float, rows: IntArray, quantities: FloatArray, first: int
) -> int:
    """Write positions, and coins in the risk array among them, from place `first` on; return their number."""
    place, waiting = first, coins != 0.0
    places, held_rows, held = own.place, slices.rows, slices.quantities
    for k in range(slices.indptr[own.c, a], slices.indptr[own.c, a + 1]):
        row = places[held_rows[k]]
        if waiting and own.asset < row:
            rows[place], quantities[place] = own.asset, coins
            place, waiting = place + 1, False
        rows[place], quantities[place] = row, held[k]
        place += 1
    if waiting:
        rows[place], quantities[place] = own.asset, coins
        place += 1
    return place - first


@literal_kernel
def _exposure(
    slices: CoinSlices, own: _CoinGrid, a: int, coins: float, terms: FloatArray, partials: FloatArray
) -> float:
    """Return the USD exposure of a slice and of `coins`, rounded once."""
    begin, end = slices.indptr[own.c, a], slices.indptr[own.c, a + 1]
    for k in range(begin, end):
        terms[k - begin] = slices.quantities[k] * own.lines[own.place[slices.rows[k]], _DELTA]
    terms[end - begin] = coins * own.lines[own.asset, _DELTA] if coins != 0.0 else 0.0
    return sum_exactly(terms[: end - begin + 1], partials)


@literal_kernel
def _short_coins(slices: CoinSlices, own: _CoinGrid, a: int, terms: FloatArray, partials: FloatArray) -> float:
    """Return the coins in short options of a slice, rounded once."""
    begin, end = slices.indptr[own.c, a], slices.indptr[own.c, a + 1]
    for k in range(begin, end):
        terms[k - begin] = max(-slices.quantities[k], 0.0) * own.lines[own.place[slices.rows[k]], _SHORT]
    return sum_exactly(terms[: end - begin], partials)


@literal_kernel
def _exact_loss(
    own: _CoinGrid,
    rows: IntArray,
    quantities: FloatArray,
    vector: FloatArray,
    terms: FloatArray,
    partials: FloatArray,
) -> float:
    """Return the largest loss of a slice, or 0 if it is but rounding."""
    gross, lowest = 0.0, 0.0
    for s in range(vector.size):
        profit = 0.0
        for k in range(rows.size):
            profit += quantities[k] * own.tiles[s // TILE, rows[k], s % TILE]
        if profit < lowest:
            lowest = profit
            for k in range(rows.size):
                terms[k] = abs(quantities[k] * own.tiles[s // TILE, rows[k], s % TILE])
            gross = sum_exactly(terms[: rows.size], partials)
    return -lowest if -lowest > DUST * gross else 0.0


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
    _margin_slice(grid, _coin_grid(grid, c), slices, cash, parts, first, last)
