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
from crossmargin.risk.exact_sum import ROUNDING, exact_sum
from crossmargin.risk.tiles import (
    HUGE,
    TILE,
    TINY,
    SingleArray,
    in_singles,
    least_in_pair,
    least_in_tile,
    rounding_of,
    tiles_of,
)
from crossmargin.units import BoolArray, FloatArray, IntArray

SCAN, MINIMUM, BASIS, LIQUIDITY, CONCENTRATION, DELTA, HEDGING, VALUE, LOST, SIZE, PARTS = range(11)
"""Columns of a coin's part: five of initial margin, USD per +100 %, coins in the risk array, the value of what was paid
for with what its sum lost to rounding, and their number."""
BLOCK = 128
"""Accounts that pass over a tile before the next one is fetched."""
_SHORT_BLOCK = 32
"""Accounts that pass over a pair of tiles before the next: their positions and the pair fit in the first-level cache."""
_PAD = 8
"""Places between rows of a block, or a column of it would lie in few sets of the cache."""
SCREENED = 4
"""Tiles from which on it pays to screen them in single precision first."""
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


class _CoinGrid(NamedTuple):
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


class _Books(NamedTuple):
    """A block of accounts: positions of account b, hedging coins included, are those from `begins` up to `ends`.

    `rows` are places among the rows of the coin; `is_screened` says whether single precision holds quantities and rows.
    """

    rows: IntArray
    quantities: FloatArray
    singles: SingleArray
    begins: IntArray
    ends: IntArray
    is_screened: bool


@literal_kernel
def _coin_grid(grid: GridColumns, c: int) -> _CoinGrid:
    chosen = np.flatnonzero(grid.coin == c)
    asset = 0
    lines = np.zeros((chosen.size, 5))
    for k in range(chosen.size):
        row = chosen[k]
        if row == grid.asset_row[c]:
            asset = k
        lines[k, _UNIT] = grid.unit_value[row]
        lines[k, _SHORT] = grid.contract_size[row] if grid.kind[row] == OPTION else 0.0
        lines[k, _DELTA], lines[k, _EXPIRY], reach = grid.delta[row], grid.expiry[row], TINY
        for s in range(grid.pnl.shape[1]):
            reach = max(reach, abs(grid.pnl[row, s]))
        lines[k, _REACH] = reach
    tiles = tiles_of(grid.pnl, chosen)
    is_screened = tiles.shape[0] >= SCREENED and bool((lines[:, _REACH] < HUGE).all())
    return _CoinGrid(c, asset, tiles, in_singles(tiles if is_screened else tiles[:0]), lines, is_screened)


