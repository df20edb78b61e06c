"""Log-normal value at risk and expected shortfall, and the risk factors that a market is margined at by them.

With ``log X ~ N(mu, sigma^2)`` a long holds X and a short owes it. Source: Vega protocol, quant library (risk measures)
and specification 0018-RSKM.
"""

import math
from statistics import NormalDist

from crossmargin.errors import InputError

_NORMAL = NormalDist()


def lognormal_var(mu: float, sigma: float, tail: float, *, long: bool) -> float:
    """Return the value at risk of holding (`long`) or owing X: ``-exp(mu + sigma z)`` at the tail's own quantile.

    Examples
    --------
    >>> round(lognormal_var(0.0, 0.1, 0.01, long=True), 9)
    -0.792442931
    """
    _check(sigma, tail)
    quantile = _NORMAL.inv_cdf(tail)
    return -math.exp(mu + sigma * quantile) if long else math.exp(mu - sigma * quantile)


def lognormal_es(mu: float, sigma: float, tail: float, *, long: bool) -> float:
    """Return the expected shortfall: ``exp(mu + sigma^2 / 2) N(z -/+ sigma) / tail``, z the normal `tail` quantile.

    Negative for a long, who never owes: less negative is worse.

    Examples
    --------
    >>> round(lognormal_es(0.0, 0.1, 0.01, long=False), 9)
    1.306058448
    """
    _check(sigma, tail)
    quantile = _NORMAL.inv_cdf(tail)
    mean = math.exp(mu + 0.5 * sigma * sigma)
    return (
        -mean * _probability_below(quantile - sigma) / tail
        if long
        else mean * _probability_below(quantile + sigma) / tail
    )


def lognormal_risk_factors(tail: float, years: float, drift: float, vol: float) -> tuple[float, float]:
    """Return the margin of a long and of a short per unit of notional: expected loss in the tail after `years`.

    Examples
    --------
    >>> [round(factor, 8) for factor in lognormal_risk_factors(0.01, 1.0 / 525_600, 0.0, 1.5)]
    [0.00550111, 0.00552766]
    """
    if not years > 0.0:
        raise InputError(f"years must be positive, was {years}")
    mu, sigma = (drift - 0.5 * vol * vol) * years, vol * math.sqrt(years)
    return lognormal_es(mu, sigma, tail, long=True) + 1.0, lognormal_es(mu, sigma, tail, long=False) - 1.0


def _probability_below(z: float) -> float:
    # erfc keeps the far tail, which 1 + erf would round away
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def _check(sigma: float, tail: float) -> None:
    if not (sigma > 0.0 and math.isfinite(sigma)):
        raise InputError(f"sigma must be positive and finite, was {sigma}")
    if not 0.0 < tail < 1.0:
        raise InputError(f"tail must be inside (0, 1), was {tail}")
