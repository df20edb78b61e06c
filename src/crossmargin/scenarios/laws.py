"""Laws of joint moves by name: what the past suggests for the next days, in three ways.

`historical` are past dates as they were. `filtered` draws past dates with replacement, each whole, standardised by a
GARCH(1,1) of each coin and rescaled as its volatility goes on from today (Barone-Adesi, Giannopoulos & Vosper 1999).
`monte_carlo` draws from a Student t copula with an exponentially weighted covariance, by scrambled Sobol points.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from crossmargin.errors import InputError
from crossmargin.market.history import PriceHistory
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.scenarios.correlation import correlation_of
from crossmargin.scenarios.factors import market_factors
from crossmargin.scenarios.filtered import filtered_paths, largest_moves, standardised_residuals
from crossmargin.scenarios.historical import historical_scenarios
from crossmargin.scenarios.monte_carlo import monte_carlo_scenarios, shock_scenarios
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.scenarios.vol_comovement import strike_beta
from crossmargin.scenarios.volatility import fit_garch
from crossmargin.scenarios.volatility_choice import at_the_money_skew, at_the_money_vols
from crossmargin.units import Currency, FloatArray

LAWS = ("historical", "filtered", "monte_carlo")
TENOR_DAYS = 30.0
"""Of the smile whose skew says how vols follow spot."""
FEWEST_DATES = 100
"""Complete dates that dynamics are fitted to."""


def law_scenarios(
    law: str,
    history: PriceHistory,
    coins: tuple[Currency, ...],
    *,
    horizon: int = 1,
    lookback: int = 730,
    count: int = 16_384,
    degrees: float = 4.0,
    seed: int = 0,
) -> ScenarioSet:
    """Return joint scenarios of the prices of `coins` over `horizon` steps of `history`; vols stand still.

    Parameters
    ----------
    law
        One of `LAWS`.
    lookback
        Dates that count, the latest ones.
    count, seed
        Draws of the laws that draw; the same seed gives the same scenarios.
    degrees
        Of freedom of `monte_carlo`.

    Raises
    ------
    InputError
        If the law is unknown, a coin is not in the history or too few dates are complete for all.

    Examples
    --------
    >>> closes = np.exp(np.cumsum(np.random.default_rng(1).normal(0.0, 0.02, (1, 300)), axis=1))
    >>> days = np.arange(300) * 86_400 * 10**9
    >>> past = PriceHistory(currencies=(Currency("BTC"),), times_ns=days, prices=closes)
    >>> drawn = law_scenarios("monte_carlo", past, past.currencies, count=4_096)
    >>> drawn.size, bool(0.015 < np.log(drawn.price_factor).std() < 0.025)
    (4096, True)
    """
    if law not in LAWS:
        raise InputError(f"a law of moves must be one of {', '.join(LAWS)}, was {law!r}")
    if law == "historical":
        return historical_scenarios(history, coins, horizon=horizon, count=lookback)
    if law == "monte_carlo":
        spread = market_factors(history, coins, horizon_days=float(horizon)).covariance
        vols = np.sqrt(np.diag(spread))
        return monte_carlo_scenarios(coins, vols, correlation_of(spread), degrees=degrees, count=count, seed=seed)
    returns = history.of(coins).log_returns()
    complete = returns[:, np.isfinite(returns).all(axis=0)][:, -lookback:]
    if complete.shape[1] < FEWEST_DATES:
        raise InputError(f"{FEWEST_DATES} dates must be complete for {', '.join(coins)}, {complete.shape[1]} are")
    moves = _resampled(complete, horizon, count, seed)
    lowest, highest = largest_moves(history.of(coins).log_returns(horizon), horizon)[:, -1]
    name = f"filtered historical, {horizon} steps, {complete.shape[1]} dates, seed {seed}"
    return shock_scenarios(coins, np.ones(len(coins)), np.clip(moves, lowest, highest), name)


def with_vol_betas(scenarios: ScenarioSet, betas: Mapping[Currency, float]) -> ScenarioSet:
    """Return `scenarios` in which the vol of each strike moves by so much per unit of log return of its coin.

    Coins without a beta keep their vols.

    Examples
    --------
    >>> fall = ScenarioSet(name="fall", underlyings=(Currency("BTC"),), price_factor=np.array([[np.exp(-0.1)]]),
    ...     vol_shock=np.zeros((1, 1)), labels=("-10 %",))
    >>> with_vol_betas(fall, {Currency("BTC"): -1.0}).vol_shock.round(6).item()
    0.105171
    """
    beta = np.array([betas.get(coin, 0.0) for coin in scenarios.underlyings])
    shock = np.expm1(beta[:, None] * np.log(scenarios.price_factor))
    return replace(scenarios, vol_shock=np.maximum(shock, -0.95))


def sticky_vol_betas(market: MarketSnapshot, coins: Iterable[Currency], ratio: float) -> dict[Currency, float]:
    """Return the vol beta of each coin with a vol surface under a skew-stickiness ratio, at the 30-day tenor.

    1 is a sticky strike, whose vol stands still, 0 a sticky delta, 2 about what a local-vol model says.
    """
    found = {}
    for coin in coins:
        if coin in market.surfaces:
            vol = float(at_the_money_vols(market, coin, (TENOR_DAYS,))[0])
            found[coin] = strike_beta(ratio, vol, at_the_money_skew(market, coin, TENOR_DAYS))
    return found


def _resampled(returns: FloatArray, horizon: int, count: int, seed: int) -> FloatArray:
    """Cumulative log moves, without drift, of whole dates redrawn under each coin's own GARCH."""
    fits = [fit_garch(row, max_persistence=0.999) for row in returns]
    centred = returns - np.array([fit.mu for fit in fits])[:, None]
    paths = np.array([fit.variance_path(row) for fit, row in zip(fits, returns, strict=True)])
    omega, alpha, beta = (np.array([getattr(fit, name) for fit in fits]) for name in ("omega", "alpha", "beta"))
    return filtered_paths(
        standardised_residuals(centred, paths), paths[:, -1],
        alpha=alpha, beta=beta, omega=omega, horizon=horizon, count=count, seed=seed,
    )  # fmt: skip