@literal_kernel
def _margin_slice(
    grid: GridColumns, own: _CoinGrid, slices: CoinSlices, cash: FloatArray, parts: FloatArray, first: int, last: int
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
    dense, sums = np.empty((own.lines.shape[0], BLOCK + _PAD)), np.empty((_SUMS + grid.n_expiries, BLOCK))
    bounds = np.empty((_GROSS, BLOCK))
    for start in range(first, last, BLOCK):
        size = min(BLOCK, last - start)
        _spread(indptr, slices.places, slices.quantities, start, size, dense)
        _add_up(dense, own.lines, sums)
        for at in (_EXPOSURE, _COINS, _NET, _SIZES):
            _round(sums[at], sums[at + 1], sums[at + 2], sums.shape[0] + dense.shape[0], bounds[at], bounds[at + 1])
        _sharpen(slices, own, start, size, sums, bounds)
        is_hedged = not grid.is_dollar[c] and _hedge(grid, slices, own, cash, start, size, hedging, bounds, sums)
        if is_hedged:
            fits = _gather(
                indptr, slices.places, slices.quantities, own.asset, start, size, hedging, rows, quantities, singles
            )
            for b in range(size):
                begins[b], ends[b] = b * most, b * most + indptr[start + b + 1] - indptr[start + b]
                ends[b] += 1 if hedging[b] != 0.0 else 0
            books = _Books(rows, quantities, singles, begins, ends, own.is_screened and slices.is_ordinary[c] and fits)
        else:
            begins[:size], ends[:size] = indptr[start : start + size], indptr[start + 1 : start + size + 1]
            is_screened = own.is_screened and slices.is_ordinary[c]
            books = _Books(slices.places, slices.quantities, slices.singles, begins, ends, is_screened)
        lowest[:] = 0.0
        if books.is_screened:
            _least_near(own, books, size, sums[_GROSS], nearly, lowest)
        else:
            _least(own.tiles, books, size, lowest)
        _write_parts(grid, own, sums, bounds, hedging, lowest, size, parts[c, start:])
        _drop_dust(own, books, sums[_GROSS], size, parts[c, start:])


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
    own: _CoinGrid,
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
    c, price, reach, found = own.c, grid.index_price[own.c], own.lines[own.asset, _REACH], False
    for b in range(size):
        coins = cash[start + b, c]
        if coins > 0.0:
            coins = min(coins, max(-bounds[_EXPOSURE, b], 0.0) / price)
        hedging[b] = coins
        if coins != 0.0:
            bounds[_EXPOSURE, b] = _exposure(slices, own, start + b, coins)
            sums[_GROSS, b] += abs(coins) * reach
            found = True
    return found


@literal_kernel
def _gather(
    indptr: IntArray,
    places: IntArray,
    held: FloatArray,
    asset: int,
    start: int,
    size: int,
    hedging: FloatArray,
    rows: IntArray,
    quantities: FloatArray,
    singles: SingleArray,
) -> bool:
    """Write positions, hedging coins among them, account by account; return whether single precision holds the coins."""
    most, fits = rows.size // BLOCK, True
    for b in range(size):
        place, coins, k, end = b * most, hedging[b], indptr[start + b], indptr[start + b + 1]
        if coins != 0.0:
            while k < end and places[k] <= asset:
                rows[place], quantities[place], singles[place] = places[k], held[k], held[k]
                place, k = place + 1, k + 1
            rows[place], quantities[place], singles[place] = asset, coins, coins
            fits &= TINY < abs(coins) < HUGE
            place += 1
        for rest in range(k, end):
            rows[place], quantities[place], singles[place] = places[rest], held[rest], held[rest]
            place += 1
    return fits


@literal_kernel
def _least(tiles: FloatArray, books: _Books, size: int, lowest: FloatArray) -> None:
    """Write the least profit of each account, at most 0."""
    rows, quantities, begins, ends = books.rows, books.quantities, books.begins, books.ends
    for t in range(tiles.shape[0]):
        for b in range(size):
            lowest[b] = min(lowest[b], least_in_tile(tiles, t, rows, quantities, begins[b], ends[b]))


@literal_kernel
def _least_near(
    own: _CoinGrid, books: _Books, size: int, gross: FloatArray, nearly: SingleArray, lowest: FloatArray
) -> None:
    """Do what `_least` does, passing over tiles in which, by a screen in single precision, the least cannot be."""
    tiles, pairs = own.tiles, own.singles
    rows, quantities, singles, begins, ends = books.rows, books.quantities, books.singles, books.begins, books.ends
    for first in range(0, size, _SHORT_BLOCK):
        last = min(first + _SHORT_BLOCK, size)
        for pair in range(pairs.shape[0]):
            for b in range(first, last):
                least_in_pair(pairs, pair, rows, singles, begins[b], ends[b], nearly, b * nearly.shape[1] + 2 * pair)
    for b in range(size):
        least = np.inf
        for t in range(tiles.shape[0]):
            least = min(least, nearly[b, t])
        reach = rounding_of(ends[b] - begins[b], gross[b])
        edge = min(least + 2.0 * reach, reach)
        for t in range(tiles.shape[0]):
            if nearly[b, t] <= edge:
                lowest[b] = min(lowest[b], least_in_tile(tiles, t, rows, quantities, begins[b], ends[b]))


@literal_kernel
def _write_parts(
    grid: GridColumns,
    own: _CoinGrid,
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
        net, scan = abs(bounds[_NET, b]), -lowest[b]
        plane[b, HEDGING], plane[b, DELTA], plane[b, SCAN] = hedging[b], bounds[_EXPOSURE, b], scan
        plane[b, VALUE], plane[b, LOST], plane[b, SIZE] = sums[_VALUE, b], sums[_VALUE + 1, b], sums[_VALUE + 2, b]
        plane[b, MINIMUM] = minimum * price * bounds[_COINS, b]
        plane[b, BASIS] = basis * (bounds[_SIZES, b] - net)
        plane[b, LIQUIDITY], plane[b, CONCENTRATION] = liquidity_add_ons(rule, rates, net)


@literal_kernel
def _drop_dust(own: _CoinGrid, books: _Books, gross: FloatArray, size: int, plane: FloatArray) -> None:
    """Look again at losses that may be but rounding, and let the short-option minimum be what it adds to the loss."""
    for b in range(size):
        # only near the edge does the rounding of a perfect hedge decide
        if 0.0 < plane[b, SCAN] <= 2.0 * DUST * gross[b]:
            held = slice(books.begins[b], books.ends[b])
            plane[b, SCAN] = _exact_loss(own, books.rows[held], books.quantities[held])
        plane[b, MINIMUM] = max(plane[b, SCAN], plane[b, MINIMUM]) - plane[b, SCAN]


@literal_kernel
def _sharpen(slices: CoinSlices, own: _CoinGrid, start: int, size: int, sums: FloatArray, bounds: FloatArray) -> None:
    """Add up once more, with all digits, what lies at the edge of rounding."""
    for b in range(size):
        if bounds[_EXPOSURE, b] != bounds[_EXPOSURE + 1, b]:
            bounds[_EXPOSURE, b] = _exposure(slices, own, start + b, 0.0)
        if bounds[_COINS, b] != bounds[_COINS + 1, b]:
            bounds[_COINS, b] = _short_coins(slices, own, start + b)
        if bounds[_NET, b] != bounds[_NET + 1, b] or bounds[_SIZES, b] != bounds[_SIZES + 1, b]:
            bounds[_NET, b], bounds[_SIZES, b] = exact_sum(sums[_SUMS:, b]), exact_sum(np.abs(sums[_SUMS:, b]))


@literal_kernel
def _add_up(dense: FloatArray, lines: FloatArray, sums: FloatArray) -> None:
    """Add up the positions of a block of accounts, each in the order of rows, account beside account.

    `dense` is contracts by row and account. Three sums are kept with what their additions rounded away (Knuth, The Art
    of Computer Programming 2, 4.2.2), so that `_rounded` can round them once.
    """
    sums[:] = 0.0
    for k in range(lines.shape[0]):
        held = dense[k, :BLOCK]
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
def _exposure(slices: CoinSlices, own: _CoinGrid, a: int, coins: float) -> float:
    """Return the USD exposure of a slice and of `coins`, rounded once."""
    begin, end = slices.indptr[own.c, a], slices.indptr[own.c, a + 1]
    terms = np.zeros(end - begin + 1)
    for k in range(begin, end):
        terms[k - begin] = slices.quantities[k] * own.lines[slices.places[k], _DELTA]
    if coins != 0.0:
        terms[end - begin] = coins * own.lines[own.asset, _DELTA]
    return exact_sum(terms)


@literal_kernel
def _short_coins(slices: CoinSlices, own: _CoinGrid, a: int) -> float:
    """Return the coins in short options of a slice, rounded once."""
    begin, end = slices.indptr[own.c, a], slices.indptr[own.c, a + 1]
    terms = np.empty(end - begin)
    for k in range(begin, end):
        terms[k - begin] = max(-slices.quantities[k], 0.0) * own.lines[slices.places[k], _SHORT]
    return exact_sum(terms)


@literal_kernel
def _exact_loss(own: _CoinGrid, rows: IntArray, quantities: FloatArray) -> float:
    """Return the largest loss of a slice, or 0 if it is but rounding."""
    gross, lowest, terms = 0.0, 0.0, np.empty(rows.size)
    for s in range(own.tiles.shape[0] * TILE):
        profit = 0.0
        for k in range(rows.size):
            profit += quantities[k] * own.tiles[s // TILE, rows[k], s % TILE]
        if profit < lowest:
            lowest = profit
            for k in range(rows.size):
                terms[k] = abs(quantities[k] * own.tiles[s // TILE, rows[k], s % TILE])
            gross = exact_sum(terms)
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
