"""Kernels of `scenario_grid` on columns: one book, many books, and what open orders could make of a book.

The figures of a book have the bits of `margin.scenario_grid`. The bound over open orders follows its `_deficit_bound`;
it is only ever used to accept, with room for its own rounding.
"""

import math

import numpy as np

from crossmargin.compilation import literal_kernel
from crossmargin.margin.grid_columns import OPTION, GridColumns
from crossmargin.risk.exact_sum import exact_sum
from crossmargin.risk.kernels import least
from crossmargin.units import FloatArray, IntArray

EQUITY, INITIAL, MAINTENANCE, WORTH = 0, 1, 2, 3
"""Columns of the figures."""
_DUST = 1e-9


@literal_kernel
def margin_book(grid: GridColumns, rows: IntArray, quantities: FloatArray, cash: FloatArray, out: FloatArray) -> None:
    """Write equity, initial margin, maintenance margin and worth of one book, in USD, to `out`.

    Parameters
    ----------
    rows, quantities : arrays of shape (n_positions,)
        Rows increase; quantities are contracts, not 0.
    cash : array of shape (n_currencies,)
        Coins, profit since entry included; negative is owed.
    """
    n_currencies = grid.index_price.size
    hedging = np.zeros(n_currencies)
    parts = np.empty(5 * n_currencies + grid.offset_credits.size)
    count = 0
    scans, deltas = np.zeros(n_currencies), np.zeros(n_currencies)
    present = np.zeros(n_currencies, dtype=np.bool_)
    for k in range(rows.size):
        present[grid.coin[rows[k]]] = True
    terms, vector = np.empty(rows.size + 1), np.empty(grid.pnl.shape[1])
    for c in range(n_currencies):
        if not grid.is_dollar[c] and cash[c] != 0.0:
            hedging[c] = _hedging(grid, rows, quantities, c, cash[c], terms)
        if not present[c] and hedging[c] == 0.0:
            continue
        present[c] = True
        scan, short = _scan(grid, rows, quantities, c, hedging[c], terms, vector)
        scans[c] = scan
        parts[count] = scan
        parts[count + 1] = max(scan, grid.rates[1] * grid.index_price[c] * short) - scan
        parts[count + 2], parts[count + 3], parts[count + 4] = _add_ons(grid, rows, quantities, c)
        count += 5
        if grid.offset_credits.size:
            deltas[c] = _delta(grid, rows, quantities, c, hedging[c], terms)
    for o in range(grid.offset_credits.size):
        first, second = grid.offset_pairs[o, 0], grid.offset_pairs[o, 1]
        if present[first] and present[second] and deltas[first] * deltas[second] < 0.0:
            matched = min(scans[first], scans[second])
            scans[first] -= matched
            scans[second] -= matched
            parts[count] = -(2.0 * matched * grid.offset_credits[o])
            count += 1
    total = exact_sum(parts[:count])
    extra = 0.0
    for k in range(rows.size):
        extra += abs(quantities[k]) * grid.add_on[rows[k]]
    out[INITIAL] = total + extra
    out[MAINTENANCE] = grid.rates[0] * total
    value = position_value(grid, rows, quantities, terms)
    out[EQUITY] = _equity(grid, cash, hedging, value)
    worth = np.empty(n_currencies)
    for c in range(n_currencies):
        worth[c] = cash[c] * grid.index_price[c]
    out[WORTH] = exact_sum(worth) + value


@literal_kernel
def margin_books(
    grid: GridColumns, indptr: IntArray, rows: IntArray, quantities: FloatArray, cash: FloatArray, out: FloatArray
) -> None:
    """Write the figures of many books, in compressed sparse rows, to `out` of shape (n_accounts, 4)."""
    for a in range(indptr.size - 1):
        own = slice(indptr[a], indptr[a + 1])
        margin_book(grid, rows[own], quantities[own], cash[a], out[a])


@literal_kernel
def _hedging(
    grid: GridColumns, rows: IntArray, quantities: FloatArray, c: int, coins: float, terms: FloatArray
) -> float:
    """Return the coins that enter the risk array: all that is owed, and what offsets the derivatives' delta."""
    if coins < 0.0:
        return coins
    delta = _delta(grid, rows, quantities, c, 0.0, terms)
    return float(min(coins, max(-delta, 0.0) / grid.index_price[c]))


@literal_kernel
def _delta(grid: GridColumns, rows: IntArray, quantities: FloatArray, c: int, coins: float, terms: FloatArray) -> float:
    count = 0
    for k in range(rows.size):
        if grid.coin[rows[k]] == c:
            terms[count] = quantities[k] * grid.delta[rows[k]]
            count += 1
    if coins != 0.0:
        terms[count] = coins * grid.delta[grid.asset_row[c]]
        count += 1
    return exact_sum(terms[:count])


