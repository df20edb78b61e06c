"""Kernels of `scenario_grid` on columns: one book, many books, and what open orders could make of a book.

The figures of a book have the bits of `margin.scenario_grid`. The bound over open orders follows its `_deficit_bound`;
it is only ever used to accept, with room for its own rounding.
"""

import math

import numpy as np

from crossmargin.compilation import literal_kernel
from crossmargin.margin.grid_columns import OPTION, GridColumns
from crossmargin.risk.exact_sum import PARTIALS, sum_exactly
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
    # arrays by their own names: in a loop, each mention of a tuple's member would count a reference
    coin, kind, expiry, pnl, delta, unit_value = (
        grid.coin,
        grid.kind,
        grid.expiry,
        grid.pnl,
        grid.delta,
        grid.unit_value,
    )
    contract_size, add_on, index_price, rates = grid.contract_size, grid.add_on, grid.index_price, grid.rates
    n_currencies = index_price.size
    hedging, scans, deltas = np.zeros(n_currencies), np.zeros(n_currencies), np.zeros(n_currencies)
    parts = np.empty(5 * n_currencies + grid.offset_credits.size)
    present = np.zeros(n_currencies, dtype=np.bool_)
    terms, partials = np.empty(max(rows.size + 1, 2 * n_currencies + 1)), np.empty(PARTIALS)
    vector, expiries = np.empty(pnl.shape[1]), np.empty(grid.n_expiries)
    count, extra = 0, 0.0
    for k in range(rows.size):
        present[coin[rows[k]]] = True
        extra += abs(quantities[k]) * add_on[rows[k]]
    for c in range(n_currencies):
        asset = grid.asset_row[c]
        if not grid.is_dollar[c] and cash[c] != 0.0:
            hedging[c] = cash[c]
            if cash[c] > 0.0:
                own = _delta(rows, quantities, coin, delta, c, 0.0, asset, terms, partials)
                hedging[c] = min(cash[c], max(-own, 0.0) / index_price[c])
        if not present[c] and hedging[c] == 0.0:
            continue
        present[c] = True
        short = _profits(
            rows, quantities, coin, kind, contract_size, pnl, c, hedging[c], asset, terms, partials, vector
        )
        scan = _worst_loss(rows, quantities, coin, pnl, c, hedging[c], asset, terms, partials, vector)
        scans[c] = scan
        parts[count] = scan
        parts[count + 1] = max(scan, rates[1] * index_price[c] * short) - scan
        net, gross = _net_and_gross(rows, quantities, coin, delta, expiry, c, expiries, partials)
        parts[count + 2] = rates[2] * (gross - abs(net))
        parts[count + 3], parts[count + 4] = _liquidity(grid.liquidity[c], rates, abs(net))
        count += 5
        if grid.offset_credits.size:
            deltas[c] = _delta(rows, quantities, coin, delta, c, hedging[c], asset, terms, partials)
    for o in range(grid.offset_credits.size):
        first, second = grid.offset_pairs[o, 0], grid.offset_pairs[o, 1]
        if present[first] and present[second] and deltas[first] * deltas[second] < 0.0:
            matched = min(scans[first], scans[second])
            scans[first] -= matched
            scans[second] -= matched
            parts[count] = -(2.0 * matched * grid.offset_credits[o])
            count += 1
    total = sum_exactly(parts[:count], partials)
    out[INITIAL] = total + extra
    out[MAINTENANCE] = rates[0] * total
    value = _position_value(rows, quantities, unit_value, terms, partials)
    for c in range(n_currencies):
        terms[c] = cash[c] * index_price[c]
    out[WORTH] = sum_exactly(terms[:n_currencies], partials) + value
    for c in range(n_currencies):
        terms[2 * c] = hedging[c] * index_price[c]
        terms[2 * c + 1] = credit_of(grid, c, cash[c] - hedging[c])
    terms[2 * n_currencies] = value
    out[EQUITY] = sum_exactly(terms[: 2 * n_currencies + 1], partials)


@literal_kernel
def margin_books(
    grid: GridColumns, indptr: IntArray, rows: IntArray, quantities: FloatArray, cash: FloatArray, out: FloatArray
) -> None:
    """Write the figures of many books, in compressed sparse rows, to `out` of shape (n_accounts, 4)."""
    for a in range(indptr.size - 1):
        own = slice(indptr[a], indptr[a + 1])
        margin_book(grid, rows[own], quantities[own], cash[a], out[a])


