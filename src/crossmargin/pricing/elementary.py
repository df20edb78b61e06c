"""Exponential and logarithm that are the same on every machine, and that compilers vectorise.

A library's `exp` differs in the last bit from one processor to the next, and numba would call it one number at a time.
Both functions are good to about two units in the last place.
"""

import numpy as np

from crossmargin.pricing.compilation import inlined, kernel
from crossmargin.units import FloatArray

# ln 2 in two parts (the first with trailing zeros), so that n ln 2 is exact for every exponent n
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
LOG2_E = 1.4426950408889634
# adding 1.5 * 2^52 rounds to a whole number and leaves it in the low bits
ROUNDER = 6755399441055744.0
SQRT_HALF_BITS = 0x3FE6A09E667F3BCD

ROUNDER_32 = np.float32(12582912.0)
LOG2_E_32 = np.float32(LOG2_E)
LN2_32 = np.float32(0.6931471805599453)
TERMS_32 = tuple(np.float32(value) for value in (1.0, 1.0, 0.5, 1 / 6, 1 / 24, 1 / 120, 1 / 720))
E0, E1, E2, E3, E4, E5, E6 = TERMS_32


@inlined
def exponential(x: float) -> float:
    """Return e to the `x`, for x inside [-700, 700]: Taylor's series about the nearest multiple of ln 2."""
    shifted = x * LOG2_E + ROUNDER
    n = shifted - ROUNDER
    r = x - n * LN2_HIGH
    r = r - n * LN2_LOW
    r2 = r * r
    r4 = r2 * r2
    # Taylor's coefficients 1/n!, paired (Estrin) so that the processor need not wait for one chain of products
    low = (r * 1.0 + 1.0) + r2 * (r * (1.0 / 6.0) + 0.5)
    middle = (r * (1.0 / 120.0) + 1.0 / 24.0) + r2 * (r * (1.0 / 5040.0) + 1.0 / 720.0)
    high = (r * (1.0 / 362880.0) + 1.0 / 40320.0) + r2 * (r * (1.0 / 39916800.0) + 1.0 / 3628800.0)
    p = low + r4 * (middle + r4 * (high + r4 * (1.0 / 479001600.0)))
    power = np.int64((np.float64(shifted).view(np.int64) + 1023) << 52).view(np.float64)
    return p * power


@inlined
def exponential_32(x: np.float32) -> np.float32:
    """Return e to the `x` in single precision, for x inside [-87, 87], to about 2e-7."""
    shifted = x * LOG2_E_32 + ROUNDER_32
    r = x - (shifted - ROUNDER_32) * LN2_32
    p = E6 * r + E5
    p = p * r + E4
    p = p * r + E3
    p = p * r + E2
    p = p * r + E1
    p = p * r + E0
    bits = np.int32(np.float32(shifted).view(np.int32) + np.int32(127))
    return p * np.int32(bits << np.int32(23)).view(np.float32)


@inlined
def logarithm(x: float) -> float:
    """Return the natural logarithm of a positive, normal `x`.

    ``x = 2^n m`` with m in [sqrt(1/2), sqrt 2), then ``ln m = 2 artanh((m - 1)/(m + 1))`` by its series.
    """
    bits = np.float64(x).view(np.int64)
    n = (bits - SQRT_HALF_BITS) >> 52
    m = np.int64(bits - (n << 52)).view(np.float64)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = 1.0 / 23.0
    p = p * z + 1.0 / 21.0
    p = p * z + 1.0 / 19.0
    p = p * z + 1.0 / 17.0
    p = p * z + 1.0 / 15.0
    p = p * z + 1.0 / 13.0
    p = p * z + 1.0 / 11.0
    p = p * z + 1.0 / 9.0
    p = p * z + 1.0 / 7.0
    p = p * z + 1.0 / 5.0
    p = p * z + 1.0 / 3.0
    tail = 2.0 * s * z * p
    e = float(n)
    small = e * LN2_LOW + tail
    return (small + 2.0 * s) + e * LN2_HIGH


@kernel
def _exponentials(values: FloatArray, out: FloatArray) -> None:
    for j in range(values.size):
        out[j] = exponential(values[j])


@kernel
def _logarithms(values: FloatArray, out: FloatArray) -> None:
    for j in range(values.size):
        out[j] = logarithm(values[j])


def exponentials(values: FloatArray) -> FloatArray:
    """Return e to each of `values`, a vector inside [-700, 700].

    Examples
    --------
    >>> exponentials(np.array([0.0, -745.0 / 1.5])).tolist()[0]
    1.0
    """
    out = np.empty_like(values)
    _exponentials(np.ascontiguousarray(values), out)
    return out


def logarithms(values: FloatArray) -> FloatArray:
    """Return the natural logarithm of each of `values`, a vector of positive numbers.

    Examples
    --------
    >>> logarithms(np.array([1.0, 2.0])).tolist()
    [0.0, 0.6931471805599453]
    """
    out = np.empty_like(values)
    _logarithms(np.ascontiguousarray(values), out)
    return out


def power(base: float, exponent: float) -> float:
    """Return positive `base` to `exponent`.

    Examples
    --------
    >>> power(1.0, 0.3)
    1.0
    """
    return float(exponentials(exponent * logarithms(np.array([base])))[0])
