"""The correctly rounded sum of floats, compiled: the same bits as `math.fsum`, in any order of the terms."""

import numpy as np

from crossmargin.compilation import literal_kernel
from crossmargin.units import FloatArray

ROUNDING = 2.0**-53
"""Largest relative error of one operation."""
PARTIALS = 64
"""Floats whose digits do not overlap: no more than 40 of them span the range of double precision."""


@literal_kernel
def exact_sum(terms: FloatArray) -> float:
    """Return the sum of `terms`, rounded once, half to even.

    The running sum is kept as floats whose digits do not overlap, so that nothing is lost until the end (Shewchuk 1997,
    Discrete & Computational Geometry 18, 305-363).

    Examples
    --------
    >>> exact_sum(np.array([1e16, 1.0, -1e16]))
    1.0
    """
    return sum_exactly(terms, np.empty(PARTIALS))


@literal_kernel
def sum_exactly(terms: FloatArray, partials: FloatArray) -> float:
    """Return `exact_sum` of `terms`, with `PARTIALS` floats to work in.

    A running sum and the sum of what each addition rounded away say almost always which float it is; where the true sum
    could lie on either side of a rounding edge, all digits are kept.
    """
    total, lost, size = 0.0, 0.0, 0.0
    for k in range(terms.size):
        total, rest = with_rest(total, terms[k])
        lost, beyond = with_rest(lost, rest)
        size += abs(beyond)
    low, high = bounds_of(total, lost, size)
    return low if low == high else _all_digits(terms, partials)


@literal_kernel
def with_rest(total: float, term: float) -> tuple[float, float]:
    """Return a sum of two floats and what it rounded away, exactly (Knuth, The Art of Computer Programming 2, 4.2.2)."""
    after = total + term
    part = after - total
    return after, (total - (after - part)) + (term - part)


@literal_kernel
def bounds_of(total: float, lost: float, size: float) -> tuple[float, float]:
    """Return the two floats between which a sum lies: if they are one, the sum rounded once.

    `lost` is the sum of what additions rounded away, and `size` that of the sizes of what adding those up rounded away:
    0 where `lost` is exact, as it nearly always is. Half way between two floats the rounding of `lost` itself would
    leave the sum in doubt; sums of few terms often lie there.
    """
    if size == 0.0:
        return total + lost, total + lost
    reach = 2.0 * size + 4.0 * ROUNDING * abs(lost)
    return total + (lost - reach), total + (lost + reach)


@literal_kernel
def _all_digits(terms: FloatArray, partials: FloatArray) -> float:
    """Return the sum of `terms` with no digit lost until the end."""
    count = 0
    for k in range(terms.size):
        high, kept = terms[k], 0
        for j in range(count):
            low = partials[j]
            if abs(high) < abs(low):
                high, low = low, high
            total = high + low
            rest = low - (total - high)
            if rest != 0.0:
                partials[kept] = rest
                kept += 1
            high = total
        if high != 0.0:
            partials[kept] = high
            kept += 1
        count = kept
    return _rounded(partials, count)


@literal_kernel
def _rounded(partials: FloatArray, count: int) -> float:
    """Return the sum of non-overlapping floats, the smallest first."""
    if count == 0:
        return 0.0
    n = count - 1
    high, rest = partials[n], 0.0
    while n > 0:
        n -= 1
        before = high
        high = before + partials[n]
        rest = partials[n] - (high - before)
        if rest != 0.0:
            break
    # half way between two floats: what is smaller still decides
    if n > 0 and ((rest < 0.0 and partials[n - 1] < 0.0) or (rest > 0.0 and partials[n - 1] > 0.0)):
        twice = 2.0 * rest
        up = high + twice
        if twice == up - high:
            high = up
    return float(high)


@literal_kernel
def rounded(total: float, lost: float, size: float, count: int) -> tuple[float, float]:
    """Return the two floats between which a sum of `count` terms lies: if they are one, the sum rounded once.

    `lost` is the sum of what additions rounded away, `size` that of its sizes.
    """
    reach = 2.0 * count * ROUNDING * size + 4.0 * ROUNDING * abs(lost)
    return total + (lost - reach), total + (lost + reach)


@literal_kernel
def sum_columns(terms: FloatArray, size: int, out: FloatArray) -> None:
    """Write `exact_sum` of each of the first `size` columns of `terms` to `out`.

    Examples
    --------
    >>> out = np.empty(2)
    >>> sum_columns(np.array([[1e16, 0.5], [1.0, 0.25], [-1e16, 0.0]]), 2, out)
    >>> out.tolist()
    [1.0, 0.75]
    """
    lost, sizes = np.zeros(size), np.zeros(size)
    out[:size] = 0.0
    for j in range(terms.shape[0]):
        add_with_rests(terms[j], out, lost, sizes)
    for b in range(size):
        low, high = bounds_of(out[b], lost[b], sizes[b])
        out[b] = low if low == high else exact_sum(terms[:, b].copy())


@literal_kernel
def add_with_rests(term: FloatArray, total: FloatArray, lost: FloatArray, size: FloatArray) -> None:
    """Add a term to each sum, what that rounds away to `lost`, and the size of what that rounds away to `size`."""
    for b in range(lost.size):
        before, gone = total[b], lost[b]
        after = before + term[b]
        part = after - before
        rest = (before - (after - part)) + (term[b] - part)
        kept = gone + rest
        part = kept - gone
        total[b], lost[b] = after, kept
        size[b] += abs((gone - (kept - part)) + (rest - part))
