"""A set of joint market moves. A grid, a historical, a filtered and a Monte-Carlo set are all just columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from crossmargin.errors import InputError
from crossmargin.units import Currency, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class VolTenor:
    """How a vol shock given at a reference tenor scales with time to expiry: ``(reference / max(t, floor)) ** power``.

    `short_power` holds up to the reference tenor, `long_power` beyond it (Deribit: 0.3 and 0.13 about 30 days,
    docs.deribit.com private/pme/simulate). Powers of 0 shock all tenors alike.
    """

    reference_days: float = 30.0
    floor_days: float = 1.0
    short_power: float = 0.0
    long_power: float = 0.0

    def multiplier(self, expiry_years: FloatArray) -> FloatArray:
        """Return the factor on the reference shock for each time to expiry in years.

        Examples
        --------
        >>> VolTenor(short_power=0.5, long_power=0.0).multiplier(np.array([7.5, 30.0, 60.0]) / 365.0)
        array([2., 1., 1.])
        """
        days = np.maximum(np.asarray(expiry_years, dtype=np.float64) * 365.0, self.floor_days)
        power = np.where(days <= self.reference_days, self.short_power, self.long_power)
        return np.asarray((self.reference_days / days) ** power)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioSet:
    """Joint moves of `underlyings`; the last axis of every array is scenarios.

    A currency that is not listed does not move: a dollar coin, say, in a set about BTC and ETH.

    Attributes
    ----------
    price_factor : array of shape (n_underlyings, n_scenarios)
        Shocked price over today's price; positive. Spot, perpetuals and forwards move together, apart from `basis`.
    vol_shock : array of shape (n_underlyings, n_scenarios)
        Relative move of implied vol at the reference tenor: 0.5 multiplies vols there by 1.5.
    vol_tenor
        How the vol shock scales with time to expiry.
    min_vol_up
        In scenarios that raise vols, no vol ends below this (annual).
    basis : array of shape (n_underlyings, n_scenarios) or None
        Added to the annualised log basis of forwards and dated futures.
    damping : array of shape (n_scenarios,)
        Profits and losses are multiplied by this; below 1 for tail scenarios that count in part.
    weights : array of shape (n_scenarios,)
        Probabilities, summing to 1.
    labels
        One per scenario, as a person would say it.
    horizon_years
        Time that passes in each scenario.
    """

    name: str
    underlyings: tuple[Currency, ...]
    price_factor: FloatArray
    vol_shock: FloatArray
    labels: tuple[str, ...]
    vol_tenor: VolTenor = field(default_factory=VolTenor)
    min_vol_up: float = 0.0
    basis: FloatArray | None = None
    damping: FloatArray = field(default_factory=lambda: np.empty(0))
    weights: FloatArray = field(default_factory=lambda: np.empty(0))
    horizon_years: float = 0.0

    def __post_init__(self) -> None:
        n = len(self.labels)
        shape = (len(self.underlyings), n)
        if n == 0:
            raise InputError(f"a scenario set needs at least one scenario, {self.name} had none")
        if self.damping.size == 0:
            object.__setattr__(self, "damping", np.ones(n))
        if self.weights.size == 0:
            object.__setattr__(self, "weights", np.full(n, 1.0 / n))
        arrays: Mapping[str, tuple[FloatArray, tuple[int, ...]]] = {
            "price_factor": (self.price_factor, shape),
            "vol_shock": (self.vol_shock, shape),
            "damping": (self.damping, (n,)),
            "weights": (self.weights, (n,)),
        }
        if self.basis is not None:
            arrays = {**arrays, "basis": (self.basis, shape)}
        for name, (array, expected) in arrays.items():
            if array.shape != expected:
                raise InputError(f"{name} of {self.name} must have shape {expected}, was {array.shape}")
            if not np.isfinite(array).all():
                raise InputError(f"{name} of {self.name} must be finite")
        if not (self.price_factor > 0.0).all():
            raise InputError(f"price factors of {self.name} must be positive, smallest was {self.price_factor.min()}")
        if (self.weights < 0.0).any() or abs(float(self.weights.sum()) - 1.0) > 1e-9:
            raise InputError(f"weights of {self.name} must be probabilities, their sum was {self.weights.sum()}")

    @property
    def size(self) -> int:
        """Number of scenarios."""
        return len(self.labels)

    def price_factors(self, currency: Currency) -> FloatArray:
        """Return the price factor of `currency` per scenario; ones if the set does not move it."""
        if currency in self.underlyings:
            return np.asarray(self.price_factor[self.underlyings.index(currency)])
        return np.ones(self.size)

    def vol_shocks(self, currency: Currency) -> FloatArray:
        """Return the relative vol shock of `currency` per scenario at the reference tenor; zeros if not moved."""
        if currency in self.underlyings:
            return np.asarray(self.vol_shock[self.underlyings.index(currency)])
        return np.zeros(self.size)

    def basis_shifts(self, currency: Currency) -> FloatArray:
        """Return the shift of the annualised log basis of `currency` per scenario; zeros if not moved."""
        if self.basis is not None and currency in self.underlyings:
            return np.asarray(self.basis[self.underlyings.index(currency)])
        return np.zeros(self.size)