@literal_kernel
def _scan(
    grid: GridColumns,
    rows: IntArray,
    quantities: FloatArray,
    c: int,
    coins: float,
    terms: FloatArray,
    vector: FloatArray,
) -> tuple[float, float]:
    """Return the worst loss of one coin's positions and hedging coins, and the coins in its short options."""
    asset = grid.asset_row[c]
    for s in range(vector.size):
        vector[s] = 0.0
    waiting, shorts = coins != 0.0, 0
    for k in range(rows.size):
        row = rows[k]
        if grid.coin[row] != c:
            continue
        if waiting and asset < row:
            _add(vector, coins, grid.pnl[asset])
            waiting = False
        _add(vector, quantities[k], grid.pnl[row])
        if grid.kind[row] == OPTION and quantities[k] < 0.0:
            terms[shorts] = -quantities[k] * grid.contract_size[row]
            shorts += 1
    if waiting:
        _add(vector, coins, grid.pnl[asset])
    short = exact_sum(terms[:shorts])
    lowest = least(vector)
    loss = max(-lowest, 0.0)
    if loss == 0.0:
        return 0.0, short
    worst = 0
    while vector[worst] != lowest:
        worst += 1
    count = 0
    for k in range(rows.size):
        if grid.coin[rows[k]] == c:
            terms[count] = abs(quantities[k] * grid.pnl[rows[k], worst])
            count += 1
    if coins != 0.0:
        terms[count] = abs(coins * grid.pnl[asset, worst])
        count += 1
    # a perfect hedge leaves rounding dust behind, which is no loss
    return (loss if _exceeds_dust(loss, terms[:count]) else 0.0), short


@literal_kernel
def _exceeds_dust(loss: float, sizes: FloatArray) -> bool:
    gross = 0.0
    for k in range(sizes.size):
        gross += sizes[k]
    if loss > 2.0 * _DUST * gross:
        return True
    return loss > _DUST * exact_sum(sizes)


@literal_kernel
def _add(vector: FloatArray, quantity: float, row: FloatArray) -> None:
    for s in range(vector.size):
        vector[s] += quantity * row[s]


@literal_kernel
def _add_ons(grid: GridColumns, rows: IntArray, quantities: FloatArray, c: int) -> tuple[float, float, float]:
    """Return basis, liquidity and concentration of one coin."""
    expiries = np.zeros(grid.n_expiries)
    for k in range(rows.size):
        row = rows[k]
        if grid.coin[row] == c:
            expiries[grid.expiry[row]] += quantities[k] * grid.delta[row]
    delta = exact_sum(expiries)
    basis = grid.rates[2] * (exact_sum(np.abs(expiries)) - abs(delta))
    volume, vol, half_spread, impact = grid.liquidity[c]
    if volume == 0.0:
        return basis, 0.0, 0.0
    size = abs(delta)
    liquidity = size * (half_spread + impact * vol * math.sqrt(size / volume))
    return basis, liquidity, grid.rates[4] * max(size - grid.rates[3] * volume, 0.0)


@literal_kernel
def position_value(grid: GridColumns, rows: IntArray, quantities: FloatArray, terms: FloatArray) -> float:
    """Return the USD value of what was paid for."""
    count = 0
    for k in range(rows.size):
        if grid.unit_value[rows[k]] != 0.0:
            terms[count] = quantities[k] * grid.unit_value[rows[k]]
            count += 1
    return exact_sum(terms[:count])


@literal_kernel
def _equity(grid: GridColumns, cash: FloatArray, hedging: FloatArray, value: float) -> float:
    parts = np.empty(2 * cash.size + 1)
    count = 0
    for c in range(cash.size):
        if cash[c] == 0.0:
            continue
        parts[count] = hedging[c] * grid.index_price[c]
        parts[count + 1] = credit_of(grid, c, cash[c] - hedging[c])
        count += 2
    parts[count] = value
    return exact_sum(parts[: count + 1])


@literal_kernel
def credit_of(grid: GridColumns, c: int, coins: float) -> float:
    """Return what coins of a currency count for after haircut, in USD."""
    value = coins * grid.index_price[c]
    if value <= 0.0 or c == grid.numeraire:
        return float(value)
    credit, floor = 0.0, 0.0
    for tier in range(grid.tier_first[c], grid.tier_first[c + 1]):
        end = min(value, grid.up_to[tier])
        credit += (1.0 - grid.haircut[tier]) * max(end - floor, 0.0)
        floor = end
    return float(credit)
