"""What one coin's positions add up to, for a block of accounts at once, as if every sum were rounded once."""

import numpy as np

from crossmargin.compilation import literal_kernel
from crossmargin.margin.coin_slices import DELTA, EXPIRY, REACH, SHORT, UNIT, CoinGrid, CoinSlices
from crossmargin.margin.scan_loss import BLOCK
from crossmargin.risk.exact_sum import ROUNDING, add_with_rests, bounds_of, exact_sum, with_rest
from crossmargin.units import FloatArray

PAD = 8
"""Places between rows of a block, or a column of it would lie in few sets of the cache."""
VALUE_SUM, EXPOSURE, COINS, NET, SIZES, GROSS, SUMS = 0, 3, 6, 9, 12, 15, 16
"""Rows of the sums of a block of accounts; those of the expiries follow."""


@literal_kernel
def add_up(dense: FloatArray, lines: FloatArray, sums: FloatArray) -> None:
    """Add up the positions of a block of accounts, each in the order of rows, account beside account.

    `dense` is contracts by row and account. Sums are kept with what their additions rounded away (Knuth, The Art of
    Computer Programming 2, 4.2.2), so that `round_sums` can round them once; those over the few expiries, which often
    lie half way between two floats, with what that rounded away too.
    """
    sums[:] = 0.0
    for k in range(lines.shape[0]):
        held = dense[k, :BLOCK]
        _add_products(held, lines[k, UNIT], sums[VALUE_SUM], sums[VALUE_SUM + 1], sums[VALUE_SUM + 2])
        _add_products(held, lines[k, DELTA], sums[EXPOSURE], sums[EXPOSURE + 1], sums[EXPOSURE + 2])
        if lines[k, SHORT] != 0.0:
            _add_shorts(held, lines[k, SHORT], sums[COINS], sums[COINS + 1], sums[COINS + 2])
        _add_sizes(held, lines[k, DELTA], lines[k, REACH], sums[SUMS + int(lines[k, EXPIRY])], sums[GROSS])
    for e in range(SUMS, sums.shape[0]):
        add_with_rests(sums[e], sums[NET], sums[NET + 1], sums[NET + 2])
        add_with_rests(np.abs(sums[e]), sums[SIZES], sums[SIZES + 1], sums[SIZES + 2])


@literal_kernel
def _add_products(held: FloatArray, price: float, total: FloatArray, lost: FloatArray, size: FloatArray) -> None:
    for b in range(held.size):
        _add(b, held[b] * price, total, lost, size)


@literal_kernel
def _add_shorts(held: FloatArray, coins: float, total: FloatArray, lost: FloatArray, size: FloatArray) -> None:
    for b in range(held.size):
        _add(b, (-held[b] if held[b] < 0.0 else 0.0) * coins, total, lost, size)


@literal_kernel
def _add(b: int, term: float, total: FloatArray, lost: FloatArray, size: FloatArray) -> None:
    total[b], rest = with_rest(total[b], term)
    lost[b] += rest
    size[b] += abs(rest)


@literal_kernel
def _add_sizes(held: FloatArray, delta: float, reach: float, expiry: FloatArray, gross: FloatArray) -> None:
    for b in range(held.size):
        expiry[b] += held[b] * delta
        gross[b] += abs(held[b]) * reach


@literal_kernel
def round_sums(sums: FloatArray, count: int, bounds: FloatArray) -> None:
    """Write each sum with what it lost, rounded once, to two rows of `bounds`: they differ where rounding is in doubt.

    `count` is no less than the terms of any sum.
    """
    for at in (EXPOSURE, COINS):
        total, lost, size, low, high = sums[at], sums[at + 1], sums[at + 2], bounds[at], bounds[at + 1]
        for b in range(BLOCK):
            reach = 2.0 * count * ROUNDING * size[b] + 4.0 * ROUNDING * abs(lost[b])
            low[b], high[b] = total[b] + (lost[b] - reach), total[b] + (lost[b] + reach)
    for at in (NET, SIZES):
        for b in range(BLOCK):
            bounds[at, b], bounds[at + 1, b] = bounds_of(sums[at, b], sums[at + 1, b], sums[at + 2, b])


@literal_kernel
def sharpen(slices: CoinSlices, own: CoinGrid, start: int, size: int, sums: FloatArray, bounds: FloatArray) -> None:
    """Add up once more, with all digits, what lies at the edge of rounding."""
    for b in range(size):
        if bounds[EXPOSURE, b] != bounds[EXPOSURE + 1, b]:
            bounds[EXPOSURE, b] = exposure_of(slices, own, start + b, 0.0)
        if bounds[COINS, b] != bounds[COINS + 1, b]:
            bounds[COINS, b] = short_coins(slices, own, start + b)
        if bounds[NET, b] != bounds[NET + 1, b] or bounds[SIZES, b] != bounds[SIZES + 1, b]:
            bounds[NET, b], bounds[SIZES, b] = exact_sum(sums[SUMS:, b]), exact_sum(np.abs(sums[SUMS:, b]))


@literal_kernel
def exposure_of(slices: CoinSlices, own: CoinGrid, a: int, coins: float) -> float:
    """Return the USD exposure of a slice and of `coins`, rounded once."""
    begin, end = slices.indptr[own.c, a], slices.indptr[own.c, a + 1]
    terms = np.zeros(end - begin + 1)
    for k in range(begin, end):
        terms[k - begin] = slices.quantities[k] * own.lines[slices.places[k], DELTA]
    if coins != 0.0:
        terms[end - begin] = coins * own.lines[own.asset, DELTA]
    return exact_sum(terms)


@literal_kernel
def short_coins(slices: CoinSlices, own: CoinGrid, a: int) -> float:
    """Return the coins in short options of a slice, rounded once."""
    begin, end = slices.indptr[own.c, a], slices.indptr[own.c, a + 1]
    terms = np.empty(end - begin)
    for k in range(begin, end):
        terms[k - begin] = max(-slices.quantities[k], 0.0) * own.lines[slices.places[k], SHORT]
    return exact_sum(terms)
