"""What open orders could make of a book under `scenario_grid`: the worst subset of fills, exact or bounded, compiled.

`margin.open_orders` says why. A bound that no subset exceeds comes first, and mostly suffices to accept; up to
`ENUMERATED` orders every subset is margined otherwise. A fill changes a book as the clearing house books it: a future
enters at its mark and pays the difference in its settlement coin, an option is paid for, coins of a spot pair change
hands.
"""

import numpy as np

from crossmargin.compilation import literal_kernel
from crossmargin.margin.grid_columns import INVERSE, LINEAR, OPTION, SPOT, GridColumns
from crossmargin.margin.grid_kernels import EQUITY, INITIAL, credit_of, margin_book
from crossmargin.risk.kernels import least
from crossmargin.units import BoolArray, FloatArray, IntArray

_FLAT = 1e-12
"""A position of fewer contracts is none."""
_ROOM = 1e-9
"""Share of all amounts in the bound that is added to it, more than rounding can take away."""


@literal_kernel
def worst_subset_deficit(
    grid: GridColumns,
    rows: IntArray,
    quantities: FloatArray,
    cash: FloatArray,
    trusted: BoolArray,
    orders: IntArray,
    sizes: FloatArray,
    prices: FloatArray,
    enough: float,
) -> float:
    """Return the largest initial margin less equity over every subset of fills, or the first one above `enough`.

    Parameters
    ----------
    trusted : array of shape (n_currencies,)
        Whether coins that the account has may back new risk; those that it owes always count.
    orders, sizes, prices : arrays of shape (n_orders,)
        Rows, signed contracts and limits.
    """
    worst = -np.inf
    held, what, coins = (
        np.empty(rows.size + orders.size, dtype=np.int64),
        np.empty(rows.size + orders.size),
        cash.copy(),
    )
    out = np.empty(4)
    # everything filled comes first: most often it is the worst
    for subset in range((1 << orders.size) - 1, -1, -1):
        count = rows.size
        held[:count], what[:count], coins[:] = rows, quantities, cash
        for o in range(orders.size):
            if subset >> o & 1:
                count = fill(grid, held, what, count, coins, orders[o], sizes[o], prices[o])
        margin_book(grid, held[:count], what[:count], coins, out)
        initial, all_trusted = out[INITIAL], True
        for c in range(coins.size):
            if coins[c] > 0.0 and not trusted[c]:
                coins[c], all_trusted = 0.0, False
        if not all_trusted:
            margin_book(grid, held[:count], what[:count], coins, out)
        worst = max(worst, initial - out[EQUITY])
        if worst > enough:
            break
    return worst


@literal_kernel
def fill(
    grid: GridColumns,
    rows: IntArray,
    quantities: FloatArray,
    count: int,
    cash: FloatArray,
    row: int,
    quantity: float,
    price: float,
) -> int:
    """Change a book as a fill would, in place; return its number of positions. There must be room for one more."""
    size = grid.contract_size[row] * quantity
    if grid.kind[row] == SPOT:
        cash[grid.coin[row]] += size
        cash[grid.settle[row]] -= size * price
        return count
    cash[grid.settle[row]] += _paid(grid, row, size, price)
    k = 0
    while k < count and rows[k] < row:
        k += 1
    if k < count and rows[k] == row:
        left = quantities[k] + quantity
        if abs(left) >= _FLAT:
            quantities[k] = left
            return count
        for j in range(k, count - 1):
            rows[j], quantities[j] = rows[j + 1], quantities[j + 1]
        return count - 1
    for j in range(count, k, -1):
        rows[j], quantities[j] = rows[j - 1], quantities[j - 1]
    rows[k], quantities[k] = row, quantity
    return count + 1


@literal_kernel
def _paid(grid: GridColumns, row: int, size: float, price: float) -> float:
    """Return the settlement coins that a fill of `size` brings at once."""
    if grid.kind[row] == LINEAR:
        return float(size * (grid.mark[row] - price))
    if grid.kind[row] == INVERSE:
        return float(size * (1.0 / price - 1.0 / grid.mark[row]))
    return -size * price


