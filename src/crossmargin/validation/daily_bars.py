"""Daily prices of many coins side by side: what a walk-forward test walks over."""

from dataclasses import dataclass

import numpy as np

from crossmargin.errors import MarketDataError
from crossmargin.units import NANOSECONDS_PER_DAY, Currency, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyBars:
    """Closes and measured variances by coin and day.

    Attributes
    ----------
    days_ns : shape (n_days,)
        Ends of the days, UTC, one after the other without a gap.
    closes, variances : shape (n_coins, n_days)
        USD, and the day's variance from its hourly returns, or from its range where there are none; NaN where not
        listed.
    """

    days_ns: IntArray
    currencies: tuple[Currency, ...]
    closes: FloatArray
    variances: FloatArray

    def __post_init__(self) -> None:
        shape = (len(self.currencies), self.days_ns.size)
        if self.closes.shape != shape or self.variances.shape != shape:
            raise MarketDataError(
                f"closes and variances must have shape {shape}, were {self.closes.shape} and {self.variances.shape}"
            )
        if (np.diff(self.days_ns) != NANOSECONDS_PER_DAY).any():
            raise MarketDataError("daily bars must follow each other day by day")

    @property
    def returns(self) -> FloatArray:
        """Log return of each day, shape (n_coins, n_days); the first is NaN."""
        found = np.full(self.closes.shape, np.nan)
        found[:, 1:] = np.log(self.closes[:, 1:] / self.closes[:, :-1])
        return found

    def until(self, count: int) -> "DailyBars":
        """Return the first `count` days."""
        return DailyBars(
            days_ns=self.days_ns[:count],
            currencies=self.currencies,
            closes=self.closes[:, :count],
            variances=self.variances[:, :count],
        )
