"""Aggregation and tail measures over scenarios, compiled.

Sums never depend on the machine. A portfolio adds its positions in their order, scenario by scenario; a sum over
scenarios runs in 64 lanes, folded in halves at the end, which any register width does alike. The expected shortfall is
found without sorting: count sweeps close in on the value at the edge of the tail, and only that value, which the
search's path cannot change, enters the sum.

`risk.measures` holds the plain versions that tests compare with.
"""

import math
from statistics import NormalDist
from typing import Any

import numba
import numpy as np

from crossmargin.compilation import inlined, kernel, parallel_kernel, screening_kernel
from crossmargin.errors import InputError
from crossmargin.units import FloatArray, IntArray

TILE = 96
"""Scenarios taken at a time, so that a tile of a thousand instruments stays in the second-level cache."""
MAGNITUDE = 0x7FFF_FFFF_FFFF_FFFF
HUGE = 0x7FEF_FFFF_FFFF_FFFF
"""The largest float, as an ordered integer."""
LANES = 64
"""Partial sums that run side by side, whatever the width of the processor's registers."""
BLOCK = 512
"""Accounts that share a tile before the next one is fetched."""


def tail_shape(n_scenarios: int, confidence: float) -> tuple[float, int, float]:
    """Return the scenarios in the tail, the whole ones of them, and the deviations at which a normal tail begins.

    Raises
    ------
    InputError
        If `confidence` is not inside (0, 1).

    Examples
    --------
    >>> tail_shape(1000, 0.5)
    (500.0, 500, -0.0)
    """
    if not 0.0 < confidence < 1.0:
        raise InputError(f"confidence must be inside (0, 1), was {confidence}")
    tail = (1.0 - confidence) * n_scenarios
    return tail, min(int(tail), n_scenarios - 1), -NormalDist().inv_cdf(1.0 - confidence)


@kernel
def add_positions(
    rows: IntArray,
    quantities: FloatArray,
    first: int,
    last: int,
    pnl: FloatArray,
    begin: int,
    end: int,
    out: FloatArray,
) -> None:
    """Write the profit of positions `first` to `last` in scenarios `begin` to `end`, added in order, to `out`."""
    count = end - begin
    for j in range(count):
        out[j] = 0.0
    k = first
    while k + 8 <= last:
        q0, q1, q2, q3 = quantities[k], quantities[k + 1], quantities[k + 2], quantities[k + 3]
        q4, q5, q6, q7 = quantities[k + 4], quantities[k + 5], quantities[k + 6], quantities[k + 7]
        r0, r1 = pnl[rows[k], begin:end], pnl[rows[k + 1], begin:end]
        r2, r3 = pnl[rows[k + 2], begin:end], pnl[rows[k + 3], begin:end]
        r4, r5 = pnl[rows[k + 4], begin:end], pnl[rows[k + 5], begin:end]
        r6, r7 = pnl[rows[k + 6], begin:end], pnl[rows[k + 7], begin:end]
        for j in range(count):
            x = out[j] + q0 * r0[j]
            x = x + q1 * r1[j]
            x = x + q2 * r2[j]
            x = x + q3 * r3[j]
            x = x + q4 * r4[j]
            x = x + q5 * r5[j]
            x = x + q6 * r6[j]
            out[j] = x + q7 * r7[j]
        k += 8
    while k < last:
        q, r = quantities[k], pnl[rows[k], begin:end]
        for j in range(count):
            out[j] = out[j] + q * r[j]
        k += 1


# A compiler does not vectorise a running minimum of floats, but one of integers it does: as integers, floats have the
# order that they have as numbers once the digits of the negative ones are flipped.


@inlined
def _ordered(value: float) -> int:
    bits = np.float64(value).view(np.int64)
    flipped: Any = bits ^ ((bits >> 63) & MAGNITUDE)
    return flipped  # type: ignore[no-any-return]


@inlined
def _number(ordered: int) -> float:
    value: Any = np.int64(ordered ^ ((ordered >> 63) & MAGNITUDE)).view(np.float64)
    return value  # type: ignore[no-any-return]


@kernel
def least(x: FloatArray) -> float:
    """Return the smallest of `x`."""
    smallest = HUGE
    for j in range(x.size):
        smallest = min(smallest, _ordered(x[j]))
    return _number(smallest)


@kernel
def least_of_sum(x: FloatArray, quantity: float, y: FloatArray) -> float:
    """Return the smallest of ``x + quantity * y``."""
    smallest = HUGE
    for j in range(x.size):
        smallest = min(smallest, _ordered(x[j] + quantity * y[j]))
    return _number(smallest)


