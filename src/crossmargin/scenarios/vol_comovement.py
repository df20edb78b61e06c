"""How implied vols move with spot, and with one another.

Three views of a surface when the forward moves by the log return x, told apart by the skew-stickiness ratio R, the move
of at-the-money vol over skew times x (Bergomi 2009, *Smile Dynamics IV*, Risk, December):

- sticky strike, R = 1: each strike keeps its vol, so that at-the-money vol slides along the smile;
- sticky delta, R = 0: each moneyness keeps its vol;
- regression: R, or the relative move of vol per unit of log return, as measured.

A `ScenarioSet` shocks the vol of each strike; `strike_beta` says what a view means in that convention.
"""

import math
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.units import FloatArray

STICKY_STRIKE = 1.0
STICKY_DELTA = 0.0
FEWEST_PAIRS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotVol:
    """Log moves of at-the-money vol on log returns: ``v = alpha + beta r + e``, by least squares.

    Attributes
    ----------
    beta_down, beta_up
        The slope on falls and on rises, fitted together; crypto vols rise with falls and may rise with rallies too.
    residual
        Standard deviation of what the slope leaves.
    explained
        Share of variance that it explains.
    standard_error
        Of `beta`, robust to unequal variance (White 1980).
    """

    alpha: float
    beta: float
    beta_down: float
    beta_up: float
    residual: float
    explained: float
    standard_error: float
    observations: int


def fit_spot_vol(returns: FloatArray, vol_moves: FloatArray) -> SpotVol:
    """Return the regression of `vol_moves` on `returns`, both log changes over the same periods, shape (n_times,).

    Periods in which either is missing are left out.

    Raises
    ------
    InputError
        If shapes differ, fewer than 20 periods are complete, or the price never moved.

    Examples
    --------
    >>> x = np.linspace(-0.1, 0.1, 21)
    >>> fit = fit_spot_vol(x, -0.5 * x)
    >>> round(fit.beta, 12), round(fit.explained, 12)
    (-0.5, 1.0)
    """
    if returns.shape != vol_moves.shape or returns.ndim != 1:
        raise InputError(f"returns and vol moves must have one shape, were {returns.shape} and {vol_moves.shape}")
    known = np.isfinite(returns) & np.isfinite(vol_moves)
    if known.sum() < FEWEST_PAIRS:
        raise InputError(f"a spot-vol regression needs {FEWEST_PAIRS} complete periods, had {known.sum()}")
    x, y = returns[known], vol_moves[known]
    spread = x - x.mean()
    squares = float(spread @ spread)
    if squares == 0.0:
        raise InputError("a spot-vol regression needs returns that vary, all were equal")
    beta = float(spread @ y) / squares
    alpha = float(y.mean()) - beta * float(x.mean())
    errors = y - alpha - beta * x
    sides = np.stack([np.ones(x.size), np.minimum(x, 0.0), np.maximum(x, 0.0)], axis=1)
    _, down, up = np.linalg.lstsq(sides, y, rcond=None)[0].tolist()
    total = float(np.sum((y - y.mean()) ** 2))
    return SpotVol(
        alpha=alpha,
        beta=beta,
        beta_down=down,
        beta_up=up,
        residual=math.sqrt(float(errors @ errors) / (x.size - 2)),
        explained=1.0 - float(errors @ errors) / total if total > 0.0 else 1.0,
        standard_error=math.sqrt(float(spread**2 @ errors**2)) / squares,
        observations=int(x.size),
    )


def joint_covariance(price: FloatArray, betas: FloatArray, residual: FloatArray) -> FloatArray:
    """Return the covariance of log returns and log vol moves together: prices first, then vols.

    ``v = B r + e`` gives ``[[C, C B'], [B C, B C B' + E]]``, which has no negative eigenvalue if C and E have none.

    Parameters
    ----------
    price : array of shape (n_coins, n_coins)
        Covariance C of log returns.
    betas : array of shape (n_vols, n_coins)
        A vol's move per unit of each coin's log return; diagonal where it depends on its own coin only.
    residual : array of shape (n_vols, n_vols)
        Covariance E of what is left: how vols move together beyond spot.

    Returns
    -------
    array of shape (n_coins + n_vols, n_coins + n_vols)

    Raises
    ------
    InputError
        If the shapes do not fit.

    Examples
    --------
    >>> joint_covariance(np.array([[4.0]]), np.array([[-0.5]]), np.array([[1.0]]))
    array([[ 4., -2.],
           [-2.,  2.]])
    """
    coins, vols = price.shape[0], residual.shape[0]
    if price.shape != (coins, coins) or residual.shape != (vols, vols) or betas.shape != (vols, coins):
        raise InputError(f"covariances and betas must fit, were {price.shape}, {residual.shape} and {betas.shape}")
    cross = betas @ price
    return np.asarray(np.block([[price, cross.T], [cross, cross @ betas.T + residual]]))


def stickiness(beta: float, atm_vol: float, skew: float) -> float:
    """Return the skew-stickiness ratio of a relative vol beta: ``beta * vol / skew``.

    Parameters
    ----------
    skew
        Slope of vol in log-moneyness at the money; not 0.

    Examples
    --------
    >>> round(stickiness(beta=-0.5, atm_vol=0.6, skew=-0.2), 12)
    1.5
    """
    if skew == 0.0:
        raise InputError("a flat smile has no stickiness: its at-the-money skew is 0")
    return beta * atm_vol / skew


def strike_beta(ratio: float, atm_vol: float, skew: float) -> float:
    """Return the relative move of the vol of a fixed at-the-money strike per unit of log return: ``(R - 1) skew / vol``.

    Sticky strike gives 0. Sticky delta raises the vol of the strike that spot leaves above where the smile falls.

    Examples
    --------
    >>> strike_beta(STICKY_STRIKE, 0.6, -0.2), round(strike_beta(STICKY_DELTA, 0.6, -0.2), 9)
    (-0.0, 0.333333333)
    """
    if not atm_vol > 0.0:
        raise InputError(f"a vol must be positive, was {atm_vol}")
    return (ratio - 1.0) * skew / atm_vol
