"""Columns and figures of accounts once more, from the ledger alone: what an audit compares the mirror with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.compilation import literal_kernel
from crossmargin.engine.columns import BookColumns, mark_book
from crossmargin.engine.grid_market import GridMarket
from crossmargin.ledger.ledger import Ledger
from crossmargin.margin.grid_columns import opened
from crossmargin.margin.grid_kernels import margin_book
from crossmargin.units import BoolArray, FloatArray, IntArray

MOST = 2**62
"""Sums of whole numbers below this are summed in 64 bits."""


@dataclass(frozen=True, slots=True)
class Rechecked:
    """What a second computation gave.

    Attributes
    ----------
    true, fit : array of shape (n_accounts,)
        Whether the columns are what the ledger says, and whether all numbers are small enough for them.
    figures : array of shape (n_accounts, 4)
        As `margin_book` says, credit lines not included; nothing where columns are not true or do not fit.
    """

    true: BoolArray
    fit: BoolArray
    figures: FloatArray


def recheck(ledger: Ledger, names: Sequence[str], books: Sequence[BookColumns], market: GridMarket) -> Rechecked:
    """Compare the columns of accounts with the ledger, and compute their figures from nothing but them and `market`."""
    contracts = tuple(market.rows)  # in the order of rows, for every contract has one
    true = np.array(
        [_same_book(book, ledger, name, market, contracts) for name, book in zip(names, books, strict=True)]
    )
    fit, figures = np.zeros(len(books), dtype=np.bool_), np.zeros((len(books), 4))
    _figures_of_all(
        *market.grid,
        market.terms,
        market.scales,
        market.lot_sizes,
        np.cumsum([0, *(book.rows.size for book in books)]),
        np.concatenate([book.rows for book in books]),
        np.concatenate([book.lots for book in books]),
        np.concatenate([book.costs for book in books]),
        np.concatenate([book.quantities for book in books]),
        np.array([book.quanta for book in books]),
        true,
        fit,
        figures,
    )
    return Rechecked(true, fit, figures)


def summed(books: Sequence[BookColumns], contracts: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the sums of lots and of costs over books, by contract that any of them holds."""
    if not books:
        return {}, {}
    rows = np.concatenate([book.rows for book in books])
    is_held = np.zeros(len(contracts), dtype=np.bool_)
    is_held[rows] = True
    held = np.flatnonzero(is_held)
    sums = []
    for column in ([book.lots for book in books], [book.costs for book in books]):
        amounts = np.concatenate(column)
        if amounts.size and max(abs(int(amounts.max())), abs(int(amounts.min()))) > MOST // amounts.size:
            amounts = amounts.astype(object)  # whole numbers of any size
        totals = np.zeros(len(contracts), dtype=amounts.dtype)
        np.add.at(totals, rows, amounts)
        sums.append(dict(zip((contracts[row] for row in held.tolist()), totals[held].tolist(), strict=True)))
    return sums[0], sums[1]


def _same_book(book: BookColumns, ledger: Ledger, account: str, market: GridMarket, contracts: tuple[str, ...]) -> bool:
    holdings, balances = ledger.holdings.get(account, {}), ledger.balances.get(account, {})
    rows, numbers = book.rows.tolist(), market.numbers
    if len(set(rows)) < len(rows) or (rows and not 0 <= min(rows) <= max(rows) < len(contracts)):
        return False
    try:
        held = [holdings[contracts[row]] for row in rows]
    except KeyError:
        return False
    owned = {numbers[asset]: amount for asset, amount in balances.items() if asset in numbers and amount}
    return (
        [each.lots for each in held] == book.lots.tolist()
        and [each.cost for each in held] == book.costs.tolist()
        # a holding without lots waits for the settlement of what it realised, and has no column
        and (len(holdings) == len(rows) or sum(each.lots != 0 for each in holdings.values()) == len(rows))
        and owned == {number: amount for number, amount in enumerate(book.quanta.tolist()) if amount}
    )


@literal_kernel
def _figures_of_all(
    floats: FloatArray,
    integers: IntArray,
    terms: IntArray,
    scales: IntArray,
    lot_sizes: IntArray,
    indptr: IntArray,
    rows: IntArray,
    lots: IntArray,
    costs: IntArray,
    quantities: FloatArray,
    quanta: IntArray,
    true: BoolArray,
    fit: BoolArray,
    figures: FloatArray,
) -> None:
    grid = opened(floats, integers)
    cash = np.empty(quanta.shape[1])
    for a in range(indptr.size - 1):
        own = slice(indptr[a], indptr[a + 1])
        true[a] = true[a] and _true_sizes(lot_sizes, rows[own], lots[own], quantities[own])
        fit[a] = true[a] and mark_book(terms, scales, rows[own], lots[own], costs[own], quanta[a], cash)
        if fit[a]:
            margin_book(grid, rows[own], quantities[own], cash, figures[a])


@literal_kernel
def _true_sizes(lot_sizes: IntArray, rows: IntArray, lots: IntArray, quantities: FloatArray) -> bool:
    for k in range(rows.size):
        row = rows[k]
        if not 0 <= row < lot_sizes.shape[0] or lot_sizes[row, 1] == 0:
            return False
        if quantities[k] != float(lots[k] * lot_sizes[row, 0]) / float(lot_sizes[row, 1]):
            return False
    return True
