"""SPAN: sixteen scenarios of price and vol per underlying, and the worst loss of a portfolio over them.

Source: CME, Standard Portfolio Analysis of Risk; McMillan, Options as a Strategic Investment, ch. 34.
"""

import numpy as np

from crossmargin.errors import InputError
from crossmargin.risk.measures import worst_loss
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.units import Currency, FloatArray

_THIRDS = (0, 1, -1, 2, -2, 3, -3)
"""Price moves in thirds of the scan range, each with vol up and vol down, in SPAN's order."""


def span_scenarios(
    underlying: Currency,
    *,
    price_range: float,
    vol_range: float,
    extreme_multiple: float = 3.0,
    extreme_cover: float = 0.33,
) -> ScenarioSet:
    """Return the sixteen scenarios: seven prices with vol up and down, then two extreme prices that count in part.

    Parameters
    ----------
    price_range, vol_range
        Relative moves of price and vol that the scan spans.
    extreme_multiple, extreme_cover
        The extreme move in scan ranges, and the share of its profit or loss that counts: 3 and 33 % at CME, 2 and 35 %
        elsewhere.

    Raises
    ------
    InputError
        If the extreme fall takes the price to zero or below, or a share or range is out of bounds.

    Examples
    --------
    >>> scan = span_scenarios(Currency("BTC"), price_range=0.09, vol_range=0.2)
    >>> scan.price_factor[0, [2, 10, 12, 15]].round(12)
    array([1.03, 1.09, 0.91, 0.73])
    """
    if not (price_range > 0.0 and 0.0 <= vol_range < 1.0 and 0.0 < extreme_cover <= 1.0):
        raise InputError(
            "SPAN needs price_range > 0, vol_range inside [0, 1) and extreme_cover inside (0, 1], "
            f"were {price_range}, {vol_range}, {extreme_cover}"
        )
    inner = [(thirds / 3.0, sign) for thirds in _THIRDS for sign in (1.0, -1.0)]
    moves = [*inner, (extreme_multiple, 0.0), (-extreme_multiple, 0.0)]
    return ScenarioSet(
        name="SPAN, 16 scenarios",
        underlyings=(underlying,),
        price_factor=np.array([[1.0 + price * price_range for price, _ in moves]]),
        vol_shock=np.array([[vol * vol_range for _, vol in moves]]),
        labels=tuple(_label(price, vol) for price, vol in moves),
        damping=np.array([1.0] * len(inner) + [extreme_cover] * 2),
    )


def scan_risk(quantities: FloatArray, arrays: FloatArray) -> float:
    """Return the worst loss of a combined portfolio over its risk arrays, at least 0.

    Parameters
    ----------
    quantities : array of shape (n_instruments,)
        Contracts; long > 0.
    arrays : array of shape (n_instruments, 16)
        Profit of one long contract per scenario, extremes already weighted.

    Examples
    --------
    >>> scan_risk(np.array([1.0, -1.0]), np.array([[3.0, -3.0], [1.0, -2.0]]))
    1.0
    """
    return float(worst_loss(quantities @ arrays))


def _label(price: float, vol: float) -> str:
    vols = {1.0: "vols up", -1.0: "vols down", 0.0: "vols unchanged"}[vol]
    return f"prices {100 * price:+.3g} % of range, {vols}" if price else f"prices unchanged, {vols}"
