"""Joint shocks whose tails differ by group and may lean to one side: the grouped and the skewed t copula.

``X_i = g_i (W_i - E W_i) + s_i sqrt(W_i) Z_i``, with normal Z, and ``W_i = n_i / chi2(n_i)`` all of them increasing in one
common uniform. Groups of assets share degrees of freedom (Daul, De Giorgi, Lindskog & McNeil 2003, Risk 16,
73-76); a negative g makes joint falls more extreme than joint rises (Demarta & McNeil 2005, International Statistical
Review 73, 111-129). With one n for all and g = 0 it is the multivariate t.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import gammaln, kve, ndtr, ndtri
from scipy.stats import chi2, qmc

from crossmargin.errors import InputError
from crossmargin.scenarios.correlation import repaired
from crossmargin.scenarios.monte_carlo import shock_scenarios
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.units import Currency, FloatArray

_GRID = np.linspace(-9.0, 9.0, 2_401)
"""Normal quantiles at which the mixing variable is tabled."""
_MASS = np.exp(-0.5 * _GRID**2) / np.exp(-0.5 * _GRID**2).sum()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupedT:
    """Degrees of freedom and skew per asset, with the correlation that the shocks shall have.

    Attributes
    ----------
    correlation : array of shape (n_assets, n_assets)
        Of the shocks themselves, not of Z.
    degrees : array of shape (n_assets,)
        Above 2; above 4 where the skew is not 0, or the variance would be infinite.
    skew : array of shape (n_assets,)
        g, in standard deviations of the shock.
    """

    correlation: FloatArray
    degrees: FloatArray
    skew: FloatArray

    def __post_init__(self) -> None:
        n = self.correlation.shape[0]
        if self.correlation.shape != (n, n) or self.degrees.shape != (n,) or self.skew.shape != (n,):
            raise InputError("correlation, degrees and skew must have one row per asset")
        if (self.degrees <= 2.0).any():
            raise InputError(f"degrees of freedom must be above 2, the least was {self.degrees.min()}")
        skewed = self.skew != 0.0
        if (self.degrees[skewed] <= 4.0).any():
            raise InputError(f"a skewed asset needs more than 4 degrees, the least was {self.degrees[skewed].min()}")
        if (self.skew[skewed] ** 2 * _variance(self.degrees[skewed]) >= 1.0).any():
            raise InputError("a skew must leave variance to the symmetric part: g^2 var(W) must be below 1")

    def shocks(self, count: int, seed: int) -> FloatArray:
        """Return standardised shocks of shape (n_assets, count) from scrambled Sobol points: mean 0, variance 1."""
        n = self.degrees.size
        scale = np.sqrt((1.0 - self._own_variance()) / _mean(self.degrees))
        root = np.linalg.cholesky(self.normal_correlation())
        whole = qmc.Sobol(n + 1, scramble=True, rng=seed).random_base2(max(count - 1, 1).bit_length())
        points = np.clip(whole[:count], 1e-12, 1.0 - 1e-12)
        found = np.ascontiguousarray((ndtri(points[:, :n]) @ root.T).T)
        common = -ndtri(points[:, n])  # the direction of `t_copula_shocks`, so that one group is it exactly
        for degrees in np.unique(self.degrees):
            root_mixing = np.exp(0.5 * np.interp(common, _GRID, _log_mixing(float(degrees))))
            for row in np.flatnonzero(self.degrees == degrees):
                found[row] *= scale[row] * root_mixing
                if self.skew[row]:
                    found[row] += self.skew[row] * (root_mixing**2 - _mean(degrees))
        return found

    def normal_correlation(self) -> FloatArray:
        """Return the correlation of Z that gives the shocks theirs.

        ``rho_ij = (R_ij - g_i g_j cov(W_i, W_j)) / (s_i s_j E sqrt(W_i W_j))``.

        Raises
        ------
        InputError
            If no correlation of Z does: the skews alone correlate the shocks more than asked.
        """
        kinds, kind = np.unique(self.degrees, return_inverse=True)
        mixing = np.exp(np.array([_log_mixing(float(degrees)) for degrees in kinds]))[kind]
        means = _mean(self.degrees)
        scale = np.sqrt((1.0 - self._own_variance()) / means)
        halves = (np.sqrt(mixing) * _MASS) @ np.sqrt(mixing).T
        spread = mixing - means[:, None]
        joint = np.outer(self.skew, self.skew) * ((spread * _MASS) @ spread.T)
        found = (self.correlation - joint) / (np.outer(scale, scale) * halves)
        np.fill_diagonal(found, 1.0)
        if (abs(found) > 1.0 + 1e-9).any():
            raise InputError(
                f"the correlation cannot be reached with these tails: the normal one would be {abs(found).max():.3f}"
            )
        return repaired(found, smallest=1e-10)

    def _own_variance(self) -> FloatArray:
        """Share of an asset's variance that comes from the skew."""
        own = np.zeros(self.degrees.size)
        skewed = self.skew != 0.0
        own[skewed] = self.skew[skewed] ** 2 * _variance(self.degrees[skewed])
        return own


