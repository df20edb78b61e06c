"""Black-76: options on a forward, undiscounted, in plain numpy.

``C = F N(d1) - K N(d2)``, ``d1 = ln(F/K)/(sigma sqrt T) + sigma sqrt(T)/2``, ``d2 = d1 - sigma sqrt T``
(Black 1976, J. Financial Economics 3, 167-179). Crypto venues settle in coin at delivery and quote forwards, so there
is no discounting here; a rulebook that discounts does so itself.
"""

import numpy as np
from numpy.typing import ArrayLike

from crossmargin.units import FloatArray


def black76(
    forward: ArrayLike, strike: ArrayLike, expiry_years: ArrayLike, vol: ArrayLike, is_call: ArrayLike
) -> FloatArray:
    """Return the undiscounted option price in quote currency per coin.

    All arguments broadcast; `expiry_years` in years of 365 days, `vol` annual. At ``expiry_years <= 0`` or
    ``vol <= 0`` it is the intrinsic value.

    Examples
    --------
    >>> round(float(black76(60000.0, 70000.0, 30 / 365, 0.6, True)), 6)
    1124.963284
    """
    from scipy.special import ndtr  # slow to load, and most processes of the engine price no option by this form

    f, k, t, sigma = (np.asarray(x, dtype=np.float64) for x in (forward, strike, expiry_years, vol))
    sign = np.where(np.asarray(is_call), 1.0, -1.0)
    deviation = np.maximum(sigma, 0.0) * np.sqrt(np.maximum(t, 0.0))
    alive = deviation > 0.0
    safe = np.where(alive, deviation, 1.0)
    d1 = np.log(f / k) / safe + 0.5 * safe
    d2 = d1 - safe
    # the out-of-the-money side plus parity: no cancellation deep in the money
    otm_sign = np.where(f <= k, 1.0, -1.0)
    otm = otm_sign * (f * ndtr(otm_sign * d1) - k * ndtr(otm_sign * d2))
    price = np.where(sign == otm_sign, otm, otm + sign * (f - k))
    intrinsic = np.maximum(sign * (f - k), 0.0)
    return np.where(alive, np.maximum(price, intrinsic), intrinsic)


def inverse_black76(
    forward: ArrayLike, strike: ArrayLike, expiry_years: ArrayLike, vol: ArrayLike, is_call: ArrayLike
) -> FloatArray:
    """Return the price in coin of a coin-settled option: the Black-76 price divided by the forward.

    The convention of Deribit and OKX (docs.deribit.com; Alexander & Imeraj, arXiv 2107.12041). Parity in coin is
    ``C - P = 1 - K/F``.

    Examples
    --------
    >>> round(float(inverse_black76(60000.0, 70000.0, 30 / 365, 0.6, True)), 12)
    0.018749388065
    """
    return black76(forward, strike, expiry_years, vol, is_call) / np.asarray(forward, dtype=np.float64)
