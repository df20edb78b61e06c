"""Stresses: joint moves with a name, said by a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from crossmargin.errors import InputError
from crossmargin.scenarios.scenario_set import ScenarioSet, VolTenor
from crossmargin.units import Currency


@dataclass(frozen=True, slots=True, kw_only=True)
class Stress:
    """A joint move: relative price moves, relative vol moves at the reference tenor, shifts of the annual log basis."""

    name: str
    prices: Mapping[Currency, float]
    vols: Mapping[Currency, float] = field(default_factory=dict)
    basis: Mapping[Currency, float] = field(default_factory=dict)
    damping: float = 1.0

    def __post_init__(self) -> None:
        for currency, move in self.prices.items():
            if not move > -1.0:
                raise InputError(
                    f"a price move must be above -100 %, was {100 * move:g} % for {currency} in {self.name}"
                )
        for currency, move in self.vols.items():
            if not move > -1.0:
                raise InputError(f"a vol move must be above -100 %, was {100 * move:g} % for {currency} in {self.name}")


def stress_scenarios(stresses: Sequence[Stress], *, vol_tenor: VolTenor | None = None) -> ScenarioSet:
    """Return the stresses as one scenario set; a coin that a stress does not name stands still in it.

    Raises
    ------
    InputError
        If there is none, or two share a name.

    Examples
    --------
    >>> crash = Stress(name="crash", prices={Currency("BTC"): -0.4}, vols={Currency("BTC"): 1.0})
    >>> stress_scenarios([crash]).price_factor
    array([[0.6]])
    """
    names = [stress.name for stress in stresses]
    if len(set(names)) != len(names):
        raise InputError("stresses must have distinct names")
    coins = sorted(
        {coin for stress in stresses for part in (stress.prices, stress.vols, stress.basis) for coin in part}
    )
    shape = (len(coins), len(stresses))
    price, vol, basis = np.ones(shape), np.zeros(shape), np.zeros(shape)
    for column, stress in enumerate(stresses):
        for row, coin in enumerate(coins):
            price[row, column] += stress.prices.get(coin, 0.0)
            vol[row, column] = stress.vols.get(coin, 0.0)
            basis[row, column] = stress.basis.get(coin, 0.0)
    return ScenarioSet(
        name="stresses",
        underlyings=tuple(coins),
        price_factor=price,
        vol_shock=vol,
        basis=basis if basis.any() else None,
        labels=tuple(names),
        damping=np.array([stress.damping for stress in stresses]),
        vol_tenor=vol_tenor or VolTenor(),
    )
