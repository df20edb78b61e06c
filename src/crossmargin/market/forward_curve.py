"""Forward prices of one underlying by expiry."""

import math
from bisect import bisect_left
from dataclasses import dataclass

from crossmargin.elementary import exp, log
from crossmargin.errors import MarketDataError
from crossmargin.units import years_between


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardCurve:
    """Forwards in USD at increasing expiries; between them the annualised basis is interpolated linearly.

    Before the first and after the last quoted expiry the nearest basis holds. Without any quote the curve is flat at
    `spot`.
    """

    spot: float
    time_ns: int
    expiries_ns: tuple[int, ...] = ()
    forwards: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.spot) and self.spot > 0.0):
            raise MarketDataError(f"a spot price must be finite and positive, was {self.spot}")
        if any(late <= early for early, late in zip(self.expiries_ns, self.expiries_ns[1:], strict=False)):
            raise MarketDataError("expiries of a forward curve must increase")
        for expiry, forward in zip(self.expiries_ns, self.forwards, strict=True):
            if not (math.isfinite(forward) and forward > 0.0):
                raise MarketDataError(f"a forward must be finite and positive, was {forward} at {expiry} ns")

    def forward(self, expiry_ns: int) -> float:
        """Return the forward price in USD for delivery at `expiry_ns`.

        Examples
        --------
        >>> curve = ForwardCurve(spot=100.0, time_ns=0, expiries_ns=(10,), forwards=(110.0,))
        >>> curve.forward(10)
        110.0
        """
        if expiry_ns <= self.time_ns or not self.expiries_ns:
            return self.spot
        place = bisect_left(self.expiries_ns, expiry_ns)
        if place < len(self.expiries_ns) and self.expiries_ns[place] == expiry_ns:
            return self.forwards[place]
        years = years_between(self.time_ns, expiry_ns)
        return self.spot * exp(self._basis(place, years) * years)

    def _basis(self, place: int, years: float) -> float:
        """Annualised log basis at `years`, between the quotes around `place`."""
        left = self._quoted(max(place - 1, 0))
        right = self._quoted(min(place, len(self.expiries_ns) - 1))
        if left[0] == right[0]:
            return left[1]
        share = (years - left[0]) / (right[0] - left[0])
        return left[1] + share * (right[1] - left[1])

    def _quoted(self, place: int) -> tuple[float, float]:
        # a quote already expired has no basis; one day keeps the division sane
        years = max(years_between(self.time_ns, self.expiries_ns[place]), 1.0 / 365.0)
        return years, log(self.forwards[place] / self.spot) / years
