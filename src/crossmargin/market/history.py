"""Past prices of several coins on one time axis."""

from dataclasses import dataclass

import numpy as np

from crossmargin.elementary import logarithms
from crossmargin.errors import InputError, MarketDataError
from crossmargin.units import Currency, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceHistory:
    """Closes in USD at increasing times.

    Attributes
    ----------
    times_ns : array of shape (n_times,)
        When each close was known.
    prices : array of shape (n_currencies, n_times)
        Positive; NaN where a coin was not listed or its close is missing.
    """

    times_ns: IntArray
    currencies: tuple[Currency, ...]
    prices: FloatArray

    def __post_init__(self) -> None:
        if self.prices.shape != (len(self.currencies), self.times_ns.size):
            raise MarketDataError(
                f"prices must have shape {(len(self.currencies), self.times_ns.size)}, were {self.prices.shape}"
            )
        if len(set(self.currencies)) != len(self.currencies):
            raise MarketDataError("a coin may stand once in a price history")
        if (np.diff(self.times_ns) <= 0).any():
            raise MarketDataError("times of a price history must increase")
        if (self.prices <= 0.0).any() or np.isinf(self.prices).any():
            raise MarketDataError("past prices must be positive and finite, or NaN where missing")

    def until(self, time_ns: int) -> "PriceHistory":
        """Return what was known at `time_ns`: closes at or before it."""
        known = int(np.searchsorted(self.times_ns, time_ns, side="right"))
        return PriceHistory(times_ns=self.times_ns[:known], currencies=self.currencies, prices=self.prices[:, :known])

    def of(self, currencies: tuple[Currency, ...]) -> "PriceHistory":
        """Return the history of `currencies`, in that order.

        Raises
        ------
        InputError
            If one of them is not in the history.
        """
        missing = [currency for currency in currencies if currency not in self.currencies]
        if missing:
            raise InputError(f"the price history must hold every coin asked for, lacks {', '.join(missing)}")
        rows = [self.currencies.index(currency) for currency in currencies]
        return PriceHistory(times_ns=self.times_ns, currencies=currencies, prices=self.prices[rows])

    def log_returns(self, horizon: int = 1, *, overlapping: bool = True) -> FloatArray:
        """Return log returns over `horizon` steps, NaN where an end is missing or a gap in time makes them longer.

        Overlapping returns start at every time; otherwise the last return ends at the last time and the others precede
        it end to end.

        Returns
        -------
        array of shape (n_currencies, n_returns)

        Examples
        --------
        >>> history = PriceHistory(
        ...     times_ns=np.arange(5), currencies=(Currency("BTC"),), prices=np.array([[1.0, 2.0, 4.0, 8.0, 16.0]])
        ... )
        >>> history.log_returns(2, overlapping=False).round(4)
        array([[1.3863, 1.3863]])
        """
        ratios = self.price_ratios(horizon, overlapping=overlapping)
        known = np.isfinite(ratios)
        returns = np.full(ratios.shape, np.nan)
        returns[known] = logarithms(ratios[known])
        return returns

    def price_ratios(self, horizon: int = 1, *, overlapping: bool = True) -> FloatArray:
        """Return closing over opening prices of the steps of `log_returns`, with the same shape and gaps."""
        ends = self._ends(horizon, overlapping=overlapping)
        ratios = self.prices[:, ends] / self.prices[:, ends - horizon]
        # a row that is missing for every coin would pass off the move of several steps as that of one
        elapsed = self.times_ns[ends] - self.times_ns[ends - horizon]
        usual = float(np.median(np.diff(self.times_ns)))
        return np.asarray(np.where(np.abs(elapsed - horizon * usual) < 0.5 * usual, ratios, np.nan))

    def return_times_ns(self, horizon: int = 1, *, overlapping: bool = True) -> IntArray:
        """Return when each of `log_returns` ended, shape (n_returns,)."""
        return np.asarray(self.times_ns[self._ends(horizon, overlapping=overlapping)])

    def _ends(self, horizon: int, *, overlapping: bool) -> IntArray:
        last = self.times_ns.size - 1
        if not 1 <= horizon <= last:
            raise InputError(f"a horizon must lie between 1 and {last} steps of history, was {horizon}")
        if overlapping:
            return np.arange(horizon, last + 1)
        return np.arange(last, horizon - 1, -horizon)[::-1]
