"""Exponential and logarithm that are the same on every machine, and that compilers vectorise.

A library's `exp` differs in the last bit from one processor to the next, and numba would call it one number at a time.
Both functions are good to about two units in the last place.
"""

import numpy as np

from crossmargin.compilation import inlined, kernel
from crossmargin.units import FloatArray

# ln 2 in two parts (the first with trailing zeros), so that n ln 2 is exact for every exponent n
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
LOG2_E = 1.4426950408889634
# adding 1.5 * 2^52 rounds to a whole number and leaves it in the low bits
ROUNDER = 6755399441055744.0
SQRT_HALF_BITS = 0x3FE6A09E667F3BCD

# 2^r for |r| <= 1/2: interpolation at Chebyshev's nodes, 2e-17 off at most
T0, T1, T2, T3 = 1.0, 0.6931471805599453, 0.24022650695910158, 0.055504108664821625
T4, T5, T6, T7 = 0.009618129107587256, 0.001333355814640647, 0.00015403530463724353, 1.5252733841556773e-05
T8, T9, T10, T11 = 1.3215432535912375e-06, 1.0178057087733941e-07, 7.074194297288521e-09, 4.4558179083360645e-10


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
def power_of_two(x: float) -> float:
    """Return 2 to the `x`, for x inside [-1000, 1000]: cheaper than `exponential`, for it need not divide by ln 2."""
    shifted = x + ROUNDER
    r = x - (shifted - ROUNDER)
    r2 = r * r
    r4 = r2 * r2
    low = (r * T1 + T0) + r2 * (r * T3 + T2)
    middle = (r * T5 + T4) + r2 * (r * T7 + T6)
    high = (r * T9 + T8) + r2 * (r * T11 + T10)
    p = low + r4 * (middle + r4 * high)
    return p * np.int64((np.float64(shifted).view(np.int64) + 1023) << 52).view(np.float64)


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
def _powers_of_two(values: FloatArray, out: FloatArray) -> None:
    for j in range(values.size):
        out[j] = power_of_two(values[j])


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


def powers_of_two(values: FloatArray) -> FloatArray:
    """Return 2 to each of `values`, a vector inside [-1000, 1000].

    Examples
    --------
    >>> powers_of_two(np.array([-1.0, 0.5])).tolist()
    [0.5, 1.4142135623730951]
    """
    out = np.empty_like(values)
    _powers_of_two(np.ascontiguousarray(values), out)
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


@kernel
def log(x: float) -> float:
    """Return the natural logarithm of one positive `x`.

    Examples
    --------
    >>> log(1.0)
    0.0
    """
    return logarithm(x)


@kernel
def exp(x: float) -> float:
    """Return e to one `x` inside [-700, 700].

    Examples
    --------
    >>> exp(0.0)
    1.0
    """
    return exponential(x)


def power(base: float, exponent: float) -> float:
    """Return positive `base` to `exponent`.

    Examples
    --------
    >>> power(1.0, 0.3)
    1.0
    """
    return float(exp(exponent * log(base)))