@literal_kernel
def _delta(
    rows: IntArray,
    quantities: FloatArray,
    coin: IntArray,
    delta: FloatArray,
    c: int,
    coins: float,
    asset: int,
    terms: FloatArray,
    partials: FloatArray,
) -> float:
    """Return the USD exposure of one coin's positions and of `coins`."""
    count = 0
    for k in range(rows.size):
        if coin[rows[k]] == c:
            terms[count] = quantities[k] * delta[rows[k]]
            count += 1
    if coins != 0.0:
        terms[count] = coins * delta[asset]
        count += 1
    return sum_exactly(terms[:count], partials)


@literal_kernel
def _profits(
    rows: IntArray,
    quantities: FloatArray,
    coin: IntArray,
    kind: IntArray,
    contract_size: FloatArray,
    pnl: FloatArray,
    c: int,
    coins: float,
    asset: int,
    terms: FloatArray,
    partials: FloatArray,
    vector: FloatArray,
) -> float:
    """Write the profits of one coin's positions and hedging coins to `vector`; return the coins in its short options."""
    vector[:] = 0.0
    waiting, shorts = coins != 0.0, 0
    for k in range(rows.size):
        row, quantity = rows[k], quantities[k]
        if coin[row] != c:
            continue
        if waiting and asset < row:
            _add(vector, coins, pnl, asset)
            waiting = False
        _add(vector, quantity, pnl, row)
        if kind[row] == OPTION and quantity < 0.0:
            terms[shorts] = -quantity * contract_size[row]
            shorts += 1
    if waiting:
        _add(vector, coins, pnl, asset)
    return sum_exactly(terms[:shorts], partials)


@literal_kernel
def _add(vector: FloatArray, quantity: float, pnl: FloatArray, row: int) -> None:
    for s in range(vector.size):
        vector[s] += quantity * pnl[row, s]


@literal_kernel
def _worst_loss(
    rows: IntArray,
    quantities: FloatArray,
    coin: IntArray,
    pnl: FloatArray,
    c: int,
    coins: float,
    asset: int,
    terms: FloatArray,
    partials: FloatArray,
    vector: FloatArray,
) -> float:
    """Return the largest loss of `vector`, or 0 if it is but the rounding of a perfect hedge."""
    lowest = least(vector)
    loss = max(-lowest, 0.0)
    if loss == 0.0:
        return 0.0
    worst, count, gross = 0, 0, 0.0
    while vector[worst] != lowest:
        worst += 1
    for k in range(rows.size):
        if coin[rows[k]] == c:
            terms[count] = abs(quantities[k] * pnl[rows[k], worst])
            gross += terms[count]
            count += 1
    if coins != 0.0:
        terms[count] = abs(coins * pnl[asset, worst])
        gross += terms[count]
        count += 1
    # only near the edge does the rounding of the gross decide
    if loss > 2.0 * _DUST * gross or loss > _DUST * sum_exactly(terms[:count], partials):
        return loss
    return 0.0


@literal_kernel
def _net_and_gross(
    rows: IntArray,
    quantities: FloatArray,
    coin: IntArray,
    delta: FloatArray,
    expiry: IntArray,
    c: int,
    expiries: FloatArray,
    partials: FloatArray,
) -> tuple[float, float]:
    """Return one coin's exposure, and the sum of its sizes expiry by expiry."""
    expiries[:] = 0.0
    for k in range(rows.size):
        row = rows[k]
        if coin[row] == c:
            expiries[expiry[row]] += quantities[k] * delta[row]
    net = sum_exactly(expiries, partials)
    for e in range(expiries.size):
        expiries[e] = abs(expiries[e])
    return net, sum_exactly(expiries, partials)


@literal_kernel
def _liquidity(rule: FloatArray, rates: FloatArray, size: float) -> tuple[float, float]:
    """Return the add-ons of liquidity and concentration."""
    volume = rule[0]
    if volume == 0.0:
        return 0.0, 0.0
    cost = size * (rule[2] + rule[3] * rule[1] * math.sqrt(size / volume))
    return cost, rates[4] * max(size - rates[3] * volume, 0.0)


@literal_kernel
def _position_value(
    rows: IntArray, quantities: FloatArray, unit_value: FloatArray, terms: FloatArray, partials: FloatArray
) -> float:
    """Return the USD value of what was paid for."""
    count = 0
    for k in range(rows.size):
        if unit_value[rows[k]] != 0.0:
            terms[count] = quantities[k] * unit_value[rows[k]]
            count += 1
    return sum_exactly(terms[:count], partials)


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
