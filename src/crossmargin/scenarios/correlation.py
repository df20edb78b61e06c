"""Dependence of returns: weighted and dynamic correlation, shrinkage, repair, and stressed sets.

A correlation matrix here is symmetric, has a unit diagonal and no negative eigenvalue; every function that returns one
keeps that.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from crossmargin.errors import InputError
from crossmargin.units import FloatArray


def correlation_of(covariance: FloatArray) -> FloatArray:
    """Return the correlation matrix of a covariance matrix."""
    scale = 1.0 / np.sqrt(np.diag(covariance))
    return _tidy(covariance * np.outer(scale, scale))


def ewma_correlation(returns: FloatArray, decay: float) -> FloatArray:
    """Return the exponentially weighted correlation of `returns`, shape (n_assets, n_times), after the last period.

    Raises
    ------
    InputError
        If `decay` is not inside (0, 1) or a return is missing.
    """
    if not 0.0 < decay < 1.0:
        raise InputError(f"decay must be inside (0, 1), was {decay}")
    if not np.isfinite(returns).all():
        raise InputError("a correlation needs finite returns, found NaN or infinity")
    weights = decay ** np.arange(returns.shape[1] - 1, -1, -1)
    return correlation_of((returns * weights) @ returns.T / weights.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """A shrunk covariance and the weight given to the target."""

    covariance: FloatArray
    intensity: float


def ledoit_wolf(returns: FloatArray) -> Shrunk:
    """Return the covariance of `returns` (n_assets, n_times) shrunk towards a multiple of the identity.

    The intensity minimises expected squared error (Ledoit & Wolf 2004, J. Multivariate Analysis 88, 365-411).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> 0.0 < ledoit_wolf(rng.normal(size=(5, 40))).intensity < 1.0
    True
    """
    x = returns - returns.mean(axis=1, keepdims=True)
    p, n = x.shape
    sample = x @ x.T / n
    mu = float(np.trace(sample)) / p
    spread = float(np.sum((sample - mu * np.eye(p)) ** 2)) / p
    fourth = float(np.sum((x**2) @ (x**2).T)) / n - float(np.sum(sample**2))
    noise = min(fourth / (n * p), spread)
    intensity = noise / spread if spread > 0.0 else 1.0
    return Shrunk(covariance=(1.0 - intensity) * sample + intensity * mu * np.eye(p), intensity=intensity)


def eigenvalue_clipped(correlation: FloatArray, n_times: int) -> FloatArray:
    """Return `correlation` with its noise eigenvalues replaced by their mean.

    Noise lies below the Marchenko-Pastur edge ``(1 + sqrt(p/n))**2`` (Laloux et al. 1999, PRL 83, 1467).
    """
    p = correlation.shape[0]
    values, vectors = np.linalg.eigh(correlation)
    edge = (1.0 + math.sqrt(p / n_times)) ** 2
    noise = values < edge
    if noise.any():
        values = np.where(noise, max(float(values[noise].mean()), 1e-12), values)
    return correlation_of((vectors * values) @ vectors.T)


def repaired(matrix: FloatArray, smallest: float = 0.0) -> FloatArray:
    """Return the spectral repair of a symmetric matrix with unit diagonal: no eigenvalue below `smallest`.

    Negative eigenvalues are set to zero and rows rescaled to a unit diagonal (Rebonato & Jaeckel 1999; the spectral
    salvaging of QuantLib).

    Examples
    --------
    >>> bad = np.array([[1.0, 0.9, 0.7], [0.9, 1.0, 0.3], [0.7, 0.3, 1.0]])
    >>> float(np.linalg.eigvalsh(repaired(bad)).min()) > -1e-12
    True
    """
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    if values[0] >= smallest:
        return _tidy(matrix)
    root = vectors * np.sqrt(np.maximum(values, smallest))
    root = root / np.linalg.norm(root, axis=1, keepdims=True)
    return _tidy(root @ root.T)


def stressed(correlation: FloatArray, towards: float, weight: float) -> FloatArray:
    """Return `correlation` moved by `weight` towards all pairs at `towards`, repaired.

    `towards` 1 is the crisis in which everything falls together; towards -1, or 0, is the break of a hedge: the offset
    granted between two underlyings must survive both.

    Raises
    ------
    InputError
        If `towards` is not inside [-1, 1] or `weight` not inside [0, 1].

    Examples
    --------
    >>> stressed(np.array([[1.0, 0.8], [0.8, 1.0]]), towards=0.0, weight=0.5)
    array([[1. , 0.4],
           [0.4, 1. ]])
    """
    if not -1.0 <= towards <= 1.0:
        raise InputError(f"a correlation must be inside [-1, 1], was {towards}")
    if not 0.0 <= weight <= 1.0:
        raise InputError(f"weight must be inside [0, 1], was {weight}")
    p = correlation.shape[0]
    target = np.full((p, p), towards)
    np.fill_diagonal(target, 1.0)
    return repaired((1.0 - weight) * correlation + weight * target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dcc:
    """A fitted dynamic conditional correlation: ``Q[t] = (1-a-b) Qbar + a z z' + b Q[t-1]``, R its correlation."""

    a: float
    b: float
    target: FloatArray
    log_likelihood: float

    def correlation_path(self, residuals: FloatArray) -> FloatArray:
        """Return the forecast for each period and the one after, shape (n_times + 1, n_assets, n_assets)."""
        return _dcc_path(np.ascontiguousarray(residuals.T), self.a, self.b, self.target)


