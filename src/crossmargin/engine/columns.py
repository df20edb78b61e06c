"""Accounts under `scenario_grid` in columns: what compiled functions read of the ledger and the market.

Everything here is derived. Profit since entry is computed in whole quanta, as the ledger would book it, and summed per
asset before it becomes a float; an account whose numbers are too large for that is not columnar, and is margined by the
method's own function, which gives the same bits.
"""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from crossmargin.compilation import literal_kernel
from crossmargin.engine.book import Book
from crossmargin.engine.grid_market import AMPLE, EXACT, GridMarket
from crossmargin.ledger.ledger import Holding, Ledger
from crossmargin.margin.grid_columns import opened
from crossmargin.margin.grid_kernels import margin_book
from crossmargin.margin.order_kernels import deficit_and_exposures, worst_subset_deficit
from crossmargin.units import BoolArray, FloatArray, IntArray

ENUMERATED = 12
"""Orders up to which every subset of fills is margined, if the bound does not already suffice."""


@dataclass(slots=True)
class BookColumns:
    """One account's positions and balances in whole numbers, and as floats."""

    rows: IntArray
    lots: IntArray
    costs: IntArray
    quanta: IntArray
    quantities: FloatArray
    cash: FloatArray
    marked: object = None
    """The market to which `cash` was marked."""


def book_columns(ledger: Ledger, account: str, market: GridMarket) -> BookColumns | None:
    """Return an account's columns, or None if they do not fit."""
    rows, numbers = market.rows, market.numbers
    holdings = ledger.holdings.get(account, {})
    held = _held(rows, holdings)
    quanta = [0] * len(numbers)
    for asset, amount in ledger.balances.get(account, {}).items():
        if asset in numbers:
            quanta[numbers[asset]] = amount
    try:
        whole, balances = np.array(held, dtype=np.int64).reshape(-1, 3), np.array(quanta, dtype=np.int64)
    except OverflowError:
        return None
    own, lots, costs = np.ascontiguousarray(whole.T)
    quantities, cash = np.empty(own.size), np.zeros(balances.size)
    if not _fits(market.lot_sizes, own, lots, costs, balances, quantities):
        return None
    return BookColumns(rows=own, lots=lots, costs=costs, quanta=balances, quantities=quantities, cash=cash)


def _held(rows: dict[str, int], holdings: dict[str, Holding]) -> list[tuple[int, int, int]]:
    """Return row, lots and cost of what is held, by row; -1 stands for a contract without a row.

    A holding without lots waits for the settlement of what it realised.
    """
    return sorted((rows.get(name, -1), held.lots, held.cost) for name, held in holdings.items() if held.lots)


def post_balance(book: BookColumns, ledger: Ledger, account: str, asset: str, numbers: dict[str, int]) -> bool:
    """Note a balance that changed; return False if that cannot be done in place."""
    amount = ledger.balance(account, asset)
    if abs(amount) >= EXACT:
        return False
    if asset in numbers:
        book.quanta[numbers[asset]] = amount
    book.marked = None
    return True


def post_holding(book: BookColumns, holding: Holding, row: int, lot_size: Decimal) -> bool:
    """Note a holding that changed; return False if it does not fit."""
    numerator, denominator = lot_size.as_integer_ratio()
    if row < 0 or abs(holding.cost) >= AMPLE or abs(holding.lots) * numerator > EXACT:
        return False
    quantity = holding.lots * numerator / denominator
    book.marked = None
    place = int(book.rows.searchsorted(row))
    if holding.lots and place < book.rows.size and book.rows[place] == row:
        book.lots[place], book.costs[place], book.quantities[place] = holding.lots, holding.cost, quantity
        return True
    changed = _posted(book.rows, book.lots, book.costs, book.quantities, row, holding.lots, holding.cost, quantity)
    book.rows, book.lots, book.costs, book.quantities = changed
    return True


