"""Margin that follows volatility, but not off a cliff: floor, buffer, stress weight and speed limit.

The first three are the tools of Article 28 of the EMIR technical standards (Commission Delegated Regulation (EU)
No 153/2013): a margin not below that of a long lookback; a buffer of 25 %, or of what each asset's record asks for, that
may be used up while margins rise; 25 % of the weight on stressed observations. The fourth limits how fast a requirement
may rise; what it leaves uncovered meanwhile is reported, for somebody carries it.
"""

from dataclasses import dataclass, replace

import numpy as np

from crossmargin.errors import InputError
from crossmargin.units import FloatArray

BUFFER = 0.25
"""Of Article 28: where no buffer has been calibrated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brakes:
    """What is done to a core measure before it is asked for.

    Attributes
    ----------
    floor_share
        Of the long-lookback margin; 1 is Article 28's floor, 0 none.
    buffer_share
        Of the buffer, 0 for none. It is added in calm times and used up while the measure rises from its own long average
        to the average and the buffer; meanwhile the requirement stands still.
    stress_weight
        Share of the margin of stressed observations, 0.25 in Article 28.
    speed_limit
        Largest increase over `speed_days`, relative; infinite for none.
    average_days
        Of the long average that the buffer looks at.
    """

    floor_share: float = 1.0
    buffer_share: float = 1.0
    stress_weight: float = 0.0
    speed_limit: float = 0.5
    speed_days: int = 5
    average_days: int = 365

    def __post_init__(self) -> None:
        shares = (self.floor_share, self.buffer_share, self.stress_weight)
        if not all(0.0 <= share <= 2.0 for share in shares) or self.stress_weight > 1.0:
            raise InputError(f"shares must lie between 0 and 2, a weight at most 1, were {shares}")
        if not (self.speed_limit > 0.0 and self.speed_days >= 1 and self.average_days >= 2):
            raise InputError("a positive speed limit and at least a day to count must hold")


@dataclass(frozen=True, slots=True, kw_only=True)
class Braked:
    """Requirements of shape (n_books, n_days), and what the speed limit left uncovered of them."""

    requirement: FloatArray
    uncovered: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """What the tools hold a core measure against; arrays of shape (n_books, n_days).

    Attributes
    ----------
    floor
        Margin over a long lookback.
    stressed
        Margin of stressed observations; without it no stress weight counts.
    buffers
        Calibrated for each book; 25 % where there is none.
    """

    floor: FloatArray
    stressed: FloatArray | None = None
    buffers: FloatArray | None = None

    def __post_init__(self) -> None:
        for each in (self.stressed, self.buffers):
            if each is not None and each.shape != self.floor.shape:
                raise InputError(f"stressed margins and buffers must have the floor's shape {self.floor.shape}")


def braked(core: FloatArray, brakes: Brakes, levels: Levels) -> Braked:
    """Return the requirement made of the `core` measure.

    Parameters
    ----------
    core : array of shape (n_books, n_days)
        NaN where there is none yet.

    Raises
    ------
    InputError
        If the shapes differ.

    Examples
    --------
    >>> core = np.array([[1.0, 1.0, 1.0, 4.0, 4.0]])
    >>> plain = Brakes(buffer_share=0.0, floor_share=0.0, speed_limit=0.5, speed_days=1)
    >>> found = braked(core, plain, Levels(floor=core))
    >>> found.requirement.tolist(), found.uncovered.tolist()
    ([[1.0, 1.0, 1.0, 1.5, 2.25]], [[0.0, 0.0, 0.0, 2.5, 1.75]])
    """
    if levels.floor.shape != core.shape:
        raise InputError(f"floor and stressed margins must have the core's shape {core.shape}")
    wanted = core
    if levels.stressed is not None and brakes.stress_weight > 0.0:
        known = np.where(np.isfinite(levels.stressed), levels.stressed, core)
        wanted = (1.0 - brakes.stress_weight) * core + brakes.stress_weight * np.maximum(known, core)
    wanted = _buffered(wanted, brakes, levels.buffers)
    wanted = np.fmax(wanted, brakes.floor_share * np.where(np.isfinite(core), levels.floor, np.nan))
    return _limited(wanted, brakes)


def tool_costs(core: FloatArray, brakes: Brakes, levels: Levels) -> dict[str, float]:
    """Return what each tool alone, and all together, add to the mean requirement, as a share of the core's mean.

    Arguments as of `braked`. The limit alone is that of the core without the other tools; it saves what it leaves uncovered.
    Where buffers are calibrated, what one of 25 % for all would cost stands beside them.

    Examples
    --------
    >>> core = np.array([[1.0, 1.0, 1.0, 1.0]])
    >>> tool_costs(core, Brakes(), Levels(floor=1.5 * core))
    {'floor': 0.5, 'buffer': 0.25, 'stress weight': 0.0, 'speed limit': 0.0, 'together': 0.5}
    """
    none = Brakes(floor_share=0.0, buffer_share=0.0, stress_weight=0.0, speed_limit=np.inf)
    buffer = replace(none, buffer_share=brakes.buffer_share, average_days=brakes.average_days)
    alone = {
        "floor": (replace(none, floor_share=brakes.floor_share), levels),
        "buffer": (buffer, levels),
        "stress weight": (replace(none, stress_weight=brakes.stress_weight), levels),
        "speed limit": (replace(none, speed_limit=brakes.speed_limit, speed_days=brakes.speed_days), levels),
        "together": (brakes, levels),
    }
    if levels.buffers is not None:
        plain = replace(levels, buffers=None)
        alone |= {f"buffer of {BUFFER:.0%}": (buffer, plain), f"together, buffer of {BUFFER:.0%}": (brakes, plain)}
    known = np.isfinite(core)
    mean = float(core[known].mean())
    return {
        name: float(braked(core, tool, against).requirement[known].mean()) / mean - 1.0
        for name, (tool, against) in alone.items()
    }


def _buffered(measure: FloatArray, brakes: Brakes, calibrated: FloatArray | None) -> FloatArray:
    """Above its long average the measure is asked for alone, but never less than the average with its buffer."""
    buffers = (
        np.full(measure.shape, BUFFER) if calibrated is None else np.where(np.isnan(calibrated), BUFFER, calibrated)
    )
    grown = 1.0 + brakes.buffer_share * buffers
    known = np.isfinite(measure)
    summed = np.cumsum(np.where(known, measure, 0.0), axis=1)
    counted = np.cumsum(known, axis=1).astype(np.float64)
    span = brakes.average_days
    summed[:, span:] = summed[:, span:] - summed[:, :-span]
    counted[:, span:] = counted[:, span:] - counted[:, :-span]
    level = grown * summed / np.maximum(counted, 1.0)
    return np.asarray(np.minimum(grown * measure, np.maximum(measure, level)))


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
