"""Paths of the factors that move a market, day by day: filtered historical returns, and vols that follow them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.market.history import PriceHistory
from crossmargin.scenarios.factors import (
    VOL_BETA,
    VOL_RESIDUAL,
    VOL_RESIDUAL_CORRELATION,
    MarketFactors,
    market_factors,
)
from crossmargin.scenarios.filtered import filtered_steps
from crossmargin.scenarios.volatility import ewma_variance_path
from crossmargin.units import Currency, FloatArray

FEWEST_DATES = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FactorPaths:
    """Cumulative log moves of `factors` at the end of each period.

    Attributes
    ----------
    moves : array of shape (n_periods, n_factors, n_paths)
    """

    factors: MarketFactors
    moves: FloatArray

    def __post_init__(self) -> None:
        if self.moves.ndim != 3 or self.moves.shape[1] != len(self.factors.names):
            raise InputError(f"paths of {len(self.factors.names)} factors must have 3 axes, were {self.moves.shape}")


def factor_paths(
    history: PriceHistory,
    coins: Sequence[Currency],
    vol_coins: Sequence[Currency] = (),
    *,
    horizon: int,
    count: int,
    seed: int,
    decay: float = 0.94,
) -> FactorPaths:
    """Return paths over `horizon` steps of the history: whole past dates at today's volatility, without drift.

    Returns are standardised by their exponentially weighted volatility; paths resample date vectors, and volatility
    follows along each path (`scenarios.filtered`). Log vols move by `VOL_BETA` times the return of their coin and a
    normal residual, correlated between coins.

    Raises
    ------
    InputError
        If fewer than 100 dates are complete for all `coins` once volatility is known.
    """
    factors = market_factors(history, coins, vol_coins)
    returns = history.of(tuple(coins)).log_returns()
    variances = np.array([ewma_variance_path(row, decay) for row in returns])
    residuals = returns / np.sqrt(variances[:, :-1])
    residuals = residuals[:, np.isfinite(residuals).all(axis=0)]
    if residuals.shape[1] < FEWEST_DATES:
        raise InputError(f"{FEWEST_DATES} dates must be complete for {', '.join(coins)}, {residuals.shape[1]} are")
    residuals = residuals - residuals.mean(axis=1, keepdims=True)
    ones = np.ones(len(coins))
    steps = filtered_steps(
        residuals,
        variances[:, -1],
        alpha=(1.0 - decay) * ones,
        beta=decay * ones,
        omega=0.0 * ones,
        horizon=horizon,
        count=count,
        seed=seed,
    )
    if not vol_coins:
        return FactorPaths(factors=factors, moves=steps.cumsum(axis=0))
    rows = [factors.coins.index(coin) for coin in vol_coins]
    rng = np.random.default_rng((seed, 1))  # another stream than the dates
    common = rng.normal(size=(horizon, 1, count)) * np.sqrt(VOL_RESIDUAL_CORRELATION)
    own = rng.normal(size=(horizon, len(rows), count)) * np.sqrt(1.0 - VOL_RESIDUAL_CORRELATION)
    vols = VOL_BETA * steps[:, rows] + VOL_RESIDUAL * (common + own)
    return FactorPaths(factors=factors, moves=np.concatenate([steps, vols], axis=1).cumsum(axis=0))
