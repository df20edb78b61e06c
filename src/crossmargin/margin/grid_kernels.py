"""Kernels of `scenario_grid` on columns: one book, and what its margin is made of; `grid_slices` margins many.

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
DUST = 1e-9


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
    floats, integers = _room(grid, rows.size)
    _margin(grid, rows, quantities, cash, out, floats, integers)


@literal_kernel
def _room(grid: GridColumns, most: int) -> tuple[FloatArray, IntArray]:
    """Return arrays to work in, for books of at most so many positions."""
    n = grid.index_price.size
    floats = grid.pnl.shape[1] + grid.n_expiries + PARTIALS + 10 * n + grid.offset_credits.size + 2 * (most + 1) + 1
    return np.empty(floats), np.empty(most + 1 + n, dtype=np.int64)


@literal_kernel
def _margin(
    grid: GridColumns,
    rows: IntArray,
    quantities: FloatArray,
    cash: FloatArray,
    out: FloatArray,
    floats: FloatArray,
    integers: IntArray,
) -> None:
    """Write the figures of one book; `floats` and `integers` are to work in."""
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
    n_scenarios, n_expiries, more = pnl.shape[1], grid.n_expiries, grid.offset_credits.size
    vector, rest = floats[:n_scenarios], floats[n_scenarios:]
    expiries, partials, rest = (
        rest[:n_expiries],
        rest[n_expiries : n_expiries + PARTIALS],
        rest[n_expiries + PARTIALS :],
    )
    hedging, scans, deltas = rest[:n_currencies], rest[n_currencies : 2 * n_currencies], rest[2 * n_currencies :]
    parts, rest = rest[3 * n_currencies :], rest[8 * n_currencies + more :]
    own, terms = rest[: rows.size + 1], rest[rows.size + 1 :]
    own_rows, present = integers[: rows.size + 1], integers[rows.size + 1 :]
    for c in range(n_currencies):
        hedging[c], scans[c], deltas[c], present[c] = 0.0, 0.0, 0.0, 0
    count, extra = 0, 0.0
    for k in range(rows.size):
        present[coin[rows[k]]] = 1
        extra += abs(quantities[k]) * add_on[rows[k]]
    for c in range(n_currencies):
        asset = grid.asset_row[c]
        if not grid.is_dollar[c] and cash[c] != 0.0:
            hedging[c] = cash[c]
            if cash[c] > 0.0:
                exposed = exposure(rows, quantities, coin, delta, c, 0.0, asset, terms, partials)
                hedging[c] = min(cash[c], max(-exposed, 0.0) / index_price[c])
        if present[c] == 0 and hedging[c] == 0.0:
            continue
        present[c] = 1
        held = with_coins(rows, quantities, coin, c, hedging[c], asset, own_rows, own)
        add_rows(own_rows, own, held, pnl, vector)
        short = short_coins(own_rows, own, held, kind, contract_size, terms, partials)
        scan = worst_loss(own_rows, own, held, pnl, terms, partials, vector)
        scans[c] = scan
        parts[count] = scan
        parts[count + 1] = max(scan, rates[1] * index_price[c] * short) - scan
        net, gross = _net_and_gross(rows, quantities, coin, delta, expiry, c, expiries, partials)
        parts[count + 2] = rates[2] * (gross - abs(net))
        parts[count + 3], parts[count + 4] = liquidity_add_ons(grid.liquidity[c], rates, abs(net))
        count += 5
        if grid.offset_credits.size:
            deltas[c] = exposure(rows, quantities, coin, delta, c, hedging[c], asset, terms, partials)
    for o in range(grid.offset_credits.size):
        first, second = grid.offset_pairs[o, 0], grid.offset_pairs[o, 1]
        if present[first] == 1 and present[second] == 1 and deltas[first] * deltas[second] < 0.0:
            matched = min(scans[first], scans[second])
            scans[first] -= matched
            scans[second] -= matched
            parts[count] = -(2.0 * matched * grid.offset_credits[o])
            count += 1
    total = sum_exactly(parts[:count], partials)
    out[INITIAL] = total + extra
    out[MAINTENANCE] = rates[0] * total
    value = position_value(rows, quantities, unit_value, terms, partials)
    for c in range(n_currencies):
        terms[c] = cash[c] * index_price[c]
    out[WORTH] = sum_exactly(terms[:n_currencies], partials) + value
    collateral(cash, hedging, index_price, grid.numeraire, grid.tier_first, grid.haircut, grid.up_to, terms)
    terms[2 * n_currencies] = value
    out[EQUITY] = sum_exactly(terms[: 2 * n_currencies + 1], partials)


@literal_kernel
def exposure(
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
def with_coins(
    rows: IntArray,
    quantities: FloatArray,
    coin: IntArray,
    c: int,
    coins: float,
    asset: int,
    own_rows: IntArray,
    own: FloatArray,
) -> int:
    """Write one coin's positions and hedging coins, in the order of rows, to `own_rows` and `own`; return their number."""
    waiting, count = coins != 0.0, 0
    for k in range(rows.size):
        row = rows[k]
        if coin[row] != c:
            continue
        if waiting and asset < row:
            own_rows[count], own[count] = asset, coins
            waiting, count = False, count + 1
        own_rows[count], own[count] = row, quantities[k]
        count += 1
    if waiting:
        own_rows[count], own[count] = asset, coins
        count += 1
    return count