@literal_kernel
def _posted(
    rows: IntArray,
    lots: IntArray,
    costs: IntArray,
    quantities: FloatArray,
    row: int,
    lot: int,
    cost: int,
    quantity: float,
) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Return the columns with the position in `row` changed, opened or, without lots, closed."""
    place = 0
    while place < rows.size and rows[place] < row:
        place += 1
    known = place < rows.size and rows[place] == row
    if known and lot != 0:
        lots[place], costs[place], quantities[place] = lot, cost, quantity
        return rows, lots, costs, quantities
    rest = place + 1 if known else place
    gap = 0 if lot == 0 else 1
    size = place + gap + rows.size - rest
    whole, held = np.empty((3, size), dtype=np.int64), np.empty(size)
    whole[0, :place], whole[1, :place], whole[2, :place] = rows[:place], lots[:place], costs[:place]
    held[:place] = quantities[:place]
    if gap:
        whole[0, place], whole[1, place], whole[2, place], held[place] = row, lot, cost, quantity
    after = place + gap
    whole[0, after:], whole[1, after:], whole[2, after:] = rows[rest:], lots[rest:], costs[rest:]
    held[after:] = quantities[rest:]
    return whole[0], whole[1], whole[2], held


@literal_kernel
def _fits(
    lot_sizes: IntArray, rows: IntArray, lots: IntArray, costs: IntArray, quanta: IntArray, quantities: FloatArray
) -> bool:
    """Write lots as contracts to `quantities`; return whether every number is small enough to be exact."""
    for c in range(quanta.size):
        if abs(quanta[c]) >= EXACT:
            return False
    for k in range(rows.size):
        if rows[k] < 0 or abs(costs[k]) >= AMPLE:
            return False
        numerator, denominator = lot_sizes[rows[k]]
        if numerator == 0 or abs(lots[k]) > EXACT // numerator:
            return False
        quantities[k] = float(lots[k] * numerator) / float(denominator)
    return True


def mark_to_market(book: BookColumns, market: GridMarket) -> bool:
    """Fill in the book's cash at the market's marks; return whether it fits."""
    if book.marked is not market:
        if not mark_book(market.terms, market.scales, book.rows, book.lots, book.costs, book.quanta, book.cash):
            return False
        book.marked = market
    return True


def margin_columns(book: BookColumns, market: GridMarket, out: FloatArray) -> bool:
    """Write what `margin_book` says of a book at the market's marks to `out`; return whether it fits."""
    if book.marked is market:
        figures(*market.grid, book.rows, book.quantities, book.cash, out)
        return True
    whole = book.rows, book.lots, book.costs, book.quanta
    if not marked_figures(*market.grid, market.terms, market.scales, *whole, book.quantities, book.cash, out):
        return False
    book.marked = market
    return True


@literal_kernel
def mark_book(
    terms: IntArray,
    scales: IntArray,
    rows: IntArray,
    lots: IntArray,
    costs: IntArray,
    quanta: IntArray,
    cash: FloatArray,
) -> bool:
    """Write coins per currency, profit since entry included, to `cash`; return whether all numbers fit."""
    totals = quanta.copy()
    for k in range(rows.size):
        # number by number, for unpacking a row would count references to it
        row = rows[k]
        numerator, denominator, settle = terms[row, 0], terms[row, 1], terms[row, 3]
        if denominator == 0:
            continue
        size = abs(lots[k])
        if size > terms[row, 2]:
            return False
        whole = size * numerator // denominator
        rest = size * numerator - whole * denominator
        # half to even, as the ledger rounds
        if 2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1):
            whole += 1
        totals[settle] += (whole if lots[k] > 0 else -whole) * terms[row, 4] - costs[k]
        if abs(totals[settle]) >= AMPLE:
            return False
    for c in range(cash.size):
        if totals[c] == 0:
            cash[c] = 0.0
            continue
        if scales[c, 0] == 0 or abs(totals[c]) > EXACT // scales[c, 0]:
            return False
        cash[c] = float(totals[c] * scales[c, 0]) / float(scales[c, 1])
    return True


def columns_of(book: Book, market: GridMarket) -> tuple[IntArray, FloatArray, FloatArray] | None:
    """Return a book's rows, quantities and cash, or None if it holds what the market does not have."""
    cash = np.zeros(len(market.numbers))
    for name, coins in book.cash.items():
        if name not in market.numbers:
            return None
        cash[market.numbers[name]] = coins
    if any(name not in market.rows for name in book.positions):
        return None
    held = sorted((market.rows[name], quantity) for name, quantity in book.positions.items())
    return np.array([row for row, _ in held], dtype=np.int64), np.array([size for _, size in held], dtype=float), cash


@literal_kernel
def figures(
    floats: FloatArray, integers: IntArray, rows: IntArray, quantities: FloatArray, cash: FloatArray, out: FloatArray
) -> None:
    """Write equity, initial margin, maintenance margin and worth of a book to `out`."""
    margin_book(opened(floats, integers), rows, quantities, cash, out)


@literal_kernel
def marked_figures(
    floats: FloatArray,
    integers: IntArray,
    terms: IntArray,
    scales: IntArray,
    rows: IntArray,
    lots: IntArray,
    costs: IntArray,
    quanta: IntArray,
    quantities: FloatArray,
    cash: FloatArray,
    out: FloatArray,
) -> bool:
    """Fill in a book's cash at the marks, and write its figures to `out`; return whether it fits."""
    if not mark_book(terms, scales, rows, lots, costs, quanta, cash):
        return False
    margin_book(opened(floats, integers), rows, quantities, cash, out)
    return True


@literal_kernel
def worst_deficit(
    floats: FloatArray,
    integers: IntArray,
    rows: IntArray,
    quantities: FloatArray,
    cash: FloatArray,
    trusted: BoolArray,
    orders: IntArray,
    sizes: FloatArray,
    prices: FloatArray,
    enough: float,
    exposures: FloatArray,
) -> float:
    """Return initial margin less equity of the worst subset of fills, or the bound of it if that is at most `enough`.

    Above `enough`, with more than `ENUMERATED` orders, it is the bound too. `exposures` is what the bound says of them.
    """
    grid = opened(floats, integers)
    bound = deficit_and_exposures(grid, rows, quantities, cash, trusted, orders, sizes, prices, exposures)
    if bound <= enough or orders.size > ENUMERATED:
        return bound
    return worst_subset_deficit(grid, rows, quantities, cash, trusted, orders, sizes, prices, enough)
