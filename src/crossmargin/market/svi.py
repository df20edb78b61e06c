"""SVI and SSVI: total implied variance by log-moneyness ``k = ln(K/F)``, and what makes it arbitrage-free.

Raw SVI is ``w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + sigma^2))``. A slice is free of butterfly arbitrage where the
density factor ``g(k) = (1 - k w'/(2w))^2 - w'^2/4 (1/w + 1/4) + w''/2`` is nowhere negative and the wings are not
steeper than 2; two slices are free of calendar arbitrage where the later total variance is nowhere the smaller
(Gatheral & Jacquier 2014, Arbitrage-free SVI volatility surfaces, Quantitative Finance 14, 59-71).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from crossmargin.errors import InputError
from crossmargin.units import FloatArray

CHECK_MONEYNESS = np.linspace(-3.0, 3.0, 1201)
"""Log-moneyness at which arbitrage is looked for: 5 % to 2,000 % of the forward in steps of half a percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Svi:
    """Raw SVI parameters of one expiry; ``a`` is a total variance, not an annual one."""

    a: float
    b: float
    rho: float
    m: float
    sigma: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in (self.a, self.b, self.rho, self.m, self.sigma)):
            raise InputError("SVI parameters must be finite")
        if not (self.b >= 0.0 and abs(self.rho) < 1.0 and self.sigma > 0.0):
            raise InputError(f"SVI needs b >= 0, |rho| < 1, sigma > 0, were {self.b}, {self.rho}, {self.sigma}")
        least = self.b * self.sigma * math.sqrt(1.0 - self.rho**2)
        if self.a + least < -1e-12 * (abs(self.a) + least):
            raise InputError(f"SVI's least total variance must not be negative, was {self.a + least}")

    def total_variance(self, k: ArrayLike) -> FloatArray:
        """Return ``w(k)``.

        Examples
        --------
        >>> Svi(a=-0.02, b=0.15, rho=0.3, m=0.2, sigma=0.4).total_variance(0.0).round(8)
        np.float64(0.03808204)
        """
        x = np.asarray(k, dtype=np.float64) - self.m
        return np.maximum(self.a + self.b * (self.rho * x + np.sqrt(x * x + self.sigma * self.sigma)), 0.0)

    def density_factor(self, k: ArrayLike) -> FloatArray:
        """Return ``g(k)``, which is negative where butterflies are arbitrage."""
        k = np.asarray(k, dtype=np.float64)
        x = k - self.m
        root = np.sqrt(x * x + self.sigma * self.sigma)
        w = np.maximum(self.total_variance(k), 1e-300)
        slope = self.b * (self.rho + x / root)
        bend = self.b * self.sigma**2 / root**3
        return np.asarray((1.0 - k * slope / (2.0 * w)) ** 2 - 0.25 * slope**2 * (1.0 / w + 0.25) + 0.5 * bend)

    @property
    def least_density_factor(self) -> float:
        """The least ``g`` over `CHECK_MONEYNESS`, refined between its neighbours."""
        values = self.density_factor(CHECK_MONEYNESS)
        place = int(np.argmin(values))
        low, high = CHECK_MONEYNESS[max(place - 1, 0)], CHECK_MONEYNESS[min(place + 1, values.size - 1)]
        return float(self.density_factor(np.linspace(low, high, 201)).min())

    @property
    def free_of_butterflies(self) -> bool:
        """Whether no butterfly costs less than nothing: ``g >= 0``, and wings not steeper than 2 (Lee 2004)."""
        return self.b * (1.0 + abs(self.rho)) <= 2.0 and self.least_density_factor >= -1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class JumpWings:
    """SVI in traders' terms, at `years` to expiry.

    ``v`` is the at-the-money variance, ``psi`` its skew, ``p`` and ``c`` the slopes of the put and call wings,
    ``v_least`` the least variance (Gatheral & Jacquier 2014, section 3.3).
    """

    years: float
    v: float
    psi: float
    p: float
    c: float
    v_least: float


def to_jump_wings(svi: Svi, years: float) -> JumpWings:
    """Return the jump-wings form of `svi`.

    Examples
    --------
    >>> vogt = Svi(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153)
    >>> round(to_jump_wings(vogt, 1.0).psi, 7)
    -0.1752111
    """
    root = math.hypot(svi.m, svi.sigma)
    w = float(svi.total_variance(0.0))
    return JumpWings(
        years=years,
        v=w / years,
        psi=svi.b / (2.0 * math.sqrt(w)) * (svi.rho - svi.m / root),
        p=svi.b * (1.0 - svi.rho) / math.sqrt(w),
        c=svi.b * (1.0 + svi.rho) / math.sqrt(w),
        v_least=(svi.a + svi.b * svi.sigma * math.sqrt(1.0 - svi.rho**2)) / years,
    )


