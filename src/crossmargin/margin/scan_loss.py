"""The largest loss of one coin's positions over all scenarios, for a block of accounts at once.

What bounds the speed is reading risk rows: 25 positions of a coin on 1,005 scenarios are 200 kB per account. A tile of
scenarios of all rows of a coin therefore stays in the first-level cache while a block of accounts passes over it.
"""

from typing import NamedTuple

import numpy as np

from crossmargin.compilation import literal_kernel
from crossmargin.margin.coin_slices import CoinGrid
from crossmargin.margin.grid_kernels import DUST
from crossmargin.risk.exact_sum import exact_sum
from crossmargin.risk.tiles import HUGE, TILE, TINY, SingleArray, least_in_pair, least_in_tile, rounding_of
from crossmargin.units import FloatArray, IntArray

BLOCK = 128
"""Accounts that pass over a tile before the next one is fetched."""
_SHORT_BLOCK = 32
"""Accounts that pass over a pair of tiles before the next: their positions and the pair fit in the first-level cache."""


class ScannedBooks(NamedTuple):
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
def gather(
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
def write_least(tiles: FloatArray, books: ScannedBooks, size: int, lowest: FloatArray) -> None:
    """Write the least profit of each account, at most 0."""
    rows, quantities, begins, ends = books.rows, books.quantities, books.begins, books.ends
    for t in range(tiles.shape[0]):
        for b in range(size):
            lowest[b] = min(lowest[b], least_in_tile(tiles, t, rows, quantities, begins[b], ends[b]))


@literal_kernel
def write_least_screened(
    own: CoinGrid, books: ScannedBooks, size: int, gross: FloatArray, nearly: SingleArray, lowest: FloatArray
) -> None:
    """Do what `write_least` does, passing over tiles in which, by a screen in single precision, the least cannot be."""
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
def exact_loss(own: CoinGrid, rows: IntArray, quantities: FloatArray) -> float:
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
