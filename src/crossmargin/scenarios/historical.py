"""Joint historical scenarios: what past dates would do to today's prices."""

import datetime as dt

import numpy as np

from crossmargin.elementary import exponentials, logarithms
from crossmargin.errors import InputError
from crossmargin.market.history import PriceHistory
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.units import NANOSECONDS_PER_SECOND, Currency, FloatArray


def historical_scenarios(
    history: PriceHistory,
    currencies: tuple[Currency, ...],
    *,
    horizon: int = 1,
    count: int | None = None,
    overlapping: bool = True,
    decay: float | None = None,
    vol_beta: float = 0.0,
) -> ScenarioSet:
    """Return the joint moves of `currencies` over `horizon` steps on past dates.

    Only dates that are complete for every coin count: filling a gap would invent a dependence.

    Parameters
    ----------
    horizon
        In steps of the history: days for daily closes.
    count
        Use the last so many; None uses all.
    overlapping
        Overlapping returns are more, but not independent; non-overlapping ones test better.
    decay
        Weight of a date over that of the one after it, inside (0, 1) (Boudoukh, Richardson & Whitelaw 1998). None
        weighs all alike.
    vol_beta
        Relative move of implied vols per unit of log return of their own coin; -1 raises vols 10 % on a 10 % fall.

    Raises
    ------
    InputError
        If a coin is not in the history, or fewer than 2 dates are complete.
    """
    if decay is not None and not 0.0 < decay < 1.0:
        raise InputError(f"decay must be inside (0, 1), was {decay}")
    chosen = history.of(currencies)
    ratios = chosen.price_ratios(horizon, overlapping=overlapping)
    times = chosen.return_times_ns(horizon, overlapping=overlapping)
    complete = np.flatnonzero(np.isfinite(ratios).all(axis=0))
    complete = complete if count is None else complete[-count:]
    if complete.size < 2:
        raise InputError(f"at least 2 dates must be complete for {', '.join(currencies)}, {complete.size} are")
    moves = ratios[:, complete]
    # products one after the other: numpy's power is not the same on every machine
    weights = np.cumprod(np.append(1.0, np.full(complete.size - 1, 1.0 if decay is None else decay)))[::-1]
    return ScenarioSet(
        name=f"historical, {horizon} steps, {complete.size} dates",
        underlyings=currencies,
        price_factor=moves,
        vol_shock=np.maximum(_powers(moves, vol_beta) - 1.0, -0.95),
        labels=tuple(_label(int(times[at]), horizon) for at in complete),
        weights=weights / weights.sum(),
    )


def _powers(values: FloatArray, exponent: float) -> FloatArray:
    """`values` to `exponent`, the same bits on every machine."""
    return exponentials(exponent * logarithms(values.ravel())).reshape(values.shape)


def _label(time_ns: int, horizon: int) -> str:
    day = dt.datetime.fromtimestamp(time_ns // NANOSECONDS_PER_SECOND, tz=dt.UTC)
    return (
        f"{horizon} steps to {day:%Y-%m-%d %H:%M}" if day.hour or day.minute else f"{horizon} steps to {day:%Y-%m-%d}"
    )
