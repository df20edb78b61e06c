"""The factors that move a market, with their covariance: a log return per coin, and log moves of its vols."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from crossmargin.errors import InputError
from crossmargin.market.history import PriceHistory
from crossmargin.scenarios.correlation import correlation_of, repaired
from crossmargin.scenarios.scenario_set import ScenarioSet, VolTenor
from crossmargin.scenarios.vol_comovement import joint_covariance
from crossmargin.units import Currency, FloatArray

VOL_BETA = -0.37
"""Log move of 30-day implied vol per unit of log return: DVOL on BTC, 1,770 days to January 2026."""
VOL_RESIDUAL = 0.045
"""Standard deviation per day of what that slope leaves, from the same regression."""
VOL_RESIDUAL_CORRELATION = 0.72
"""Between BTC's and ETH's residuals: 163 daily Deribit chains, December 2025 to June 2026."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFactors:
    """What moves, and how it moves together over one horizon.

    Attributes
    ----------
    coins
        With a log return each.
    vol_coins
        With a log move of implied vol each; the same at every tenor unless `vol_tenor` says otherwise.
    covariance : array of shape (n_coins + n_vol_coins, n_coins + n_vol_coins)
        Coins first; positive definite.
    """

    coins: tuple[Currency, ...]
    vol_coins: tuple[Currency, ...]
    covariance: FloatArray
    vol_tenor: VolTenor = field(default_factory=VolTenor)

    def __post_init__(self) -> None:
        n = len(self.coins) + len(self.vol_coins)
        if self.covariance.shape != (n, n):
            raise InputError(f"the covariance of {n} factors must have shape {(n, n)}, was {self.covariance.shape}")
        unknown = [coin for coin in self.vol_coins if coin not in self.coins]
        if unknown:
            raise InputError(f"a coin whose vol moves must have a price that moves, {', '.join(unknown)} has none")

    @property
    def names(self) -> tuple[str, ...]:
        """One per factor, as a person would say it."""
        return (*(f"{coin} price" for coin in self.coins), *(f"{coin} vol" for coin in self.vol_coins))

    def relative(self, moves: FloatArray) -> FloatArray:
        """Return log moves as relative ones: 0.1 is 10 % up."""
        return np.asarray(np.expm1(moves))

    def scenarios(self, moves: FloatArray, name: str = "moves") -> ScenarioSet:
        """Return log moves of shape (n_factors, n_points) as a scenario set."""
        # the exponential of what nobody would believe still has to be finite
        bounded = np.clip(moves, -20.0, 20.0)
        vols = np.zeros((len(self.coins), moves.shape[1]))
        for row, coin in enumerate(self.vol_coins):
            vols[self.coins.index(coin)] = np.expm1(bounded[len(self.coins) + row])
        return ScenarioSet(
            name=name,
            underlyings=self.coins,
            price_factor=np.exp(bounded[: len(self.coins)]),
            vol_shock=vols,
            labels=tuple(f"{name} {number}" for number in range(moves.shape[1])),
            vol_tenor=self.vol_tenor,
        )


def market_factors(
    history: PriceHistory,
    coins: Sequence[Currency],
    vol_coins: Sequence[Currency] = (),
    *,
    horizon_days: float = 1.0,
    decay: float = 0.97,
) -> MarketFactors:
    """Return the factors of `coins` from daily closes: exponentially weighted, scaled by the root of the horizon.

    Vols follow their own coin with `VOL_BETA`, `VOL_RESIDUAL` and `VOL_RESIDUAL_CORRELATION`.

    Raises
    ------
    InputError
        If a coin is not in the history, fewer than 30 dates are complete for all, or an argument makes no sense.
    """
    if not 0.0 < decay < 1.0 or not horizon_days > 0.0:
        raise InputError(f"decay inside (0, 1) and a positive horizon must hold, were {decay} and {horizon_days}")
    if not coins:
        raise InputError("factors need at least one coin whose price moves, found none")
    returns = history.of(tuple(coins)).log_returns()
    complete = returns[:, np.isfinite(returns).all(axis=0)]
    if complete.shape[1] < 30:
        raise InputError(f"30 dates must be complete for {', '.join(coins)}, {complete.shape[1]} are")
    weights = decay ** np.arange(complete.shape[1] - 1, -1, -1)
    sample = (complete * weights) @ complete.T / weights.sum()
    if (np.diag(sample) <= 0.0).any():
        raise InputError("a covariance needs prices that move, one of them never did")
    # coins that move as one would leave no inverse; a hundredth of a percent of own variance does
    scale = np.sqrt(np.diag(sample))
    price = repaired(correlation_of(sample), smallest=1e-4) * np.outer(scale, scale)
    betas = np.array([[VOL_BETA * (coin == other) for other in coins] for coin in vol_coins], dtype=np.float64)
    together = np.full((len(vol_coins), len(vol_coins)), VOL_RESIDUAL_CORRELATION)
    np.fill_diagonal(together, 1.0)
    joint = joint_covariance(price, betas, VOL_RESIDUAL**2 * together) if vol_coins else price
    return MarketFactors(coins=tuple(coins), vol_coins=tuple(vol_coins), covariance=horizon_days * joint)