def from_jump_wings(wings: JumpWings) -> Svi:
    """Return raw SVI with these jump wings.

    Raises
    ------
    InputError
        If no slice has them.
    """
    w = wings.v * wings.years
    b = 0.5 * math.sqrt(w) * (wings.c + wings.p)
    if not b > 0.0:
        raise InputError(f"jump wings need p + c > 0, was {wings.p + wings.c}")
    rho = 1.0 - wings.p * math.sqrt(w) / b
    beta = rho - 2.0 * wings.psi * math.sqrt(w) / b
    if not (abs(beta) <= 1.0 and abs(rho) < 1.0):
        raise InputError(f"jump wings need a skew between their slopes, p {wings.p}, psi {wings.psi}, c {wings.c}")
    rise = (wings.v - wings.v_least) * wings.years
    flat = math.sqrt(1.0 - rho**2)
    if abs(beta) < 1e-12:  # the vertex lies at the money, m = 0
        if rho == 0.0:
            raise InputError("jump wings with neither skew nor slant do not fix a slice")
        sigma = rise / (b * (1.0 - flat))
        return Svi(a=w - b * sigma, b=b, rho=rho, m=0.0, sigma=sigma)
    alpha = math.copysign(math.sqrt(1.0 / beta**2 - 1.0), beta)
    # m = rise / (b (-rho + sign(alpha) sqrt(1 + alpha^2) - alpha sqrt(1 - rho^2)))
    m = rise / (b * (-rho + math.copysign(math.hypot(1.0, alpha), alpha) - alpha * flat))
    sigma = alpha * m
    return Svi(a=wings.v_least * wings.years - b * sigma * flat, b=b, rho=rho, m=m, sigma=sigma)


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLawSsvi:
    """A whole surface: ``w = theta/2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2))``.

    ``phi(theta) = eta theta^-gamma (1 + theta)^(gamma - 1)`` (Gatheral & Jacquier 2014, section 4); ``theta`` is the
    at-the-money total variance of an expiry. With ``eta (1 + |rho|) <= 2`` and theta increasing it holds no arbitrage.
    """

    rho: float
    eta: float
    gamma: float

    def __post_init__(self) -> None:
        if not (abs(self.rho) < 1.0 and self.eta > 0.0 and 0.0 < self.gamma <= 0.5):
            raise InputError(
                f"SSVI needs |rho| < 1, eta > 0, 0 < gamma <= 1/2, were {self.rho}, {self.eta}, {self.gamma}"
            )

    def phi(self, theta: ArrayLike) -> FloatArray:
        """Return the smile's curvature at total variance `theta`."""
        theta = np.asarray(theta, dtype=np.float64)
        return np.asarray(self.eta * theta**-self.gamma * (1.0 + theta) ** (self.gamma - 1.0))

    def slice(self, theta: float) -> Svi:
        """Return the raw SVI slice with at-the-money total variance `theta`."""
        phi, flat = float(self.phi(theta)), math.sqrt(1.0 - self.rho**2)
        return Svi(
            a=0.5 * theta * (1.0 - self.rho**2), b=0.5 * theta * phi, rho=self.rho, m=-self.rho / phi, sigma=flat / phi
        )

    def free_of_arbitrage(self, theta: ArrayLike) -> bool:
        """Whether the sufficient conditions hold at every `theta` (Gatheral & Jacquier 2014, theorem 4.2).

        ``theta phi (1 + |rho|) < 4`` and ``theta phi^2 (1 + |rho|) <= 4``.
        """
        theta = np.asarray(theta, dtype=np.float64)
        phi, slant = self.phi(theta), 1.0 + abs(self.rho)
        first, second = theta * phi * slant < 4.0, theta * phi**2 * slant <= 4.0 * (1.0 + 1e-12)
        return bool(np.all(first & second))


def calendar_excess(near: Svi, far: Svi) -> float:
    """Return by how much the nearer total variance exceeds the farther at worst; positive is calendar arbitrage."""
    return float(np.max(near.total_variance(CHECK_MONEYNESS) - far.total_variance(CHECK_MONEYNESS)))
