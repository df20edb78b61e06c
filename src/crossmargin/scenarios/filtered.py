"""Filtered historical scenarios: yesterday's shapes at today's volatility.

A scenario is a whole date: every coin's return of that date, divided by the volatility forecast of that date and
multiplied by today's. Keeping dates whole keeps the coins' dependence, tails and all; scaling makes a calm year speak
about a stormy day (Barone-Adesi, Giannopoulos & Vosper 1999, J. Futures Markets 19, 583-602; Hull & White 1998,
J. Risk 1, 5-19, with an EWMA for the volatility).
"""

import numpy as np

from crossmargin.errors import InputError
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.units import Currency, FloatArray


def standardised_residuals(returns: FloatArray, variance_paths: FloatArray) -> FloatArray:
    """Return each return over the volatility that was forecast for it.

    Parameters
    ----------
    returns : array of shape (n_coins, n_times)
    variance_paths : array of shape (n_coins, n_times + 1)
        Forecasts; element t made from what came before t.

    Returns
    -------
    array of shape (n_coins, n_times)
    """
    if variance_paths.shape != (returns.shape[0], returns.shape[1] + 1):
        raise InputError(
            f"variance paths must have shape {(returns.shape[0], returns.shape[1] + 1)}, were {variance_paths.shape}"
        )
    return np.asarray(returns / np.sqrt(variance_paths[:, :-1]))


def largest_moves(moved: FloatArray, horizon: int = 1) -> FloatArray:
    """Return the largest fall and rise of any coin that were over before each day, shape (2, n_days + 1).

    A move that is rescaled to a stormy day compounds: the 390 % that DOGE gained on 28 January 2021, expected at 7 % of
    volatility, would be a factor of 236 at the 24 % of three days later. No rescaled move goes beyond what some coin has
    done. Zero before the first move.

    Parameters
    ----------
    moved : array of shape (n_coins, n_days)
        Log moves over `horizon` days from each day on, NaN where unknown.

    Examples
    --------
    >>> largest_moves(np.array([[0.1, -0.2, 0.3]])).tolist()
    [[0.0, 0.0, -0.2, -0.2], [0.0, 0.1, 0.1, 0.3]]
    """
    known = np.where(np.isfinite(moved), moved, 0.0)
    found = np.zeros((2, moved.shape[1] + 1))
    found[0, horizon:] = np.minimum.accumulate(np.minimum(known.min(axis=0), 0.0))[: moved.shape[1] + 1 - horizon]
    found[1, horizon:] = np.maximum.accumulate(np.maximum(known.max(axis=0), 0.0))[: moved.shape[1] + 1 - horizon]
    return found


def filtered_scenarios(
    currencies: tuple[Currency, ...],
    returns: FloatArray,
    variance_paths: FloatArray,
    *,
    dates: tuple[str, ...],
    count: int = 1_000,
    half_life: float | None = None,
) -> ScenarioSet:
    """Return the last `count` complete dates, rescaled to the volatility forecast for the next period.

    No rescaled move goes beyond `largest_moves`.

    Parameters
    ----------
    currencies
        One per row.
    returns : array of shape (n_coins, n_times)
        Log returns per period, NaN where not listed.
    variance_paths : array of shape (n_coins, n_times + 1)
        The last element is today's forecast.
    dates
        One label per period.
    half_life
        In periods; older dates weigh less. None weighs all alike.

    Raises
    ------
    InputError
        If a coin has no forecast for the next period, or fewer than 100 dates are complete for all coins. A coin with
        too short a history is refused by name, never filled in.

    Examples
    --------
    >>> returns = np.tile([0.01, -0.01], (1, 100))
    >>> steady = np.full((1, 201), 1e-4)
    >>> sets = filtered_scenarios((Currency("BTC"),), returns, steady, dates=tuple(map(str, range(200))))
    >>> sets.price_factor.max().round(6)
    np.float64(1.01005)
    """
    residuals = standardised_residuals(returns, variance_paths)
    today = np.sqrt(variance_paths[:, -1])
    for currency, vol, row in zip(currencies, today, residuals, strict=True):
        if not np.isfinite(vol):
            raise InputError(f"every coin needs a volatility forecast, {currency} has none")
        if np.isfinite(row).sum() < 100:
            raise InputError(f"every coin needs 100 dates of history, {currency} has {np.isfinite(row).sum()}")
    complete = np.flatnonzero(np.isfinite(residuals).all(axis=0))[-count:]
    if complete.size < 100:
        raise InputError(f"at least 100 dates must be complete for all coins, {complete.size} are")
    age = residuals.shape[1] - 1 - complete
    lowest, highest = largest_moves(returns)[:, -1]
    weights = np.ones(complete.size) if half_life is None else 0.5 ** (age / half_life)
    return ScenarioSet(
        name="filtered historical",
        underlyings=currencies,
        price_factor=np.exp(np.clip(today[:, None] * residuals[:, complete], lowest, highest)),
        vol_shock=np.zeros((len(currencies), complete.size)),
        labels=tuple(f"{dates[day]}, rescaled" for day in complete),
        weights=weights / weights.sum(),
    )


def filtered_paths(
    residuals: FloatArray,
    variances: FloatArray,
    *,
    alpha: FloatArray,
    beta: FloatArray,
    omega: FloatArray,
    horizon: int,
    count: int,
    seed: int,
) -> FloatArray:
    """Return cumulative log returns over `horizon` periods from resampled date vectors under GARCH(1,1) dynamics.

    ``s2[h+1] = omega + alpha e[h]**2 + beta s2[h]``, ``e[h] = s[h] z*``; each step draws one date for all coins.

    Parameters
    ----------
    residuals : array of shape (n_coins, n_times)
        Standardised, complete.
    variances, alpha, beta, omega : arrays of shape (n_coins,)
        Today's variance forecast and the dynamics of each coin.
    seed
        The same seed gives the same paths.

    Returns
    -------
    array of shape (n_coins, count)
    """
    steps = filtered_steps(
        residuals, variances, alpha=alpha, beta=beta, omega=omega, horizon=horizon, count=count, seed=seed
    )
    return np.asarray(steps.sum(axis=0))


def filtered_steps(
    residuals: FloatArray,
    variances: FloatArray,
    *,
    alpha: FloatArray,
    beta: FloatArray,
    omega: FloatArray,
    horizon: int,
    count: int,
    seed: int,
) -> FloatArray:
    """Return the log return of every period of the paths of `filtered_paths`, shape (horizon, n_coins, count)."""
    if not np.isfinite(residuals).all():
        raise InputError("path resampling needs complete residuals, found NaN or infinity")
    if horizon < 1 or count < 1:
        raise InputError(f"horizon and count must be at least 1, were {horizon} and {count}")
    rng = np.random.default_rng(seed)
    variance = np.repeat(variances[:, None], count, axis=1)
    steps = np.empty((horizon, residuals.shape[0], count))
    for step in steps:
        step[:] = np.sqrt(variance) * residuals[:, rng.integers(residuals.shape[1], size=count)]
        variance = omega[:, None] + alpha[:, None] * step**2 + beta[:, None] * variance
    return steps
