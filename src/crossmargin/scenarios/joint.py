"""Prices, vols and bases together: whole past dates, every factor at its own volatility of today.

A date on which prices fell, vols rose and futures went to a discount stays one scenario, so that the dependence between
the three is history's own. Filtering is that of `scenarios.filtered`, factor by factor.
"""

import numpy as np

from crossmargin.errors import InputError
from crossmargin.scenarios.filtered import largest_moves, standardised_residuals
from crossmargin.scenarios.scenario_set import ScenarioSet, VolTenor
from crossmargin.scenarios.volatility import ewma_variance_path
from crossmargin.units import Currency, FloatArray

FEWEST_DATES = 100


def joint_filtered_scenarios(
    currencies: tuple[Currency, ...],
    returns: FloatArray,
    *,
    vol_moves: FloatArray | None = None,
    basis_moves: FloatArray | None = None,
    dates: tuple[str, ...],
    decay: float = 0.94,
    count: int = 1_000,
    vol_tenor: VolTenor | None = None,
) -> ScenarioSet:
    """Return the last `count` dates that are complete for every factor, each factor rescaled to its forecast of today.

    No rescaled move of prices, vols or bases goes beyond what one of them has done (`scenarios.filtered.largest_moves`).

    Parameters
    ----------
    currencies
        One per row.
    returns : array of shape (n_coins, n_times)
        Log returns per period.
    vol_moves, basis_moves : arrays of shape (n_coins, n_times) or None
        Log moves of implied vol at the reference tenor, and changes of the annual log basis. A row that is NaN throughout
        is a coin without such a market: its vol, or basis, stands still.
    dates
        One label per period.

    Raises
    ------
    InputError
        If shapes differ, or fewer than 100 dates are complete once volatilities are known.

    Examples
    --------
    >>> moves = np.tile([0.01, -0.01], (1, 100))
    >>> names = tuple(map(str, range(200)))
    >>> drawn = joint_filtered_scenarios((Currency("BTC"),), moves, vol_moves=-2.0 * moves, dates=names)
    >>> drawn.price_factor.min().round(6), drawn.vol_shock.max().round(6)
    (np.float64(0.99005), np.float64(0.020201))
    """
    given = {"price": returns, "vol": vol_moves, "basis": basis_moves}
    blocks = {name: block for name, block in given.items() if block is not None}
    for name, block in blocks.items():
        if block.shape != (len(currencies), len(dates)):
            raise InputError(f"{name} moves must have shape {(len(currencies), len(dates))}, had {block.shape}")
    stacked = np.concatenate(list(blocks.values()))
    listed = np.isfinite(stacked).any(axis=1)
    if not listed[: len(currencies)].all():
        missing = [coin for coin, row in zip(currencies, listed, strict=False) if not row]
        raise InputError(f"every coin needs returns, {', '.join(missing)} has none")
    moves = stacked[listed]
    variances = np.array([ewma_variance_path(row, decay) for row in moves])
    if not (variances[:, -1] > 0.0).all():
        raise InputError("every factor must have moved in the past, one never did or has too short a history")
    residuals = standardised_residuals(moves, variances)
    complete = np.flatnonzero(np.isfinite(residuals).all(axis=0))[-count:]
    if complete.size < FEWEST_DATES:
        raise InputError(f"at least {FEWEST_DATES} dates must be complete for all factors, {complete.size} are")
    rescaled = np.zeros((stacked.shape[0], complete.size))
    rescaled[listed] = np.sqrt(variances[:, -1:]) * residuals[:, complete]
    parts = {
        name: np.clip(block, *largest_moves(moved)[:, -1:])
        for (name, moved), block in zip(blocks.items(), np.split(rescaled, len(blocks)), strict=True)
    }
    return ScenarioSet(
        name="joint filtered historical",
        underlyings=currencies,
        price_factor=np.exp(parts["price"]),
        vol_shock=np.expm1(parts["vol"]) if "vol" in parts else np.zeros_like(parts["price"]),
        basis=parts.get("basis"),
        labels=tuple(f"{dates[day]}, rescaled" for day in complete),
        vol_tenor=vol_tenor or VolTenor(),
    )
