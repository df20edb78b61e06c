"""`scenario_grid` for single plain books on columns that many of them share: the figures of `margin.scenario_grid`.

A plain book has no open orders and no isolated groups, names each contract and each currency once, and holds nothing that
the columns lack; of every other this module says that it is not for it. What it answers has the bits of the definition,
without the components and the tree that explain them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from crossmargin.compilation import literal_kernel
from crossmargin.errors import MarketDataError
from crossmargin.instruments.contracts import DOLLAR_COINS, Asset, Instrument
from crossmargin.margin.grid_columns import INVERSE, GridColumns, PackedGrid, grid_columns, opened, packed
from crossmargin.margin.grid_kernels import (
    EQUITY,
    INITIAL,
    MAINTENANCE,
    add_rows,
    exposure,
    margin_book,
    with_coins,
    worst_loss,
)
from crossmargin.margin.scenario_grid import ScenarioGridParameters
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.risk.exact_sum import PARTIALS
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import LARGEST_NUMBER, SMALLEST_PRICE, USD, FloatArray, InstrumentId, IntArray

WORST = 4
"""Place of the number of the worst scenario, -1 for none, after the figures of `grid_kernels`."""
_UNKNOWN = 0.0
"""Stands for an entry price that is not known: it is then the mark."""


@dataclass(frozen=True, slots=True)
class GridFigures:
    """Equity, initial and maintenance margin in USD, and the worst scenario of the underlying that loses most."""

    equity: float
    initial: float
    maintenance: float
    worst_scenario: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GridBooks:
    """Columns of one market for plain books.

    Attributes
    ----------
    rows, numbers
        Of contracts whose coins all scenarios move, by id; of currencies that a plain book may hold.
    coins
        Currencies in the order of their numbers.
    """

    grid: PackedGrid
    rows: dict[str, int]
    numbers: dict[str, int]
    coins: tuple[str, ...]
    labels: tuple[str, ...]

    @classmethod
    def on(cls, risk: RiskArray, market: MarketSnapshot, parameters: ScenarioGridParameters) -> Self:
        """Return the columns of what in a risk array has a mark, and index prices of all that it names."""
        moved = {name for name in risk.scenarios.underlyings if InstrumentId(name) in risk.rows} | DOLLAR_COINS
        coins = tuple(sorted({*market.index, USD}))
        known = {*moved, *coins}
        kept = [row for row, item in enumerate(risk.instruments) if _is_marked(item, market) and _names(item) <= known]
        part = RiskArray(
            instruments=tuple(risk.instruments[row] for row in kept),
            scenarios=risk.scenarios,
            pnl=risk.pnl[kept],
            delta=risk.delta[kept],
        )
        return cls(
            grid=packed(grid_columns(part, market, parameters, coins)),
            rows={
                str(item.id): row
                for row, item in enumerate(part.instruments)
                if not isinstance(item, Asset) and _names(item) <= moved
            },
            numbers={name: number for number, name in enumerate(coins) if name in moved},
            coins=coins,
            labels=risk.scenarios.labels,
        )

    def figures(
        self, positions: Sequence[tuple[str, float, float | None]], balances: Iterable[tuple[str, float]]
    ) -> GridFigures | None:
        """Return the figures of a book, or None where it is not plain.

        Parameters
        ----------
        positions
            Contract, signed number of contracts, and entry price in quote currency or None.
        balances
            Currency and amount; negative is owed.
        """
        # numbers beyond these are for the definition to judge; within them no figure leaves the range of floats
        if not all(entry is None or SMALLEST_PRICE <= entry <= LARGEST_NUMBER for _, _, entry in positions):
            return None
        held = sorted([(self.rows.get(name, -1), quantity, entry or _UNKNOWN) for name, quantity, entry in positions])
        cash, owned = np.zeros(len(self.coins)), set()
        for name, amount in balances:
            number = self.numbers.get(name, -1)
            if number < 0 or number in owned or not abs(amount) <= LARGEST_NUMBER:
                return None
            owned.add(number)
            cash[number] = amount
        if not held:
            rows, quantities, entries = np.empty(0, dtype=np.int64), np.empty(0), np.empty(0)
        else:
            own, sizes, entered = zip(*held, strict=True)
            if own[0] < 0 or len(set(own)) < len(own) or not all(0.0 < abs(size) <= LARGEST_NUMBER for size in sizes):
                return None
            rows, quantities, entries = np.array(own), np.array(sizes), np.array(entered)
        out = np.empty(5)
        _plain_figures(*self.grid, rows, quantities, entries, cash, out)
        found = out.tolist()
        worst = int(found[WORST])
        return GridFigures(found[EQUITY], found[INITIAL], found[MAINTENANCE], "" if worst < 0 else self._label(worst))

    def _label(self, worst: int) -> str:
        number, scenario = divmod(worst, len(self.labels))
        return f"{self.coins[number]}: {self.labels[scenario]}"


def _names(item: Instrument) -> set[str]:
    return {item.underlying, item.settle}


def _is_marked(item: Instrument, market: MarketSnapshot) -> bool:
    try:
        market.mark_price(item)
    except MarketDataError:
        return False
    return True


@literal_kernel
def _plain_figures(
    floats: FloatArray,
    integers: IntArray,
    rows: IntArray,
    quantities: FloatArray,
    entries: FloatArray,
    cash: FloatArray,
    out: FloatArray,
) -> None:
    """Write the figures of a book and its worst scenario to `out`; `cash` is of before profit."""
    grid = opened(floats, integers)
    for k in range(rows.size):
        row = rows[k]
        if entries[k] == _UNKNOWN or grid.kind[row] > INVERSE:
            continue
        size = grid.contract_size[row] * quantities[k]
        if grid.kind[row] == INVERSE:
            profit = size * (1.0 / entries[k] - 1.0 / grid.mark[row])
        else:
            profit = size * (grid.mark[row] - entries[k])
        cash[grid.settle[row]] += profit
    margin_book(grid, rows, quantities, cash, out)
    out[WORST] = _worst(grid, rows, quantities, cash)


@literal_kernel
def _worst(grid: GridColumns, rows: IntArray, quantities: FloatArray, cash: FloatArray) -> int:
    """Return number of coin times scenarios plus scenario, of the coin that loses most; -1 where none loses."""
    vector, partials, terms = np.empty(grid.pnl.shape[1]), np.empty(PARTIALS), np.empty(rows.size + 1)
    own_rows, own = np.empty(rows.size + 1, dtype=np.int64), np.empty(rows.size + 1)
    worst, most = -1, 0.0
    for c in range(cash.size):
        asset, coins = grid.asset_row[c], 0.0
        if not grid.is_dollar[c] and cash[c] != 0.0:
            coins = cash[c]
            if cash[c] > 0.0:
                exposed = exposure(rows, quantities, grid.coin, grid.delta, c, 0.0, asset, terms, partials)
                coins = min(cash[c], max(-exposed, 0.0) / grid.index_price[c])
        held = with_coins(rows, quantities, grid.coin, c, coins, asset, own_rows, own)
        if held == 0:
            continue
        add_rows(own_rows, own, held, grid.pnl, vector)
        loss = worst_loss(own_rows, own, held, grid.pnl, terms, partials, vector)
        if loss > most:
            most, scenario = loss, 0
            while vector[scenario] != -loss:
                scenario += 1
            worst = c * vector.size + scenario
    return worst