@literal_kernel
def deficit_bound(
    grid: GridColumns,
    rows: IntArray,
    quantities: FloatArray,
    cash: FloatArray,
    trusted: BoolArray,
    orders: IntArray,
    sizes: FloatArray,
    prices: FloatArray,
) -> float:
    """Return initial margin less equity that no subset of fills exceeds; the parameters are as above.

    Coin by coin and scenario by scenario those fills happen that lose, and as much of each coin balance counts as hedge
    as loses most. Offsets are given up, coins are haircut in full, add-ons take the gross of what fills can reach.
    """
    n_currencies, n_scenarios = grid.index_price.size, grid.pnl.shape[1]
    concerned = np.zeros(n_currencies, dtype=np.bool_)
    for k in range(rows.size):
        concerned[grid.coin[rows[k]]] = True
    for o in range(orders.size):
        concerned[grid.coin[orders[o]]] = True
    vector = np.empty(n_scenarios)
    total = 0.0
    for c in range(n_currencies):
        has_coins = cash[c] != 0.0 and not grid.is_dollar[c]
        if not concerned[c] and not has_coins:
            continue
        for s in range(n_scenarios):
            vector[s] = 0.0
        if has_coins:
            _add_losses(vector, 0.0, cash[c], grid.pnl[grid.asset_row[c]])
        short, gross = _positions_of(grid, rows, quantities, c, vector)
        lost = 0.0
        for o in range(orders.size):
            row = orders[o]
            if grid.coin[row] != c:
                continue
            lost += _order_losses(grid, row, sizes[o], prices[o], vector)
            gross += abs(sizes[o] * grid.delta[row])
            if grid.kind[row] == OPTION and sizes[o] < 0.0:
                short -= sizes[o] * grid.contract_size[row]
        total += max(max(-least(vector), 0.0), grid.rates[1] * grid.index_price[c] * short + lost)
        total += _add_on_bound(grid, c, gross)
    return _less_credit(grid, rows, quantities, cash, trusted, orders, sizes, prices, total)


@literal_kernel
def _positions_of(
    grid: GridColumns, rows: IntArray, quantities: FloatArray, c: int, vector: FloatArray
) -> tuple[float, float]:
    """Add a coin's positions to `vector`; return the coins in short options and the gross delta over expiries."""
    short = 0.0
    expiries = np.zeros(grid.n_expiries)
    for k in range(rows.size):
        row, quantity = rows[k], quantities[k]
        if grid.coin[row] != c:
            continue
        profits = grid.pnl[row]
        for s in range(vector.size):
            vector[s] += quantity * profits[s]
        expiries[grid.expiry[row]] += quantity * grid.delta[row]
        if grid.kind[row] == OPTION and quantity < 0.0:
            short -= quantity * grid.contract_size[row]
    return short, float(np.abs(expiries).sum())


@literal_kernel
def _order_losses(grid: GridColumns, row: int, quantity: float, price: float, vector: FloatArray) -> float:
    """Add what an order loses in each scenario, if it does, to `vector`; return what its fill loses at once."""
    settle = grid.settle[row]
    coins = _paid(grid, row, grid.contract_size[row] * quantity, price)
    at_once = coins * grid.index_price[settle] + quantity * grid.unit_value[row]
    if grid.is_dollar[settle]:
        _add_losses(vector, at_once, quantity, grid.pnl[row])
    else:
        both = quantity * grid.pnl[row] + coins * grid.pnl[grid.asset_row[settle]]
        _add_losses(vector, at_once, 1.0, both)
    return float(-min(at_once, 0.0))


@literal_kernel
def _add_losses(vector: FloatArray, at_once: float, quantity: float, profits: FloatArray) -> None:
    for s in range(vector.size):
        profit = at_once + quantity * profits[s]
        vector[s] += profit if profit < 0.0 else 0.0


@literal_kernel
def _add_on_bound(grid: GridColumns, c: int, gross: float) -> float:
    volume, vol, half_spread, impact = grid.liquidity[c]
    bound = grid.rates[2] * gross
    if volume > 0.0:
        bound += gross * (half_spread + impact * vol * np.sqrt(gross / volume))
        bound += grid.rates[4] * max(gross - grid.rates[3] * volume, 0.0)
    return float(bound)


@literal_kernel
def _less_credit(
    grid: GridColumns,
    rows: IntArray,
    quantities: FloatArray,
    cash: FloatArray,
    trusted: BoolArray,
    orders: IntArray,
    sizes: FloatArray,
    prices: FloatArray,
    total: float,
) -> float:
    """Return `total` less what the book counts for, with what fills can lose to haircuts and add to add-ons."""
    for k in range(rows.size):
        total += abs(quantities[k]) * grid.add_on[rows[k]]
    for o in range(orders.size):
        row = orders[o]
        size = grid.contract_size[row] * sizes[o]
        total += abs(sizes[o]) * grid.add_on[row]
        total += abs(_paid(grid, row, size, prices[o])) * grid.index_price[grid.settle[row]]
        if grid.kind[row] == SPOT:
            total += abs(size) * grid.index_price[grid.coin[row]]
    value = 0.0
    gross = total
    for k in range(rows.size):
        value += quantities[k] * grid.unit_value[rows[k]]
        gross += abs(quantities[k] * grid.unit_value[rows[k]])
    for c in range(cash.size):
        if trusted[c] or cash[c] < 0.0:
            credit = credit_of(grid, c, cash[c])
            value += credit
            gross += abs(credit)
    return total - value + _ROOM * gross
