"""Implied volatility from an option price, to the last digits that the price still holds.

The price is reduced to its out-of-the-money time value over ``sqrt(F K)``: with ``x = -|ln(F/K)|`` and ``s = vol sqrt(T)``,

``b(x, s) = e^(x/2) N(x/s + s/2) - e^(-x/2) N(x/s - s/2)``

which rises from 0 to ``e^(x/2)`` in s (Jaeckel 2015, "Let's be rational", Wilmott 75, for the normalisation and the use of
scaled complementary error functions). The root of ``ln b(s) = ln b`` is found by Halley steps inside a bracket; at the money
it is ``sqrt(8) erfinv(b)`` exactly.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from crossmargin.errors import MarketDataError
from crossmargin.units import BoolArray, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpliedVol:
    """Annual vols, and where the price held no time value that floating point can tell from nothing."""

    vol: FloatArray
    no_time_value: BoolArray


def implied_vol(
    price: ArrayLike, forward: ArrayLike, strike: ArrayLike, expiry_years: ArrayLike, is_call: ArrayLike
) -> ImpliedVol:
    """Return the vol at which Black-76 gives `price`, undiscounted, in quote currency per coin.

    Accurate to ``max(1e-12, 4 eps price / (vol vega))`` relative, where `price` is the time value: one digit lost in an
    in-the-money price can move its vol by any amount, and no solver brings it back. A coin price is a price times the
    forward.

    Raises
    ------
    MarketDataError
        If a price lies outside its no-arbitrage bounds: below intrinsic value, or not below the forward (call) or strike
        (put); or an argument is not positive. The message names the first.

    Examples
    --------
    >>> found = implied_vol(1124.9632838846392, 60000.0, 70000.0, 30 / 365, True)
    >>> round(float(found.vol), 12)
    0.6
    """
    p, f, k, t, call = np.broadcast_arrays(
        np.asarray(price, dtype=np.float64),
        np.asarray(forward, dtype=np.float64),
        np.asarray(strike, dtype=np.float64),
        np.asarray(expiry_years, dtype=np.float64),
        np.asarray(is_call, dtype=bool),
    )
    _refuse(~((f > 0.0) & (k > 0.0) & (t > 0.0)), "forward, strike and time to expiry must be positive", f, k, t)
    intrinsic = np.maximum(np.where(call, f - k, k - f), 0.0)
    _refuse(
        ~((p >= intrinsic) & (p < np.where(call, f, k))), "a price must lie inside its no-arbitrage bounds", p, f, k
    )
    scale = np.sqrt(f) * np.sqrt(k)
    x = -np.abs(np.log(f / k))
    value = (p - intrinsic) / scale
    deviation = _deviations(value.ravel(), x.ravel()).reshape(value.shape)
    money = x == 0.0
    if money.any():
        from scipy.special import erfinv  # slow to load, and seldom needed

        deviation = np.where(money, math.sqrt(8.0) * erfinv(np.where(money, value, 0.0)), deviation)
    return ImpliedVol(vol=np.asarray(deviation / np.sqrt(t)), no_time_value=np.asarray(deviation == 0.0))


def normalised_black(x: float, s: float) -> float:
    """Return ``b(x, s)`` for ``x <= 0`` and ``s > 0``.

    Examples
    --------
    >>> round(normalised_black(0.0, 1.0), 12)
    0.382924922548
    """
    return float(_normalised(x, s))


def _refuse(bad: BoolArray, rule: str, *found: FloatArray) -> None:
    if bad.any():
        place = int(np.flatnonzero(bad.ravel())[0])
        values = ", ".join(f"{array.ravel()[place]:.17g}" for array in found)
        raise MarketDataError(f"{rule}, were {values} at place {place}")


@njit(cache=True, error_model="numpy")
def _deviations(values: FloatArray, xs: FloatArray) -> FloatArray:
    out = np.empty(values.size)
    for place in range(values.size):
        out[place] = _deviation(values[place], xs[place]) if xs[place] < 0.0 else 0.0
    return out


@njit(cache=True, error_model="numpy")
def _deviation(value: float, x: float) -> float:
    """Return s with ``b(x, s) = value``; 0 where there is no time value."""
    if value < 2.2250738585072014e-308:  # below the smallest normal number its digits are gone
        return 0.0
    top = math.exp(0.5 * x)
    if value >= top:
        # a price inside its bounds may be rounded onto the upper one: the largest value below that is meant
        value = np.nextafter(top, 0.0)
    target = math.log(value)
    low, high = 0.0, np.inf
    s = _first_guess(value, x, top)
    for _ in range(60):
        b = _normalised(x, s)
        if b <= 0.0:
            low, s = s, 2.0 * s
            continue
        error = target - math.log(b)
        if error > 0.0:
            low = s
        else:
            high = s
        slope = math.exp(-0.5 * (x * x / (s * s) + 0.25 * s * s)) / (2.5066282746310002 * b)  # d ln b / ds
        if slope > 0.0:
            newton = error / slope
            curvature = x * x / (s * s * s) - 0.25 * s - slope
            divisor = 1.0 + 0.5 * curvature * newton
            step = newton / divisor if divisor > 0.25 else newton
        else:
            step = np.inf
        new = s + step
        if not low < new < high:
            new = 0.5 * (low + high) if high < np.inf else 2.0 * s
        if abs(new - s) <= 4.4e-16 * s:
            return new
        s = new
    return s


@njit(cache=True, error_model="numpy")
def _first_guess(value: float, x: float, top: float) -> float:
    """A start on the right side of the inflection at ``s = sqrt(2 |x|)``."""
    middle = math.sqrt(-2.0 * x)
    b = _normalised(x, middle)
    if value < b:
        # far out of the money ln b falls as -x^2 / (2 s^2)
        depth = math.log(b / value) + 0.5 * x * x / (middle * middle)
        return -x / math.sqrt(2.0 * depth)
    # towards the top the missing part is 2 N(-s/2) or so
    missing = (top - value) / (top - b)
    return middle + math.sqrt(max(-8.0 * math.log(missing), 0.0)) * 0.5


@njit(cache=True, error_model="numpy")
def _normalised(x: float, s: float) -> float:
    h, t = x / s, 0.5 * s
    if h + t > 0.0:
        upper = math.exp(0.5 * x) * 0.5 * math.erfc(-(h + t) * 0.7071067811865476)
        return upper - math.exp(-0.5 * x) * 0.5 * math.erfc(-(h - t) * 0.7071067811865476)
    weight = math.exp(-0.5 * (h * h + t * t))
    if t < 0.1 and h > -6.0:
        # odd Taylor terms of N/phi about h, where the difference of two values near each other would cancel
        m0 = 1.2533141373155003 * _scaled_erfc(-h * 0.7071067811865476)
        d1 = 1.0 + h * m0
        d2 = m0 + h * d1
        total, power, factorial = d1 * t, t, 1.0
        even, odd = d2, d1
        for n in range(2, 20, 2):
            odd = h * even + n * odd
            even = h * odd + (n + 1) * even
            power *= t * t
            factorial *= n * (n + 1)
            term = odd * power / factorial
            total += term
            if abs(term) <= 1e-18 * abs(total):
                break
        return 2.0 * weight * total * 0.3989422804014327
    return 0.5 * weight * (_scaled_erfc(-(h + t) * 0.7071067811865476) - _scaled_erfc(-(h - t) * 0.7071067811865476))


@njit(cache=True, error_model="numpy")
def _scaled_erfc(z: float) -> float:
    """``exp(z^2) erfc(z)`` for ``z >= 0``: directly while that is exact, then Laplace's continued fraction."""
    if z < 2.0:
        return math.exp(z * z) * math.erfc(z)
    terms = 100 if z < 3.0 else 50 if z < 5.0 else 25 if z < 10.0 else 12
    tail = z
    for n in range(terms, 0, -1):
        tail = z + 0.5 * n / tail
    return 0.5641895835477563 / tail
