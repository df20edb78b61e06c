"""Implied vols of one underlying: a smile per expiry, interpolated."""

import itertools
import math
from bisect import bisect_left
from dataclasses import dataclass

from crossmargin.elementary import log
from crossmargin.errors import MarketDataError
from crossmargin.market.svi import Svi
from crossmargin.units import years_between


@dataclass(frozen=True, slots=True, kw_only=True)
class Smile:
    """Quoted vols of one expiry by strike; flat beyond the outermost quotes, exact at each quote."""

    expiry_ns: int
    forward: float
    strikes: tuple[float, ...]
    vols: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.strikes:
            raise MarketDataError(f"a smile needs at least one quote, had none at {self.expiry_ns} ns")
        if any(high <= low for low, high in zip(self.strikes, self.strikes[1:], strict=False)):
            raise MarketDataError(f"strikes of a smile must increase at {self.expiry_ns} ns")
        for strike, vol in zip(self.strikes, self.vols, strict=True):
            if not (math.isfinite(vol) and vol > 0.0):
                raise MarketDataError(f"a vol must be finite and positive, was {vol} at strike {strike}")

    def vol(self, strike: float) -> float:
        """Return the annual vol at `strike`, linear in log-strike between quotes.

        Examples
        --------
        >>> Smile(expiry_ns=1, forward=100.0, strikes=(90.0, 110.0), vols=(0.7, 0.5)).vol(90.0)
        0.7
        """
        place = bisect_left(self.strikes, strike)
        if place == len(self.strikes):
            return self.vols[-1]
        if self.strikes[place] == strike or place == 0:
            return self.vols[place]
        low, high = self.strikes[place - 1], self.strikes[place]
        share = log(strike / low) / log(high / low)
        return self.vols[place - 1] + share * (self.vols[place] - self.vols[place - 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class SviSmile:
    """Fitted vols of one expiry, `years` away: raw SVI in log-moneyness to `forward`."""

    expiry_ns: int
    forward: float
    years: float
    svi: Svi

    def __post_init__(self) -> None:
        if not (self.years > 0.0 and math.isfinite(self.forward) and self.forward > 0.0):
            raise MarketDataError(f"a fitted smile needs time and a forward, had {self.years} and {self.forward}")

    def vol(self, strike: float) -> float:
        """Return the annual vol at `strike`."""
        return math.sqrt(float(self.svi.total_variance(log(strike / self.forward))) / self.years)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolSurface:
    """Smiles at increasing expiries; between them total variance is linear in time at constant log-moneyness."""

    time_ns: int
    smiles: tuple[Smile | SviSmile, ...]

    def __post_init__(self) -> None:
        if not self.smiles:
            raise MarketDataError("a vol surface needs at least one smile, had none")
        expiries = [smile.expiry_ns for smile in self.smiles]
        if any(late <= early for early, late in itertools.pairwise(expiries)):
            raise MarketDataError("expiries of a vol surface must increase")

    @property
    def is_fitted(self) -> bool:
        """Whether the smiles are fitted; otherwise they are the quotes."""
        return any(isinstance(smile, SviSmile) for smile in self.smiles)

    def vol(self, expiry_ns: int, strike: float, forward: float) -> float:
        """Return the annual vol for `expiry_ns` and `strike`, where `forward` is the forward of that expiry."""
        place = bisect_left([smile.expiry_ns for smile in self.smiles], expiry_ns)
        if place == len(self.smiles):
            return self._at_moneyness(self.smiles[-1], strike / forward)
        if self.smiles[place].expiry_ns == expiry_ns:
            return self.smiles[place].vol(strike)
        if place == 0:
            return self._at_moneyness(self.smiles[0], strike / forward)
        return self._between(self.smiles[place - 1], self.smiles[place], expiry_ns, strike / forward)

    def _between(self, near: Smile | SviSmile, far: Smile | SviSmile, expiry_ns: int, moneyness: float) -> float:
        t, t0, t1 = (max(years_between(self.time_ns, at), 1e-9) for at in (expiry_ns, near.expiry_ns, far.expiry_ns))
        w0 = self._at_moneyness(near, moneyness) ** 2 * t0
        w1 = self._at_moneyness(far, moneyness) ** 2 * t1
        share = (t - t0) / (t1 - t0)
        return math.sqrt((w0 + share * (w1 - w0)) / t)

    @staticmethod
    def _at_moneyness(smile: Smile | SviSmile, moneyness: float) -> float:
        return smile.vol(moneyness * smile.forward)