@literal_kernel
def add_rows(rows: IntArray, quantities: FloatArray, count: int, pnl: FloatArray, vector: FloatArray) -> None:
    """Write the profit of `count` positions per scenario, added one after the other, to `vector`."""
    vector[:] = 0.0
    add_more_rows(rows, quantities, count, pnl, vector)


@literal_kernel
def add_more_rows(rows: IntArray, quantities: FloatArray, count: int, pnl: FloatArray, vector: FloatArray) -> None:
    """Add the profit of `count` positions per scenario, one after the other, to `vector`."""
    k = 0
    while k + 4 <= count:
        q0, q1, q2, q3 = quantities[k], quantities[k + 1], quantities[k + 2], quantities[k + 3]
        r0, r1, r2, r3 = pnl[rows[k]], pnl[rows[k + 1]], pnl[rows[k + 2]], pnl[rows[k + 3]]
        for s in range(vector.size):
            x = vector[s] + q0 * r0[s]
            x = x + q1 * r1[s]
            x = x + q2 * r2[s]
            vector[s] = x + q3 * r3[s]
        k += 4
    while k < count:
        q, row = quantities[k], pnl[rows[k]]
        for s in range(vector.size):
            vector[s] += q * row[s]
        k += 1


@literal_kernel
def short_coins(
    rows: IntArray,
    quantities: FloatArray,
    count: int,
    kind: IntArray,
    contract_size: FloatArray,
    terms: FloatArray,
    partials: FloatArray,
) -> float:
    """Return the coins in short options."""
    shorts = 0
    for k in range(count):
        if quantities[k] < 0.0 and kind[rows[k]] == OPTION:
            terms[shorts] = -quantities[k] * contract_size[rows[k]]
            shorts += 1
    return sum_exactly(terms[:shorts], partials)


@literal_kernel
def worst_loss(
    rows: IntArray,
    quantities: FloatArray,
    count: int,
    pnl: FloatArray,
    terms: FloatArray,
    partials: FloatArray,
    vector: FloatArray,
) -> float:
    """Return the largest loss of `vector`, or 0 if it is but the rounding of a perfect hedge."""
    lowest = least(vector)
    loss = max(-lowest, 0.0)
    if loss == 0.0:
        return 0.0
    worst, gross = 0, 0.0
    while vector[worst] != lowest:
        worst += 1
    for k in range(count):
        terms[k] = abs(quantities[k] * pnl[rows[k], worst])
        gross += terms[k]
    # only near the edge does the rounding of the gross decide
    if loss > 2.0 * DUST * gross or loss > DUST * sum_exactly(terms[:count], partials):
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
def liquidity_add_ons(rule: FloatArray, rates: FloatArray, size: float) -> tuple[float, float]:
    """Return the add-ons of liquidity and concentration."""
    volume = rule[0]
    if volume == 0.0:
        return 0.0, 0.0
    cost = size * (rule[2] + rule[3] * rule[1] * math.sqrt(size / volume))
    return cost, rates[4] * max(size - rates[3] * volume, 0.0)


@literal_kernel
def position_value(
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
def collateral(
    cash: FloatArray,
    hedging: FloatArray,
    index_price: FloatArray,
    numeraire: int,
    tier_first: IntArray,
    haircut: FloatArray,
    up_to: FloatArray,
    terms: FloatArray,
) -> None:
    """Write what each currency counts for to `terms`: coins in the risk array in full, the rest after haircut."""
    for c in range(cash.size):
        terms[2 * c] = hedging[c] * index_price[c]
        rest = (cash[c] - hedging[c]) * index_price[c]
        terms[2 * c + 1] = rest if c == numeraire else credit_of(rest, tier_first[c], tier_first[c + 1], haircut, up_to)


@literal_kernel
def credit_of(value: float, first: int, last: int, haircut: FloatArray, up_to: FloatArray) -> float:
    """Return what `value` USD of a currency counts for after the haircut tiers `first` up to `last`."""
    if value <= 0.0:
        return value
    credit, floor = 0.0, 0.0
    for tier in range(first, last):
        end = min(value, up_to[tier])
        credit += (1.0 - haircut[tier]) * max(end - floor, 0.0)
        floor = end
    return credit
