"""Were forecasts of margin calls as often right as they said? Today's book on past days, forecast with their past only.

On each past day the law of moves is made from the closes up to it, and the book, its equity and the market are today's.
What then happened over the horizon is applied to the same book. Prices alone move: the history of vols is not at hand.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.margin.exhaustion import losses_of
from crossmargin.margin.forecast import (
    RequirementSurface,
    flattened,
    forecast_on,
    requirement_surfaces,
)
from crossmargin.margin.method import Method, P
from crossmargin.market.history import PriceHistory
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.scenarios.factor_paths import factor_paths
from crossmargin.scenarios.factors import market_factors
from crossmargin.units import AccountId, BoolArray, Currency, FloatArray

LEVELS = (0.5, 0.9, 0.98)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One account on one past day.

    Attributes
    ----------
    rank
        Share of the forecast draws of the requirement after one period that lie below what it was; uniform if right.
    call, liquidation
        Forecast chances, at the ends of periods.
    called, liquidated
        What happened.
    """

    account: AccountId
    time_ns: int
    rank: float
    call: float
    liquidation: float
    called: bool
    liquidated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Forecasts of one bin: their mean, how often it happened, and its 95 % interval (Wilson 1927)."""

    forecast: float
    observed: float
    low: float
    high: float
    count: int


def outcomes(
    portfolios: Sequence[Portfolio],
    market: MarketSnapshot,
    method: Method[P],
    parameters: P,
    coins: Sequence[Currency],
    *,
    horizon: int,
    count: int = 400,
    days: int = 250,
    asked: int = 96,
    seed: int = 0,
) -> Iterator[tuple[Outcome, ...]]:
    """Yield, per past day, the outcome of every account that is solvent and that the method holds.

    Days lie `horizon` steps apart, so that outcomes do not overlap; the last `days` of them are taken.

    Raises
    ------
    InputError
        If the market has no history, or one too short for a single day.
    """
    history = market.history_for("a calibration").of(tuple(coins))
    starts = _starts(history, horizon, days)
    realised = [np.log(history.prices[:, at + 1 : at + horizon + 1] / history.prices[:, at, None]) for at in starts]
    factors = market_factors(history, coins)
    # the method is asked at moves drawn from the first day's law, some of them several times as large: not the future's
    first = factor_paths(
        history.until(int(history.times_ns[starts[0]])), coins, horizon=horizon, count=asked, seed=seed + 1
    )
    points = flattened(first.moves)[:, ::horizon] * np.resize((0.5, 1.0, 2.0, 3.0), asked)
    surfaces = list(requirement_surfaces(portfolios, market, method, parameters, factors, points))
    loses = losses_of(portfolios, market, factors)
    rng = np.random.default_rng(seed)
    for at, happened in zip(starts, realised, strict=True):
        known = history.until(int(history.times_ns[at]))
        paths = factor_paths(known, coins, horizon=horizon, count=count, seed=seed)
        both = np.concatenate([paths.moves, happened.T[:, :, None]], axis=2)
        pnl = -loses(flattened(both))
        yield tuple(
            _outcome(surface, portfolio.account, int(history.times_ns[at]), both, profit, rng)
            for portfolio, surface, profit in zip(portfolios, surfaces, pnl, strict=True)
            if isinstance(surface, RequirementSurface) and surface.now.excess >= 0.0 and surface.now.initial > 0.0
        )


def reliability(forecast: FloatArray, happened: BoolArray, bins: int = 8) -> tuple[Reliability, ...]:
    """Return forecasts in bins of equal count, those of 0 apart, with how often each came true.

    Examples
    --------
    >>> found = reliability(np.array([0.0, 0.0, 0.5, 0.5]), np.array([False, False, True, False]), bins=1)
    >>> [(each.forecast, each.observed) for each in found]
    [(0.0, 0.0), (0.5, 0.5)]
    """
    none = forecast == 0.0
    order = np.flatnonzero(~none)[np.argsort(forecast[~none], kind="stable")]
    groups = [np.flatnonzero(none), *np.array_split(order, max(min(bins, order.size), 1))]
    return tuple(_reliability(forecast[group], happened[group]) for group in groups if group.size)


def brier_score(forecast: FloatArray, happened: BoolArray) -> tuple[float, float]:
    """Return the mean squared error of the forecasts (Brier 1950), and its skill over always saying the mean.

    Examples
    --------
    >>> brier_score(np.array([1.0, 0.0]), np.array([True, False]))
    (0.0, 1.0)
    """
    score = float(np.mean((forecast - happened) ** 2))
    climate = float(np.mean((happened.mean() - happened) ** 2))
    return score, 1.0 - score / climate if climate > 0.0 else math.nan


def interval_coverage(ranks: FloatArray) -> tuple[tuple[float, float], ...]:
    """Return each level of `LEVELS` with the share of ranks inside its central interval."""
    return tuple((level, float(np.mean(np.abs(ranks - 0.5) <= 0.5 * level))) for level in LEVELS)


def _starts(history: PriceHistory, horizon: int, days: int) -> list[int]:
    """Places from which the horizon is complete and whose past is long enough, oldest first."""
    last = history.times_ns.size - 1 - horizon
    complete = np.asarray(np.isfinite(history.prices).all(axis=0))
    steps = np.flatnonzero(complete)
    # the volatility's warm-up and the dates that paths resample
    first = int(steps[150]) if steps.size > 150 else last + 1
    found = [at for at in range(last, first - 1, -horizon) if complete[at : at + horizon + 1].all()][:days]
    if not found:
        raise InputError(
            f"a calibration needs 150 complete dates and {horizon} after them, the history has {steps.size}"
        )
    return found[::-1]


def _outcome(
    surface: RequirementSurface,
    account: AccountId,
    time_ns: int,
    moves: FloatArray,
    pnl: FloatArray,
    rng: np.random.Generator,
) -> Outcome:
    """The last path of `moves` is what happened, the others are the forecast."""
    found = forecast_on(surface, account, moves, pnl, rng)
    drawn, was = found.initial[:-1], found.initial[-1]
    return Outcome(
        account=account,
        time_ns=time_ns,
        rank=float(np.mean(drawn < was) + 0.5 * np.mean(drawn == was)),
        call=float((found.excess[:, :-1] < 0.0).any(axis=0).mean()),
        liquidation=float((found.cushion[:, :-1] < 0.0).any(axis=0).mean()),
        called=bool((found.excess[:, -1] < 0.0).any()),
        liquidated=bool((found.cushion[:, -1] < 0.0).any()),
    )


def _reliability(forecast: FloatArray, happened: BoolArray) -> Reliability:
    n, p, z = forecast.size, float(happened.mean()), 1.959963984540054
    center = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return Reliability(
        forecast=float(forecast.mean()),
        observed=p,
        low=max(center - half, 0.0),
        high=min(center + half, 1.0),
        count=n,
    )