@kernel
def add_and_least(x: FloatArray, quantity: float, y: FloatArray, out: FloatArray) -> float:
    """Write ``x + quantity * y`` to `out`; return its smallest."""
    smallest = HUGE
    for j in range(x.size):
        value = x[j] + quantity * y[j]
        out[j] = value
        smallest = min(smallest, _ordered(value))
    return _number(smallest)


@kernel
def _least_from(x: FloatArray, bound: float) -> float:
    """Return the smallest of `x` that is not below `bound`; a huge number if there is none."""
    smallest, floor = HUGE, _ordered(bound)
    for j in range(x.size):
        value = _ordered(x[j])
        smallest = min(smallest, value if value >= floor else HUGE)
    return _number(smallest)


@kernel
def _largest_below(x: FloatArray, bound: float) -> float:
    """Return the largest of `x` that is below `bound`."""
    largest, ceiling = -HUGE, _ordered(bound)
    for j in range(x.size):
        value = _ordered(x[j])
        largest = max(largest, value if value < ceiling else -HUGE)
    return _number(largest)


@kernel
def _sum_below(x: FloatArray, bound: float, scratch: FloatArray) -> float:
    """Return the sum of those of `x` that are below `bound`: in lanes, then the lanes folded in halves."""
    lanes = scratch[:LANES]
    for i in range(LANES):
        lanes[i] = 0.0
    blocks = x.size // LANES
    block = 0
    # four blocks for each time that the lanes are read and written
    while block + 4 <= blocks:
        start = block * LANES
        p0, p1 = x[start : start + LANES], x[start + LANES : start + 2 * LANES]
        p2, p3 = x[start + 2 * LANES : start + 3 * LANES], x[start + 3 * LANES : start + 4 * LANES]
        for i in range(LANES):
            v0, v1, v2, v3 = p0[i], p1[i], p2[i], p3[i]
            summed = lanes[i] + (v0 if v0 < bound else 0.0)
            summed = summed + (v1 if v1 < bound else 0.0)
            summed = summed + (v2 if v2 < bound else 0.0)
            lanes[i] = summed + (v3 if v3 < bound else 0.0)
        block += 4
    while block < blocks:
        part = x[block * LANES : (block + 1) * LANES]
        for i in range(LANES):
            value = part[i]
            lanes[i] = lanes[i] + (value if value < bound else 0.0)
        block += 1
    part = x[blocks * LANES :]
    for i in range(part.size):
        value = part[i]
        lanes[i] = lanes[i] + (value if value < bound else 0.0)
    for i in range(32):
        lanes[i] = lanes[i] + lanes[32 + i]
    for i in range(16):
        lanes[i] = lanes[i] + lanes[16 + i]
    for i in range(8):
        lanes[i] = lanes[i] + lanes[8 + i]
    a, b, c, d = lanes[0] + lanes[4], lanes[1] + lanes[5], lanes[2] + lanes[6], lanes[3] + lanes[7]
    return float((a + c) + (b + d))


# counts are whole numbers below 2^53, so these may be reordered at will


@screening_kernel
def _count_below(x: FloatArray, bound: float) -> float:
    count = 0.0
    for j in range(x.size):
        count += 1.0 if x[j] < bound else 0.0
    return count


@screening_kernel
def _moments(x: FloatArray) -> tuple[float, float]:
    """Return mean and deviation, roughly: they only say where a search begins."""
    total = 0.0
    squares = 0.0
    for j in range(x.size):
        total += x[j]
        squares += x[j] * x[j]
    mean = total / x.size
    return mean, math.sqrt(max(squares / x.size - mean * mean, 0.0))


@kernel
def _ranked(x: FloatArray, whole: int, smallest: float, normal: float) -> tuple[float, float]:
    """Return the value with `whole` of `x` before it, and how many are below it.

    Counts close in on it, by false position on their logarithms.
    """
    mean, deviation = _moments(x)
    low, count_low = smallest, 0.0
    high, count_high = smallest, -1.0
    step = 0.25 * deviation
    t = mean - normal * deviation
    if not t > low:
        t = low + 0.5 * (mean - low)
    for sweep in range(64):
        if not t > low or (count_high >= 0.0 and not t < high):
            break
        count = _count_below(x, t)
        if count == whole:
            return _least_from(x, t), count
        if count == whole + 1:
            value = _largest_below(x, t)
            return value, _count_below(x, value)
        if count < whole:
            low, count_low = t, count
        else:
            high, count_high = t, count
        if count_high < 0.0:
            t = low + step
            step = 2.0 * step
            continue
        below, above = math.log((count_low + 0.4) / (whole + 0.5)), math.log(count_high / (whole + 0.5))
        share = below / (below - above) if sweep % 4 != 3 else 0.5
        t = low + (high - low) * min(max(share, 0.03), 0.97)
    # ties: step from value to value
    value = _least_from(x, low)
    while x.size - _count_below(-x, -value) <= whole:
        value = _least_from(x, np.nextafter(value, 1e300))
    return value, _count_below(x, value)


