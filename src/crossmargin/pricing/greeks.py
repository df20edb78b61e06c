"""Greeks of Black-76 options, linear and coin-settled, in USD and in coin.

For a coin-settled option the coin value is ``V = B(F)/F``, so that its delta in coin is ``(B' - V)/F``: the Black-76
delta less the premium already held in coin. Using ``B'`` for it is the trap of Alexander & Imeraj (arXiv 2107.12041).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from crossmargin.pricing.black76 import black76
from crossmargin.units import DAYS_PER_YEAR, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Greeks:
    """Derivatives of a value per coin of underlying; the arguments' shape broadcast.

    Attributes
    ----------
    value, delta, gamma
        The value, and its first and second derivative by the forward in USD.
    vega
        By the annual vol, per 1.00 (divide by 100 for a vol point).
    theta
        Per day that passes.
    """

    value: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray


def usd_greeks(
    forward: ArrayLike, strike: ArrayLike, expiry_years: ArrayLike, vol: ArrayLike, is_call: ArrayLike
) -> Greeks:
    """Return the greeks of the USD value; the same for linear and coin-settled options, whose USD value is ``V F``.

    At expiry or without vol, gamma, vega and theta are 0 and delta is that of the payoff.

    Examples
    --------
    >>> round(float(usd_greeks(100.0, 100.0, 1.0, 0.2, True).delta), 6)
    0.539828
    """
    from scipy.special import ndtr  # slow to load, and most processes of the engine state no greeks

    f, k, t, sigma = (np.asarray(x, dtype=np.float64) for x in (forward, strike, expiry_years, vol))
    sign = np.where(np.asarray(is_call), 1.0, -1.0)
    root = np.sqrt(np.maximum(t, 0.0))
    deviation = np.maximum(sigma, 0.0) * root
    alive = deviation > 0.0
    safe = np.where(alive, deviation, 1.0)
    d1 = np.log(f / k) / safe + 0.5 * safe
    density = np.where(alive, np.exp(-0.5 * d1**2) / np.sqrt(2.0 * np.pi), 0.0)
    delta = np.where(alive, sign * ndtr(sign * d1), sign * (sign * (f - k) > 0.0))
    vega = f * density * root
    return Greeks(
        value=black76(f, k, t, sigma, is_call),
        delta=delta,
        gamma=density / (f * safe),
        vega=vega,
        theta=np.where(alive, -vega * sigma / (2.0 * np.where(alive, t, 1.0)) / DAYS_PER_YEAR, 0.0),
    )


def coin_greeks(
    forward: ArrayLike, strike: ArrayLike, expiry_years: ArrayLike, vol: ArrayLike, is_call: ArrayLike
) -> Greeks:
    """Return the greeks of the coin value of a coin-settled option, in coin.

    ``delta = (B' - V)/F``, ``gamma = (B'' - 2 delta)/F``; `net_delta` gives the coins to hold.

    Examples
    --------
    >>> found = coin_greeks(60000.0, 70000.0, 30 / 365, 0.6, True)
    >>> round(float(found.value), 12)
    0.018749388065
    """
    f = np.asarray(forward, dtype=np.float64)
    usd = usd_greeks(forward, strike, expiry_years, vol, is_call)
    value = usd.value / f
    delta = (usd.delta - value) / f
    return Greeks(value=value, delta=delta, gamma=(usd.gamma - 2.0 * delta) / f, vega=usd.vega / f, theta=usd.theta / f)


def net_delta(
    forward: ArrayLike, strike: ArrayLike, expiry_years: ArrayLike, vol: ArrayLike, is_call: ArrayLike
) -> FloatArray:
    """Return the coins of a hedge beyond the premium: Black-76 delta less coin value, ``F`` times the coin delta."""
    return np.asarray(
        np.asarray(forward, dtype=np.float64) * coin_greeks(forward, strike, expiry_years, vol, is_call).delta
    )
