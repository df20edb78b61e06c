"""Price x vol grids, with extended tails."""

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from crossmargin.errors import InputError
from crossmargin.scenarios.scenario_set import ScenarioSet, VolTenor
from crossmargin.units import Currency


def price_vol_grid(
    price_ranges: Mapping[Currency, float],
    *,
    price_steps: int,
    vol_moves: Sequence[float],
    vol_tenor: VolTenor | None = None,
    min_vol_up: float = 0.0,
    tails: Sequence[tuple[float, float, float]] = (),
) -> ScenarioSet:
    """Return every combination of evenly spaced price moves and vol moves, then the tails.

    Parameters
    ----------
    price_ranges
        Largest relative move per underlying: 0.16 spans -16 % to +16 %.
    price_steps
        Moves on each side of zero; 4 gives nine prices.
    vol_moves
        Relative moves of implied vol at the reference tenor of `vol_tenor`.
    tails
        ``(price move, vol move, damping)``: a relative price move for every underlying, its vol move, and the share of
        the profit or loss that counts.

    Examples
    --------
    >>> grid = price_vol_grid({Currency("BTC"): 0.2}, price_steps=1, vol_moves=[0.0])
    >>> grid.labels[0]
    'prices -100 % of range, vols unchanged'
    >>> grid.price_factor
    array([[0.8, 1. , 1.2]])
    """
    ranges = tuple(sorted(price_ranges.items()))
    return _grid(ranges, price_steps, tuple(vol_moves), vol_tenor or VolTenor(), min_vol_up, tuple(tails))


@functools.lru_cache(maxsize=8)
def _grid(
    price_ranges: tuple[tuple[Currency, float], ...],
    price_steps: int,
    vol_moves: tuple[float, ...],
    vol_tenor: VolTenor,
    min_vol_up: float,
    tails: tuple[tuple[float, float, float], ...],
) -> ScenarioSet:
    """Return the grid; one is asked for at every change of prices, and labels take longer than options."""
    if price_steps < 1:
        raise InputError(f"price_steps must be at least 1, was {price_steps}")
    underlyings = tuple(name for name, _ in price_ranges)
    shares = np.arange(-price_steps, price_steps + 1) / price_steps
    inner = [(share, vol) for share in shares for vol in vol_moves]
    ranges = np.array([reach for _, reach in price_ranges])
    inner_prices = 1.0 + ranges[:, None] * np.array([share for share, _ in inner])
    tail_prices = np.broadcast_to(1.0 + np.array([move for move, _, _ in tails]), (len(underlyings), len(tails)))
    vols = np.array([vol for _, vol in inner] + [vol for _, vol, _ in tails])
    return ScenarioSet(
        name="price x vol grid",
        underlyings=underlyings,
        price_factor=np.concatenate([inner_prices, tail_prices], axis=1),
        vol_shock=np.tile(vols, (len(underlyings), 1)),
        labels=tuple(_label("prices", share, "of range", vol) for share, vol in inner)
        + tuple(_label("tail: prices", move, "", vol) for move, vol, _ in tails),
        vol_tenor=vol_tenor,
        min_vol_up=min_vol_up,
        damping=np.array([1.0] * len(inner) + [damping for _, _, damping in tails]),
    )


def _label(what: str, price_move: float, unit: str, vol_move: float) -> str:
    price = f"{what} {_percent(price_move)}" + (f" {unit}" if unit and price_move else "")
    return f"{price}, vols {_percent(vol_move)}"


def _percent(move: float) -> str:
    return "unchanged" if move == 0 else f"{100 * move:+.4g} %"