@kernel
def tail_and_worst(x: FloatArray, tail: float, whole: int, normal: float, scratch: FloatArray) -> tuple[float, float]:
    """Return the mean loss of the worst `tail` scenarios, the last one in part, and the largest loss.

    Both are positive for losses and negative where even the worst scenario is a profit.
    """
    smallest = least(x)
    return -tail_mean(x, smallest, tail, whole, normal, scratch), -smallest


@kernel
def tail_mean(x: FloatArray, smallest: float, tail: float, whole: int, normal: float, scratch: FloatArray) -> float:
    """Return the mean of the least `tail` of `x`, of which `smallest` is the least."""
    edge, below = smallest, 0.0
    if whole > 0:
        edge, below = _ranked(x, whole, smallest, normal)
    return (_sum_below(x, edge, scratch) + (tail - below) * edge) / tail


@kernel
def _measure(
    indptr: IntArray,
    rows: IntArray,
    quantities: FloatArray,
    pnl: FloatArray,
    tail: float,
    whole: int,
    normal: float,
    first: int,
    last: int,
    scratch: FloatArray,
    shortfall: FloatArray,
    worst: FloatArray,
) -> None:
    n_scenarios = pnl.shape[1]
    spare = scratch[BLOCK]
    for start in range(first, last, BLOCK):
        stop = min(start + BLOCK, last)
        for begin in range(0, n_scenarios, TILE):
            end = min(begin + TILE, n_scenarios)
            for a in range(start, stop):
                out = scratch[a - start, begin:end]
                add_positions(rows, quantities, indptr[a], indptr[a + 1], pnl, begin, end, out)
        for a in range(start, stop):
            shortfall[a], worst[a] = tail_and_worst(scratch[a - start, :n_scenarios], tail, whole, normal, spare)


@parallel_kernel
def _measure_in_parallel(
    indptr: IntArray,
    rows: IntArray,
    quantities: FloatArray,
    pnl: FloatArray,
    tail: float,
    whole: int,
    normal: float,
    scratch: FloatArray,
    shortfall: FloatArray,
    worst: FloatArray,
) -> None:
    n_accounts, workers = indptr.size - 1, scratch.shape[0]
    share = (n_accounts + workers - 1) // workers
    for worker in numba.prange(workers):
        first, last = min(worker * share, n_accounts), min((worker + 1) * share, n_accounts)
        _measure(indptr, rows, quantities, pnl, tail, whole, normal, first, last, scratch[worker], shortfall, worst)


def portfolio_tails(
    indptr: IntArray,
    rows: IntArray,
    quantities: FloatArray,
    pnl: FloatArray,
    confidence: float,
    *,
    threads: int = 1,
) -> tuple[FloatArray, FloatArray]:
    """Return expected shortfall and worst loss of many accounts; neither is floored at 0.

    Parameters
    ----------
    indptr, rows, quantities
        Compressed sparse rows: account a holds ``quantities[k]`` of instrument ``rows[k]`` for k from ``indptr[a]`` up
        to ``indptr[a + 1]``.
    pnl : C-contiguous array of shape (n_instruments, n_scenarios)
        Profit of one long unit.
    confidence
        Inside (0, 1).

    Returns
    -------
    two arrays of shape (n_accounts,)

    Examples
    --------
    >>> pnl = np.array([[-4.0, -2.0, 0.0, 6.0]])
    >>> tails = portfolio_tails(np.array([0, 1]), np.array([0]), np.array([1.0]), pnl, 0.5)
    >>> [float(each[0]) for each in tails]
    [3.0, 4.0]
    """
    n_accounts, n_scenarios = indptr.size - 1, pnl.shape[1]
    tail, whole, normal = tail_shape(n_scenarios, confidence)
    shortfall, worst = np.empty(n_accounts), np.empty(n_accounts)
    arguments: Any = (indptr, rows, quantities, np.ascontiguousarray(pnl), tail, whole, normal)
    if threads == 1:
        arguments = (*arguments, 0, n_accounts, np.empty((BLOCK + 1, max(n_scenarios, LANES))), shortfall, worst)
        _measure(*arguments)
    else:
        arguments = (*arguments, np.empty((threads, BLOCK + 1, max(n_scenarios, LANES))), shortfall, worst)
        _measure_in_parallel(*arguments)
    return shortfall, worst
