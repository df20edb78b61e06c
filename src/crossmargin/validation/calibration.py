"""Volatility forecast, tails and buffer of each coin, as they stand at the end of a record."""

from dataclasses import dataclass

import numpy as np

from crossmargin.scenarios.grouped_t import TailFit, fit_tail
from crossmargin.scenarios.range_forecast import range_variance_paths
from crossmargin.scenarios.tails import fit_pareto_tail
from crossmargin.scenarios.volatility import ewma_variance_path
from crossmargin.scenarios.volatility_choice import (
    FEWEST_JUDGED,
    Choice,
    chosen_forecast,
    ewma_candidates,
    garch_walk,
)
from crossmargin.units import DAYS_PER_YEAR, Currency, FloatArray
from crossmargin.validation.buffers import AssetBuffer, asset_buffers
from crossmargin.validation.daily_bars import DailyBars

_TAIL = 0.1
"""Share of moves behind the fit of a tail (McNeil & Frey 2000 take 10 %)."""
_FEWEST_DAYS = 250
_GARCH_FROM, _GARCH_EVERY = 500, 365
"""Days before the first fit of a GARCH, and between fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Annual volatility expected of the next day, the shape of the Pareto tails of standardised daily moves, the buffer."""

    currency: Currency
    days: int
    vol_forecast: float
    vol_ewma: float
    tail_xi_losses: float
    tail_xi_gains: float
    tail: TailFit
    """Student's t, skewed where the data ask, of the standardised moves."""
    buffer: AssetBuffer
    choice: Choice
    """Which of the usual forecasts would have served this coin best, and what each leaves in its returns."""


def calibrations(bars: DailyBars) -> tuple[Calibration, ...]:
    """Return the calibration of every coin that trades at the end and has 250 days with a forecast."""
    returns = bars.returns
    paths = range_variance_paths(returns, bars.variances)
    buffers = asset_buffers(returns, paths)
    found = []
    for place, (currency, row, path) in enumerate(zip(bars.currencies, returns, paths, strict=True)):
        shapes = row / np.sqrt(path[:-1])
        shapes = shapes[np.isfinite(shapes)]
        if shapes.size >= _FEWEST_DAYS and np.isfinite(row[-1]):
            found.append(
                Calibration(
                    currency=currency,
                    days=shapes.size,
                    vol_forecast=_annual(path[-1]),
                    vol_ewma=_annual(ewma_variance_path(row, 0.94)[-1]),
                    tail_xi_losses=_xi(-shapes),
                    tail_xi_gains=_xi(shapes),
                    tail=fit_tail(shapes),
                    buffer=buffers[place],
                    choice=_choice(row, path, bars.variances[place]),
                )
            )
    return tuple(found)


def _choice(returns: FloatArray, pooled: FloatArray, measured: FloatArray) -> Choice:
    """Judge forecasts of one coin, each made before its day: daily ranges of all coins, its own EWMA, GARCH and GJR."""
    first = int(np.flatnonzero(np.isfinite(returns))[0])
    own = returns[first:]
    forecasts = {"ranges": pooled[first:], **ewma_candidates(own)}
    if np.isfinite(own).all() and own.size > _GARCH_FROM + FEWEST_JUDGED:
        for name, asymmetric in (("garch", False), ("gjr", True)):
            forecasts[name] = garch_walk(own, first=_GARCH_FROM, every=_GARCH_EVERY, asymmetric=asymmetric)
    return chosen_forecast(own, forecasts, measured[first:])


def _annual(variance: float) -> float:
    return float(np.sqrt(variance * DAYS_PER_YEAR))


def _xi(shapes: FloatArray) -> float:
    return fit_pareto_tail(shapes, float(np.quantile(shapes, 1.0 - _TAIL))).xi
