"""Prices, vols and bases together: whole past dates, every factor at its own volatility of today; and mixtures of sets.

A date on which prices fell, vols rose and futures went to a discount stays one scenario, so that the dependence between
the three is history's own. Filtering is that of `scenarios.filtered`, factor by factor.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crossmargin.errors import InputError
from crossmargin.scenarios.filtered import standardised_residuals
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
    parts = dict(zip(blocks, np.split(rescaled, len(blocks)), strict=True))
    return ScenarioSet(
        name="joint filtered historical",
        underlyings=currencies,
        price_factor=np.exp(parts["price"]),
        vol_shock=np.expm1(parts["vol"]) if "vol" in parts else np.zeros_like(parts["price"]),
        basis=parts.get("basis"),
        labels=tuple(f"{dates[day]}, rescaled" for day in complete),
        vol_tenor=vol_tenor or VolTenor(),
    )


def mixed(sets: Sequence[tuple[ScenarioSet, float]], name: str = "mixture") -> ScenarioSet:
    """Return scenario sets as one, each with its total weight: a quarter for a stressed period, say.

    A coin that a set does not move stands still in its scenarios (EMIR RTS 153/2013, Art. 28(1)(b), gives stressed
    observations at least 25 %).

    Raises
    ------
    InputError
        If there is none, weights do not sum to 1, or the sets scale vols over time in different ways.

    Examples
    --------
    >>> from crossmargin.scenarios.stress import Stress, stress_scenarios
    >>> calm = stress_scenarios([Stress(name="calm", prices={Currency("BTC"): 0.01})])
    >>> crash = stress_scenarios([Stress(name="crash", prices={Currency("ETH"): -0.5})])
    >>> mixed([(calm, 0.75), (crash, 0.25)]).price_factor
    array([[1.01, 1.  ],
           [1.  , 0.5 ]])
    """
    if not sets:
        raise InputError("a mixture needs at least one scenario set, had none")
    shares = [weight for _, weight in sets]
    if min(shares) < 0.0 or abs(sum(shares) - 1.0) > 1e-9:
        raise InputError(f"weights of a mixture must be probabilities, their sum was {sum(shares)}")
    first = sets[0][0]
    kept = [each for each, _ in sets]
    if any(
        (s.vol_tenor, s.min_vol_up, s.horizon_years) != (first.vol_tenor, first.min_vol_up, first.horizon_years)
        for s in kept
    ):
        raise InputError("sets of a mixture must scale vols and pass time alike")
    coins = tuple(sorted({coin for each in kept for coin in each.underlyings}))
    with_basis = any(each.basis is not None for each in kept)
    return replace(
        first,
        name=name,
        underlyings=coins,
        price_factor=np.array([np.concatenate([each.price_factors(coin) for each in kept]) for coin in coins]),
        vol_shock=np.array([np.concatenate([each.vol_shocks(coin) for each in kept]) for coin in coins]),
        basis=np.array([np.concatenate([each.basis_shifts(coin) for each in kept]) for coin in coins])
        if with_basis
        else None,
        labels=tuple(label for each in kept for label in each.labels),
        damping=np.concatenate([each.damping for each in kept]),
        weights=np.concatenate([share * each.weights for each, share in sets]),
    )
