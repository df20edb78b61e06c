"""Margin that follows volatility, but not off a cliff: floor, buffer, stress weight and speed limit.

The first three are the tools of Article 28 of the EMIR technical standards (Commission Delegated Regulation (EU)
No 153/2013): a margin not below that of a long lookback; a buffer of 25 % that may be used up while margins rise; 25 % of
the weight on stressed observations. The fourth limits how fast a requirement may rise; what it leaves uncovered meanwhile
is reported, for somebody carries it.
"""

from dataclasses import dataclass, replace

import numpy as np

from crossmargin.errors import InputError
from crossmargin.units import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Brakes:
    """What is done to a core measure before it is asked for.

    Attributes
    ----------
    floor_share
        Of the long-lookback margin; 1 is Article 28's floor, 0 none.
    buffer
        Added in calm times, 0.25 in Article 28; used up as the core rises from its own long average to `stressed` times
        it.
    stressed
        Core over its long average at which nothing of the buffer is left.
    stress_weight
        Share of the margin of stressed observations, 0.25 in Article 28.
    speed_limit
        Largest increase over `speed_days`, relative; infinite for none.
    average_days
        Of the long average that the buffer looks at.
    """

    floor_share: float = 1.0
    buffer: float = 0.25
    stressed: float = 1.5
    stress_weight: float = 0.0
    speed_limit: float = 0.5
    speed_days: int = 5
    average_days: int = 365

    def __post_init__(self) -> None:
        shares = (self.floor_share, self.buffer, self.stress_weight)
        if not all(0.0 <= share <= 2.0 for share in shares) or self.stress_weight > 1.0:
            raise InputError(f"shares must lie between 0 and 2, a weight at most 1, were {shares}")
        if not (self.stressed > 1.0 and self.speed_limit > 0.0 and self.speed_days >= 1 and self.average_days >= 2):
            raise InputError("stressed > 1, a positive speed limit and at least a day to count must hold")


@dataclass(frozen=True, slots=True, kw_only=True)
class Braked:
    """Requirements of shape (n_books, n_days), and what the speed limit left uncovered of them."""

    requirement: FloatArray
    uncovered: FloatArray


def braked(core: FloatArray, brakes: Brakes, *, floor: FloatArray, stressed: FloatArray | None = None) -> Braked:
    """Return the requirement made of the `core` measure.

    Parameters
    ----------
    core, floor : arrays of shape (n_books, n_days)
        NaN where there is none yet. `floor` is the margin over a long lookback.
    stressed : array of the same shape, optional
        Margin of stressed observations; without it no stress weight counts.

    Raises
    ------
    InputError
        If the shapes differ.

    Examples
    --------
    >>> core = np.array([[1.0, 1.0, 1.0, 4.0, 4.0]])
    >>> plain = Brakes(buffer=0.0, floor_share=0.0, speed_limit=0.5, speed_days=1)
    >>> found = braked(core, plain, floor=core)
    >>> found.requirement.tolist(), found.uncovered.tolist()
    ([[1.0, 1.0, 1.0, 1.5, 2.25]], [[0.0, 0.0, 0.0, 2.5, 1.75]])
    """
    if floor.shape != core.shape or (stressed is not None and stressed.shape != core.shape):
        raise InputError(f"floor and stressed margins must have the core's shape {core.shape}")
    wanted = core
    if stressed is not None and brakes.stress_weight > 0.0:
        known = np.where(np.isfinite(stressed), stressed, core)
        wanted = (1.0 - brakes.stress_weight) * core + brakes.stress_weight * np.maximum(known, core)
    wanted = wanted * (1.0 + _buffers(core, brakes))
    wanted = np.fmax(wanted, brakes.floor_share * np.where(np.isfinite(core), floor, np.nan))
    return _limited(wanted, brakes)


def tool_costs(
    core: FloatArray, brakes: Brakes, *, floor: FloatArray, stressed: FloatArray | None = None
) -> dict[str, float]:
    """Return what each tool alone, and all together, add to the mean requirement, as a share of the core's mean.

    Arguments as of `braked`. The limit alone is that of the core without the other tools; it saves what it leaves uncovered.

    Examples
    --------
    >>> core = np.array([[1.0, 1.0, 1.0, 1.0]])
    >>> tool_costs(core, Brakes(), floor=1.5 * core)
    {'floor': 0.5, 'buffer': 0.25, 'stress weight': 0.0, 'speed limit': 0.0, 'together': 0.5}
    """
    none = Brakes(floor_share=0.0, buffer=0.0, stress_weight=0.0, speed_limit=np.inf)
    alone = {
        "floor": replace(none, floor_share=brakes.floor_share),
        "buffer": replace(none, buffer=brakes.buffer, stressed=brakes.stressed, average_days=brakes.average_days),
        "stress weight": replace(none, stress_weight=brakes.stress_weight),
        "speed limit": replace(none, speed_limit=brakes.speed_limit, speed_days=brakes.speed_days),
        "together": brakes,
    }
    known = np.isfinite(core)
    mean = float(core[known].mean())
    return {
        name: float(braked(core, tool, floor=floor, stressed=stressed).requirement[known].mean()) / mean - 1.0
        for name, tool in alone.items()
    }


def _buffers(core: FloatArray, brakes: Brakes) -> FloatArray:
    """Share of the buffer that is left: all at or below the long average, none at `stressed` times it."""
    known = np.isfinite(core)
    summed = np.cumsum(np.where(known, core, 0.0), axis=1)
    counted = np.cumsum(known, axis=1).astype(np.float64)
    span = brakes.average_days
    summed[:, span:] = summed[:, span:] - summed[:, :-span]
    counted[:, span:] = counted[:, span:] - counted[:, :-span]
    ratio = np.where(known, core, 1.0) * np.maximum(counted, 1.0) / np.where(summed > 0.0, summed, 1.0)
    return brakes.buffer * np.clip((brakes.stressed - ratio) / (brakes.stressed - 1.0), 0.0, 1.0)


def _limited(wanted: FloatArray, brakes: Brakes) -> Braked:
    requirement = wanted.copy()
    if np.isfinite(brakes.speed_limit):
        for day in range(1, wanted.shape[1]):
            # against the lowest of the days before: an increase over fewer days is an increase over `speed_days` too
            lowest = _least(requirement[:, max(day - brakes.speed_days, 0) : day])
            cap = np.where(np.isfinite(lowest), lowest * (1.0 + brakes.speed_limit), np.inf)
            requirement[:, day] = np.minimum(wanted[:, day], cap)
    return Braked(requirement=requirement, uncovered=np.maximum(wanted - requirement, 0.0))


def _least(values: FloatArray) -> FloatArray:
    """Smallest of each row, infinite where nothing is known."""
    return np.asarray(np.where(np.isfinite(values), values, np.inf).min(axis=1))
