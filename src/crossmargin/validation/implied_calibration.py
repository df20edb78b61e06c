"""How a coin's implied vol moves with its price, and what it adds to the forecast of the next day's volatility."""

from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.scenarios.range_forecast import range_variance_paths
from crossmargin.scenarios.vol_comovement import SpotVol, fit_spot_vol
from crossmargin.scenarios.volatility_choice import ImpliedBlend, fit_blend, implied_day_variance
from crossmargin.units import DAYS_PER_YEAR, Currency, FloatArray
from crossmargin.validation.daily_bars import DailyBars


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpliedCalibration:
    """Regression of the implied vol's moves on the price's, and the blend of forecast and implied vol; vols are annual."""

    currency: Currency
    spot_vol: SpotVol
    blend: ImpliedBlend
    vol_implied: float
    vol_forecast: float
    vol_blended: float


def implied_calibration(bars: DailyBars, currency: Currency, vols: FloatArray) -> ImpliedCalibration:
    """Return the calibration of `currency` as it stands at the end of `bars`.

    Parameters
    ----------
    vols : array of shape (n_days,)
        Annual implied vol at the end of each day, NaN where unknown. What is blended for a day was known before it.

    Raises
    ------
    InputError
        If bars lack the coin, or days with both a price and a vol are too few.
    """
    if currency not in bars.currencies:
        raise InputError(f"daily bars must hold {currency}, hold {', '.join(bars.currencies)}")
    row = bars.currencies.index(currency)
    returns = bars.returns
    path = range_variance_paths(returns, bars.variances)[row]
    implied = implied_day_variance(np.concatenate([[np.nan], vols]))
    blend = fit_blend(bars.variances[row], path[:-1], implied[:-1])
    changes = np.concatenate([[np.nan], np.diff(np.log(vols))])
    return ImpliedCalibration(
        currency=currency,
        spot_vol=fit_spot_vol(returns[row], changes),
        blend=blend,
        vol_implied=_annual(implied[-1]),
        vol_forecast=_annual(path[-1]),
        vol_blended=_annual(blend.variance(path[-1:], implied[-1:])[0]),
    )


def _annual(variance: float) -> float:
    return float(np.sqrt(variance * DAYS_PER_YEAR))