def fit_dcc(residuals: FloatArray) -> Dcc:
    """Return the DCC of standardised `residuals` (n_assets, n_times), with correlation targeting.

    The composite likelihood of all pairs is maximised, which stays unbiased with many assets where the joint one does
    not (Engle 2002, J. Business & Economic Statistics 20, 339-350; Pakel, Shephard, Sheppard & Engle 2021).

    Raises
    ------
    InputError
        If there are fewer than two assets or a residual is missing.
    """
    if residuals.shape[0] < 2:
        raise InputError(f"a correlation needs at least two assets, had {residuals.shape[0]}")
    if not np.isfinite(residuals).all():
        raise InputError("a DCC fit needs finite residuals, found NaN or infinity")
    z = np.ascontiguousarray(residuals.T)
    target = correlation_of(z.T @ z / z.shape[0])

    def ab(x: FloatArray) -> tuple[float, float]:
        persistence = 0.9999 / (1.0 + math.exp(-float(x[0])))
        share = 1.0 / (1.0 + math.exp(-float(x[1])))
        return persistence * share, persistence * (1.0 - share)

    def loss(x: FloatArray) -> float:
        return float(_dcc_loss(z, *ab(x), target))

    from scipy.optimize import minimize  # slow to load, and seldom needed

    found = minimize(loss, np.array([3.5, -3.0]), method="Nelder-Mead", options={"xatol": 1e-4})
    a, b = ab(found.x)
    return Dcc(a=a, b=b, target=target, log_likelihood=-float(found.fun))


@njit(cache=True, error_model="numpy")
def _dcc_loss(z: FloatArray, a: float, b: float, target: FloatArray) -> float:
    """Negative composite log-likelihood over all pairs, per period."""
    n, p = z.shape
    q = target.copy()
    loss = 0.0
    for t in range(n):
        for i in range(p):
            for j in range(i):
                rho = q[i, j] / math.sqrt(q[i, i] * q[j, j])
                rest = 1.0 - rho * rho
                x, y = z[t, i], z[t, j]
                loss += 0.5 * (math.log(rest) + (x * x + y * y - 2.0 * rho * x * y) / rest)
        for i in range(p):
            for j in range(p):
                q[i, j] = (1.0 - a - b) * target[i, j] + a * z[t, i] * z[t, j] + b * q[i, j]
    return float(loss / n)


@njit(cache=True, error_model="numpy")
def _dcc_path(z: FloatArray, a: float, b: float, target: FloatArray) -> FloatArray:
    n, p = z.shape
    out = np.empty((n + 1, p, p))
    q = target.copy()
    for t in range(n + 1):
        for i in range(p):
            for j in range(p):
                out[t, i, j] = q[i, j] / math.sqrt(q[i, i] * q[j, j])
        if t < n:
            for i in range(p):
                for j in range(p):
                    q[i, j] = (1.0 - a - b) * target[i, j] + a * z[t, i] * z[t, j] + b * q[i, j]
    return out


def _tidy(matrix: FloatArray) -> FloatArray:
    """Exactly symmetric, exact ones on the diagonal, nothing outside [-1, 1]."""
    out = np.clip(0.5 * (matrix + matrix.T), -1.0, 1.0)
    np.fill_diagonal(out, 1.0)
    return np.asarray(out)
