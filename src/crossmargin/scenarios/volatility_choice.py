"""Which volatility forecast serves an asset, and how much of the implied vol belongs in it.

Forecasts are judged out of sample by QLIKE, ``log s2 + x / s2`` with x a measure of the day's variance: it ranks
forecasts rightly whatever unbiased measure stands for the variance that nobody sees (Patton 2011, J. Econometrics 160,
246-256). Diagnostics say whether what a forecast leaves is still clustered.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from crossmargin.errors import InputError
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.scenarios.volatility import ewma_variance_path, fit_garch
from crossmargin.units import DAYS_PER_YEAR, NANOSECONDS_PER_SECOND, Currency, FloatArray

FEWEST_JUDGED = 60
_DAY_NS = 86_400 * NANOSECONDS_PER_SECOND
_SKEW_WIDTH = 0.05
"""Log-moneyness to either side of the forward over which a skew is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """What a forecast leaves in the returns.

    Attributes
    ----------
    qlike
        Mean loss; only differences between forecasts of the same days mean something.
    variance_ratio
        Mean of ``r^2 / s2``; above 1 the forecast is too low.
    clustering
        p-value of Ljung & Box (1978) on squared standardised returns over ten days: small where they still cluster.
    excess_kurtosis
        Of standardised returns; 0 for normal ones.
    days
        Judged.
    """

    qlike: float
    variance_ratio: float
    clustering: float
    excess_kurtosis: float
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The forecast chosen for an asset, and what was said for and against each."""

    name: str
    diagnostics: Mapping[str, Diagnostics]


def diagnostics(returns: FloatArray, variances: FloatArray, measured: FloatArray | None = None) -> Diagnostics:
    """Return how `variances` did as forecasts of `returns`, over the days on which both are known.

    Parameters
    ----------
    returns, variances : arrays of shape (n_times,)
        Element t of `variances` was made before t.
    measured : array of shape (n_times,) or None
        A better measure of the day's variance than its squared return: from its range, say.

    Raises
    ------
    InputError
        If fewer than 60 days are known or a forecast is not positive.
    """
    proxy = np.square(returns) if measured is None else measured
    known = np.isfinite(returns) & np.isfinite(variances) & np.isfinite(proxy)
    if known.sum() < FEWEST_JUDGED:
        raise InputError(f"a forecast is judged on {FEWEST_JUDGED} days or more, had {known.sum()}")
    r, s2, x = returns[known], variances[known], proxy[known]
    if (s2 <= 0.0).any():
        raise InputError("a variance forecast must be positive")
    z = r / np.sqrt(s2)
    centred = z - z.mean()
    spread = float(np.mean(centred**2))
    return Diagnostics(
        qlike=float(np.mean(np.log(s2) + x / s2)),
        variance_ratio=float(np.mean(r**2 / s2)),
        clustering=_ljung_box(z**2, 10),
        excess_kurtosis=float(np.mean(centred**4)) / spread**2 - 3.0 if spread > 0.0 else math.nan,
        days=int(known.sum()),
    )


def chosen_forecast(
    returns: FloatArray, forecasts: Mapping[str, FloatArray], measured: FloatArray | None = None
) -> Choice:
    """Return the forecast with the lowest QLIKE over the days that all of them know.

    Parameters
    ----------
    forecasts
        By name, each of shape (n_times,) or (n_times + 1,) as `scenarios.volatility` returns them.

    Raises
    ------
    InputError
        If there is none, or too few days are known to all.
    """
    if not forecasts:
        raise InputError("a choice needs at least one forecast, had none")
    paths = {name: path[: returns.size] for name, path in forecasts.items()}
    common = np.isfinite(np.array(list(paths.values()))).all(axis=0)
    judged = {name: diagnostics(returns, np.where(common, path, np.nan), measured) for name, path in paths.items()}
    return Choice(name=min(judged, key=lambda name: judged[name].qlike), diagnostics=judged)


def garch_walk(
    returns: FloatArray, *, first: int = 500, every: int = 30, asymmetric: bool = False, max_persistence: float = 0.995
) -> FloatArray:
    """Return GARCH forecasts refitted every so many periods on the past only, shape (n_times + 1,); NaN before `first`.

    Raises
    ------
    InputError
        If a return is missing: leave out what came before the listing.
    """
    out = np.full(returns.size + 1, np.nan)
    for start in range(first, returns.size + 1, every):
        fitted = fit_garch(returns[:start], asymmetric=asymmetric, max_persistence=max_persistence)
        end = min(start + every, returns.size + 1)
        out[start:end] = fitted.variance_path(returns[: end - 1])[start:end]
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpliedBlend:
    """``log s2 = (1 - weight) log h + weight log(i) + level``: h from returns, i the implied variance of a day.

    Attributes
    ----------
    weight
        Inside [0, 1]; 0 leaves the implied vol out.
    level
        What implied variance asks above what comes: its premium, and the bias of both.
    """

    weight: float
    level: float

    def variance(self, from_returns: FloatArray, implied: FloatArray) -> FloatArray:
        """Return the blended variance per day; where no implied one is known, the one from returns."""
        blended = np.exp((1.0 - self.weight) * np.log(from_returns) + self.weight * np.log(implied) + self.level)
        return np.asarray(np.where(np.isfinite(implied), blended, from_returns))


def fit_blend(measured: FloatArray, from_returns: FloatArray, implied: FloatArray) -> ImpliedBlend:
    """Return the blend with the lowest QLIKE over the days given; refit it on the past only.

    For each weight the best level is ``log mean(x / s2)``, in closed form; the weight is searched to a thousandth.

    Parameters
    ----------
    measured, from_returns, implied : arrays of shape (n_times,)
        Variances per day; days that lack one are left out.

    Raises
    ------
    InputError
        If fewer than 60 days are complete, or a forecast is not positive.
    """
    known = np.isfinite(measured) & np.isfinite(from_returns) & np.isfinite(implied)
    if known.sum() < FEWEST_JUDGED:
        raise InputError(f"a blend is fitted on {FEWEST_JUDGED} days or more, had {known.sum()}")
    x, h, i = measured[known], from_returns[known], implied[known]
    if (h <= 0.0).any() or (i <= 0.0).any():
        raise InputError("variance forecasts must be positive")

    def loss(weight: float) -> tuple[float, float]:
        logs = (1.0 - weight) * np.log(h) + weight * np.log(i)
        level = math.log(float(np.mean(x * np.exp(-logs))))
        return float(np.mean(logs)) + level, level

    weight = float(min(np.linspace(0.0, 1.0, 1_001), key=lambda each: loss(float(each))[0]))
    return ImpliedBlend(weight=weight, level=loss(weight)[1])


def implied_day_variance(annual_vol: FloatArray) -> FloatArray:
    """Return the variance of a day from an annual vol: ``vol^2 / 365``. DVOL is in percent: divide it by 100 first."""
    return np.asarray(np.square(annual_vol) / DAYS_PER_YEAR)


def at_the_money_vols(market: MarketSnapshot, coin: Currency, days: tuple[float, ...]) -> FloatArray:
    """Return the implied vol at the forward for each tenor in days: the term structure, interpolated in total variance.

    Raises
    ------
    InputError
        If the market has no vol surface for the coin.
    """
    surface = market.surfaces.get(coin)
    if surface is None:
        raise InputError(f"an implied term structure needs a vol surface, {coin} has none")
    found = []
    for tenor in days:
        expiry = market.time_ns + int(tenor * _DAY_NS)
        forward = market.forward(coin, expiry)
        found.append(surface.vol(expiry, forward, forward))
    return np.array(found)


def at_the_money_skew(market: MarketSnapshot, coin: Currency, days: float) -> float:
    """Return the slope of implied vol in log-moneyness at the forward, over 5 % to either side; negative on most days.

    Raises
    ------
    InputError
        If the market has no vol surface for the coin.
    """
    surface = market.surfaces.get(coin)
    if surface is None:
        raise InputError(f"a skew needs a vol surface, {coin} has none")
    expiry = market.time_ns + int(days * _DAY_NS)
    forward = market.forward(coin, expiry)
    low, high = (surface.vol(expiry, forward * math.exp(k), forward) for k in (-_SKEW_WIDTH, _SKEW_WIDTH))
    return (high - low) / (2.0 * _SKEW_WIDTH)


def ewma_candidates(returns: FloatArray, decays: tuple[float, ...] = (0.9, 0.94, 0.97, 0.99)) -> dict[str, FloatArray]:
    """Return EWMA forecasts by name, for `chosen_forecast`."""
    return {f"ewma {decay:g}": ewma_variance_path(returns, decay) for decay in decays}


def _ljung_box(series: FloatArray, lags: int) -> float:
    n = series.size
    x = series - series.mean()
    total = float(x @ x)
    if total == 0.0:
        return 1.0
    terms = [(float(x[lag:] @ x[:-lag]) / total) ** 2 / (n - lag) for lag in range(1, lags + 1)]
    return float(chi2.sf(n * (n + 2) * math.fsum(terms), lags))