def grouped_t_scenarios(
    currencies: tuple[Currency, ...],
    vols: FloatArray,
    law: GroupedT,
    *,
    count: int = 16_384,
    seed: int = 0,
    vol_beta: FloatArray | None = None,
) -> ScenarioSet:
    """Return Monte-Carlo scenarios under `law`; arguments as `monte_carlo.monte_carlo_scenarios`."""
    kind = "skewed t" if law.skew.any() else "grouped t"
    return shock_scenarios(
        currencies, vols, law.shocks(count, seed), f"Monte Carlo, {kind} copula, seed {seed}", vol_beta
    )


def _mean(degrees: FloatArray) -> FloatArray:
    return np.asarray(degrees / (degrees - 2.0))


def _variance(degrees: FloatArray) -> FloatArray:
    return np.asarray(2.0 * degrees**2 / ((degrees - 2.0) ** 2 * (degrees - 4.0)))


def _log_mixing(degrees: float) -> FloatArray:
    """Logarithm of ``n / chi2(n)`` at the quantiles of `_GRID`, increasing; each tail from its own side."""
    upper = chi2.isf(ndtr(np.minimum(_GRID, 0.0)), degrees)
    lower = chi2.ppf(ndtr(-np.maximum(_GRID, 0.0)), degrees)
    return np.asarray(math.log(degrees) - np.log(np.where(_GRID <= 0.0, upper, lower)))


@dataclass(frozen=True, slots=True, kw_only=True)
class TailFit:
    """Degrees of freedom and skew of standardised residuals, and whether the skew is asked for.

    Attributes
    ----------
    skew
        0 where the likelihood ratio does not reject it at 5 %.
    fitted_skew
        What the likelihood prefers.
    likelihood_ratio, p_value
        Of the skew against none; one degree of freedom.
    """

    degrees: float
    skew: float
    fitted_skew: float
    likelihood_ratio: float
    p_value: float


def fit_tail(residuals: FloatArray) -> TailFit:
    """Return the maximum-likelihood skewed t of `residuals`, standardised first, without NaN.

    Degrees are sought in [2.1, 60] without skew and in [4.1, 60] with one. The density is that of the generalised
    hyperbolic skewed t (McNeil, Frey & Embrechts 2015, *Quantitative Risk Management*, section 6.2.3).

    Raises
    ------
    InputError
        If there are fewer than 100, or they do not vary.
    """
    if residuals.ndim != 1 or residuals.size < 100 or not np.isfinite(residuals).all():
        raise InputError(f"a tail fit needs 100 finite residuals in one row, had shape {residuals.shape}")
    spread = float(residuals.std())
    if spread == 0.0:
        raise InputError("a tail fit needs residuals that vary, all were equal")
    x = (residuals - residuals.mean()) / spread
    plain = minimize_scalar(lambda nu: -_log_likelihood(x, nu, 0.0), bounds=(2.1, 60.0), method="bounded")
    symmetric = minimize_scalar(lambda nu: -_log_likelihood(x, nu, 0.0), bounds=(4.1, 60.0), method="bounded")
    start = np.array([min(max(float(plain.x), 4.2), 59.0), 0.0])

    def loss(p: FloatArray) -> float:
        return -_log_likelihood(x, float(p[0]), float(p[1])) if 4.1 <= p[0] <= 60.0 else 1e12

    leaning = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-8})
    ratio = max(2.0 * (float(symmetric.fun) - float(leaning.fun)), 0.0)
    p_value = float(chi2.sf(ratio, 1))
    asked = p_value < 0.05 and float(leaning.fun) < float(plain.fun)
    return TailFit(
        degrees=float(leaning.x[0] if asked else plain.x),
        skew=float(leaning.x[1]) if asked else 0.0,
        fitted_skew=float(leaning.x[1]),
        likelihood_ratio=ratio,
        p_value=p_value,
    )


def skewed_t_log_density(x: FloatArray, degrees: float, skew: float) -> FloatArray:
    """Return the log density of ``X = g (W - EW) + s sqrt(W) Z`` with variance 1; minus infinity where there is none.

    Examples
    --------
    >>> from scipy.stats import t
    >>> root = np.sqrt(5.0 / 3.0)
    >>> bool(np.isclose(skewed_t_log_density(np.array([1.0]), 5.0, 0.0)[0], np.log(root * t.pdf(root, 5.0))))
    True
    """
    mean = degrees / (degrees - 2.0)
    own = skew**2 * float(_variance(np.array(degrees))) if skew else 0.0
    if own >= 1.0:
        return np.full(x.shape, -np.inf)
    scale = math.sqrt((1.0 - own) / mean)
    half = 0.5 * (degrees + 1.0)
    y = (x + skew * mean) / scale
    common = -math.log(scale) - 0.5 * math.log(math.pi * degrees) - float(gammaln(0.5 * degrees))
    if abs(skew) < 1e-6:
        return np.asarray(common + float(gammaln(half)) - half * np.log1p(y**2 / degrees))
    lean = skew / scale
    argument = np.sqrt((degrees + y**2) * lean**2)
    bessel = np.log(kve(half, argument)) - argument
    tilt = y * lean + half * np.log(argument) - half * np.log1p(y**2 / degrees)
    return np.asarray(common + (1.0 - half) * math.log(2.0) + bessel + tilt)


def _log_likelihood(x: FloatArray, degrees: float, skew: float) -> float:
    found = float(skewed_t_log_density(x, degrees, skew).sum())
    return found if math.isfinite(found) else -1e12
