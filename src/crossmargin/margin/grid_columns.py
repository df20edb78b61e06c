"""`scenario_grid` for columns of accounts: the same figures, to the last bit, without a Python object per position.

`margin.scenario_grid` is the definition and gives the reasons; this module is the same arithmetic in the same order,
compiled. Sums that the definition rounds once are `exact_sum` here; sums that it adds up one by one are added up one by
one. A book is a row of quantities per instrument, in the order of ids, and coins per currency.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crossmargin.compilation import literal_kernel
from crossmargin.errors import InputError
from crossmargin.instruments.contracts import DOLLAR_COINS, Asset, Instrument, Option, Payoff, Perpetual, Spot
from crossmargin.margin.scenario_grid import ScenarioGridParameters
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import USD, Currency, FloatArray, IntArray

LINEAR, INVERSE, OPTION, SPOT = 0, 1, 2, 3
"""How an instrument pays."""


class GridColumns(NamedTuple):
    """Risk array, market and parameters as the kernels read them.

    Attributes
    ----------
    pnl : array of shape (n_instruments, n_scenarios)
    delta, unit_value, contract_size, mark, add_on : arrays of shape (n_instruments,)
        USD per +100 %, USD per contract, coins per contract, quote currency per coin; `add_on` is USD of initial margin
        per contract on top of the method.
    kind, coin, settle, expiry : integers of shape (n_instruments,)
        How it pays; numbers of currencies; number of its expiry, 0 for none.
    index_price : array of shape (n_currencies,)
        USD per coin; the currencies are in alphabetical order, 0 where there is no price.
    asset_row : integers of shape (n_currencies,)
        Row of the coin itself in the risk array.
    is_dollar : integers of shape (n_currencies,)
        1 for a dollar coin, which no scenario moves.
    numeraire
        Number of USD, whose cash is not haircut.
    tier_first : integers of shape (n_currencies + 1,)
        Haircut tiers of currency c are those from ``tier_first[c]`` up to ``tier_first[c + 1]``.
    haircut, up_to : arrays of shape (n_tiers,)
    liquidity : array of shape (n_currencies, 4)
        Daily volume (0 without a rule), daily vol, half spread, impact.
    offset_pairs : integers of shape (n_offsets, 2)
    offset_credits : array of shape (n_offsets,)
    rates : array of shape (5,)
        Maintenance factor, short-option minimum, basis rate, concentration's free share and rate.
    n_expiries
        One more than the largest number of an expiry.
    """

    pnl: FloatArray
    delta: FloatArray
    unit_value: FloatArray
    contract_size: FloatArray
    mark: FloatArray
    add_on: FloatArray
    kind: IntArray
    coin: IntArray
    settle: IntArray
    expiry: IntArray
    index_price: FloatArray
    asset_row: IntArray
    is_dollar: IntArray
    numeraire: int
    tier_first: IntArray
    haircut: FloatArray
    up_to: FloatArray
    liquidity: FloatArray
    offset_pairs: IntArray
    offset_credits: FloatArray
    rates: FloatArray
    n_expiries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GridLayout:
    """What of the columns no price changes: it serves all risk arrays of the same instruments, which it holds.

    Attributes
    ----------
    contract_size : array of shape (n_instruments,)
    kind, coin, settle, expiry : integers of shape (n_instruments,)
    asset_row, is_dollar : integers of shape (n_currencies,)
    """

    instruments: tuple[Instrument, ...]
    currencies: tuple[str, ...]
    contract_size: FloatArray
    kind: IntArray
    coin: IntArray
    settle: IntArray
    expiry: IntArray
    asset_row: IntArray
    is_dollar: IntArray
    n_expiries: int


def grid_layout(risk: RiskArray, currencies: Sequence[str]) -> GridLayout:
    """Return the layout of the columns for instruments of `risk` and cash in `currencies`.

    Raises
    ------
    InputError
        If the currencies are not sorted, or lack one that an instrument names.
    """
    numbers = {name: number for number, name in enumerate(currencies)}
    if list(currencies) != sorted(numbers) or USD not in numbers:
        raise InputError("currencies must be distinct, in alphabetical order, and hold USD")
    items = risk.instruments
    lacking = sorted({name for item in items for name in (item.underlying, item.settle)} - set(numbers))
    if lacking:
        raise InputError(f"currencies must hold those of every instrument, lack {lacking[0]}")
    expiries = {expiry: number for number, expiry in enumerate(sorted({_expiry_ns(item) for item in items} | {0}))}
    return GridLayout(
        instruments=items,
        currencies=tuple(currencies),
        contract_size=np.array([1.0 if isinstance(item, Asset) else item.contract_size_float for item in items]),
        kind=_numbers(_kind(item) for item in items),
        coin=_numbers(numbers[item.underlying] for item in items),
        settle=_numbers(numbers[item.settle] for item in items),
        expiry=_numbers(expiries[_expiry_ns(item)] for item in items),
        asset_row=_numbers(risk.rows.get(Asset(currency=Currency(name)).id, -1) for name in currencies),
        is_dollar=_numbers(name in DOLLAR_COINS for name in currencies),
        n_expiries=len(expiries),
    )


def grid_columns(
    risk: RiskArray,
    market: MarketSnapshot,
    parameters: ScenarioGridParameters,
    currencies: Sequence[str],
    add_on: FloatArray | None = None,
    layout: GridLayout | None = None,
) -> GridColumns:
    """Return what the kernels need to margin books of the instruments of `risk` and cash in `currencies`.

    A `layout` of other instruments or currencies is not used; without one it is made.

    Raises
    ------
    InputError
        If the currencies are not sorted, or lack one that an instrument names.
    """
    if layout is None or layout.instruments is not risk.instruments or layout.currencies != tuple(currencies):
        layout = grid_layout(risk, currencies)
    numbers = {name: number for number, name in enumerate(currencies)}
    items, index = risk.instruments, np.array([_index(market, name) for name in currencies])
    marks = np.array([market.mark_price(item) for item in items])
    # an option is worth its mark, coins their index price; what is marked to market is worth nothing beyond its profit
    prices = np.where(layout.kind == OPTION, marks, index[layout.coin])
    paid_up = np.where(layout.kind == OPTION, index[layout.settle], 1.0)
    worth = layout.contract_size * prices * paid_up
    tiers = [parameters.haircuts.tiers.get(name, ()) for name in currencies]
    rules = [parameters.liquidity.get(name) for name in currencies]
    offsets = [item for item in parameters.offsets if item.first in numbers and item.second in numbers]
    return GridColumns(
        pnl=np.ascontiguousarray(risk.pnl),
        delta=np.ascontiguousarray(risk.delta),
        unit_value=np.where(layout.kind >= OPTION, worth, 0.0),
        contract_size=layout.contract_size,
        mark=marks,
        add_on=np.zeros(len(items)) if add_on is None else add_on,
        kind=layout.kind,
        coin=layout.coin,
        settle=layout.settle,
        expiry=layout.expiry,
        index_price=index,
        asset_row=layout.asset_row,
        is_dollar=layout.is_dollar,
        numeraire=numbers[USD],
        tier_first=_numbers(np.cumsum([0, *map(len, tiers)])),
        haircut=np.array([tier.haircut for each in tiers for tier in each], dtype=float),
        up_to=np.array([np.inf if tier.up_to is None else tier.up_to for each in tiers for tier in each], dtype=float),
        liquidity=np.array(
            [
                [0.0] * 4 if rule is None else [rule.daily_volume, rule.daily_vol, rule.half_spread, rule.impact]
                for rule in rules
            ]
        ),
        offset_pairs=np.array(
            [[numbers[item.first], numbers[item.second]] for item in offsets], dtype=np.int64
        ).reshape(-1, 2),
        offset_credits=np.array([item.credit for item in offsets], dtype=float),
        rates=np.array(
            [
                parameters.maintenance_factor,
                parameters.short_option_minimum,
                parameters.basis_rate,
                parameters.concentration_free_share,
                parameters.concentration_rate,
            ]
        ),
        n_expiries=layout.n_expiries,
    )


class PackedGrid(NamedTuple):
    """A `GridColumns` in two arrays, because a compiled function takes a third of a microsecond to accept each one."""

    floats: FloatArray
    integers: IntArray


def packed(grid: GridColumns) -> PackedGrid:
    """Return `grid` in two arrays; `opened` is the way back."""
    n_tiers, n_offsets = grid.haircut.size, grid.offset_credits.size
    sizes = [*grid.pnl.shape, grid.index_price.size, n_tiers, n_offsets, grid.n_expiries, grid.numeraire]
    integers = [_numbers(sizes), grid.kind, grid.coin, grid.settle, grid.expiry, grid.asset_row, grid.is_dollar]
    integers += [grid.tier_first, grid.offset_pairs.ravel()]
    floats = [grid.pnl.ravel(), grid.delta, grid.unit_value, grid.contract_size, grid.mark, grid.add_on]
    floats += [grid.index_price, grid.haircut, grid.up_to, grid.liquidity.ravel(), grid.offset_credits, grid.rates]
    return PackedGrid(np.concatenate(floats), np.concatenate(integers).astype(np.int64))


@literal_kernel
def opened(floats: FloatArray, integers: IntArray) -> GridColumns:
    """Return the columns that were packed, as views."""
    n, m, n_currencies, n_tiers, n_offsets = integers[0], integers[1], integers[2], integers[3], integers[4]
    i, c = integers[7:], integers[7 + 4 * n :]
    f = floats[n * m :]
    g = f[5 * n :]
    h = g[n_currencies + 2 * n_tiers :]
    return GridColumns(
        floats[: n * m].reshape((n, m)),
        f[:n],
        f[n : 2 * n],
        f[2 * n : 3 * n],
        f[3 * n : 4 * n],
        f[4 * n : 5 * n],
        i[:n],
        i[n : 2 * n],
        i[2 * n : 3 * n],
        i[3 * n : 4 * n],
        g[:n_currencies],
        c[:n_currencies],
        c[n_currencies : 2 * n_currencies],
        integers[6],
        c[2 * n_currencies : 3 * n_currencies + 1],
        g[n_currencies : n_currencies + n_tiers],
        g[n_currencies + n_tiers : n_currencies + 2 * n_tiers],
        h[: 4 * n_currencies].reshape((n_currencies, 4)),
        c[3 * n_currencies + 1 : 3 * n_currencies + 1 + 2 * n_offsets].reshape((n_offsets, 2)),
        h[4 * n_currencies : 4 * n_currencies + n_offsets],
        h[4 * n_currencies + n_offsets :],
        integers[5],
    )


def _numbers(values: Iterable[int]) -> IntArray:
    return np.array(list(values), dtype=np.int64)


def _index(market: MarketSnapshot, name: str) -> float:
    return market.index_price(Currency(name)) if name == USD or name in market.index else 0.0


def _expiry_ns(item: Instrument) -> int:
    return 0 if isinstance(item, Asset | Spot | Perpetual) else item.expiry_ns


def _kind(item: Instrument) -> int:
    if isinstance(item, Asset | Spot):
        return SPOT
    if isinstance(item, Option):
        return OPTION
    return INVERSE if item.payoff is Payoff.INVERSE else LINEAR
