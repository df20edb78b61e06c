"""Many accounts under `scenario_grid` at once: their columns side by side, and their figures after prices moved.

What one account's columns are says `engine.columns`; here they stand one after the other, so that a tick runs once over
all of them and margins only the coins that moved. The figures have the bits of one account at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from crossmargin.compilation import literal_kernel
from crossmargin.engine.columns import BookColumns, mark_book
from crossmargin.engine.grid_market import GridMarket
from crossmargin.margin.coin_parts import empty_parts, margin_coin_of_some
from crossmargin.margin.coin_slices import CoinSlices, coin_slices, replace_quantities
from crossmargin.margin.grid_columns import GridColumns, opened
from crossmargin.margin.grid_slices import remargin_coins
from crossmargin.units import BoolArray, FloatArray, IntArray

MANY = 16
"""Accounts from which on it pays to line them up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedPositions:
    """Positions of many accounts that are marked to market, in compressed sparse rows: no mark moves the cash of others.

    `is_marked` says of which rows of the market that is true.
    """

    is_marked: BoolArray
    indptr: IntArray
    rows: IntArray
    lots: IntArray
    costs: IntArray

    def replace(self, place: int, book: BookColumns) -> None:
        """Take over what the account at `place`, which holds the same contracts as before, holds of them now."""
        own, chosen = slice(int(self.indptr[place]), int(self.indptr[place + 1])), self.is_marked[book.rows]
        self.lots[own], self.costs[own] = book.lots[chosen], book.costs[chosen]


@dataclass(slots=True)
class Crowd:
    """Accounts side by side.

    Attributes
    ----------
    names
        In alphabetical order.
    credit : array of shape (n_accounts,)
        Credit lines in USD.
    indptr, rows, lots, costs
        Positions in compressed sparse rows.
    quanta : integers of shape (n_accounts, n_currencies)
    cash, figures : arrays of shape (n_accounts, n_currencies) and (n_accounts, 4)
        Coins with profit since entry, and what `margin_book` says, at the prices of `grid`; where not `fits`, nothing.
    """

    names: tuple[str, ...]
    credit: FloatArray
    indptr: IntArray
    rows: IntArray
    lots: IntArray
    costs: IntArray
    quantities: FloatArray
    quanta: IntArray
    cash: FloatArray
    figures: FloatArray
    places: dict[str, int]
    fits: BoolArray
    marked: MarkedPositions | None = None
    grid: GridColumns | None = None
    slices: CoinSlices | None = None
    parts: FloatArray = field(default_factory=lambda: np.empty((0, 0, 0)))
    patched: list[int] = field(default_factory=list)
    """Places of accounts whose positions are others than those that `parts` were computed from."""

    def patch(self, name: str, book: BookColumns, credit: float) -> bool:
        """Take over what one account holds now; return False if it holds other contracts than before.

        Then its place among the columns does not suffice, and the crowd must be lined up anew.
        """
        place = self.places[name]
        own = slice(int(self.indptr[place]), int(self.indptr[place + 1]))
        if self.slices is None or not np.array_equal(self.rows[own], book.rows):
            return False
        self.lots[own], self.costs[own], self.quantities[own] = book.lots, book.costs, book.quantities
        self.quanta[place], self.credit[place] = book.quanta, credit
        if self.marked is not None:
            self.marked.replace(place, book)
        replace_quantities(self.slices, place, book.rows, book.quantities)
        self.patched.append(place)
        return True

    def margin(self, market: GridMarket) -> None:
        """Bring cash and figures to the prices of `market`."""
        grid = opened(*market.grid)
        cash, is_marked = np.zeros_like(self.cash), market.terms[:, 1] != 0
        if self.marked is None or not np.array_equal(self.marked.is_marked, is_marked):
            self.marked = _marked(is_marked, self.indptr, self.rows, self.lots, self.costs)
        whole = self.marked.indptr, self.marked.rows, self.marked.lots, self.marked.costs
        _mark_all(market.terms, market.scales, *whole, self.quanta, cash, self.fits)
        if self.slices is None or self.grid is None:
            slices = coin_slices(grid.coin, grid.index_price.size, self.indptr, self.rows, self.quantities)
            self.slices, self.parts = slices, empty_parts(slices)
            changed = np.arange(grid.index_price.size)
        else:
            slices = self.slices
            changed = np.flatnonzero(moved(self.grid, grid) | (cash != self.cash).any(axis=0))
        self.grid, self.cash = grid, cash
        concerned = ~grid.is_dollar.astype(bool) | (slices.indptr[:, 0] < slices.indptr[:, -1])
        for c in np.setdiff1d(np.flatnonzero(concerned), changed):
            for place in self.patched:
                margin_coin_of_some(grid, slices, cash, int(c), self.parts, place, place + 1)
        self.patched.clear()
        remargin_coins(grid, slices, cash, changed[concerned[changed]], self.parts, self.figures)


def lined_up(names: Sequence[str], books: Sequence[BookColumns], credit: Sequence[float], n_currencies: int) -> Crowd:
    """Return accounts side by side, with room for their figures."""
    count = len(names)
    return Crowd(
        names=tuple(names),
        credit=np.array(credit),
        indptr=np.cumsum([0, *(book.rows.size for book in books)]),
        rows=np.concatenate([book.rows for book in books]),
        lots=np.concatenate([book.lots for book in books]),
        costs=np.concatenate([book.costs for book in books]),
        quantities=np.concatenate([book.quantities for book in books]),
        quanta=np.array([book.quanta for book in books], dtype=np.int64).reshape(count, n_currencies),
        cash=np.zeros((count, n_currencies)),
        figures=np.zeros((count, 4)),
        places={name: place for place, name in enumerate(names)},
        fits=np.zeros(count, dtype=np.bool_),
    )


def _marked(is_marked: BoolArray, indptr: IntArray, rows: IntArray, lots: IntArray, costs: IntArray) -> MarkedPositions:
    chosen = is_marked[rows]
    before = np.concatenate([[0], np.cumsum(chosen)])
    return MarkedPositions(
        is_marked=is_marked, indptr=before[indptr], rows=rows[chosen], lots=lots[chosen], costs=costs[chosen]
    )


def moved(before: GridColumns, after: GridColumns) -> BoolArray:
    """Return, by currency, whether anything that its parts are computed from is another number."""
    count = after.index_price.size
    if before.pnl.shape != after.pnl.shape or before.n_expiries != after.n_expiries:
        return np.ones(count, dtype=np.bool_)
    if (before.rates != after.rates).any():
        return np.ones(count, dtype=np.bool_)
    other = (before.pnl != after.pnl).any(axis=1)
    for name in ("delta", "unit_value", "contract_size", "kind", "coin", "expiry"):
        other |= getattr(before, name) != getattr(after, name)
    found = (before.index_price != after.index_price) | (before.liquidity != after.liquidity).any(axis=1)
    found |= (before.asset_row != after.asset_row) | (before.is_dollar != after.is_dollar)
    found[after.coin[other]] = True
    return np.asarray(found)


@literal_kernel
def _mark_all(
    terms: IntArray,
    scales: IntArray,
    indptr: IntArray,
    rows: IntArray,
    lots: IntArray,
    costs: IntArray,
    quanta: IntArray,
    cash: FloatArray,
    fits: BoolArray,
) -> None:
    for a in range(indptr.size - 1):
        own = slice(indptr[a], indptr[a + 1])
        fits[a] = mark_book(terms, scales, rows[own], lots[own], costs[own], quanta[a], cash[a])
        if not fits[a]:
            cash[a] = 0.0
