"""What open orders could make of a book under `scenario_grid`: the worst subset of fills, exact or bounded, compiled.

`margin.open_orders` says why. A bound that no subset exceeds comes first, and mostly suffices to accept; up to
`ENUMERATED` orders every subset is margined otherwise. A fill changes a book as the clearing house books it: a future
enters at its mark and pays the difference in its settlement coin, an option is paid for, coins of a spot pair change
hands.
"""

import numpy as np

from crossmargin.compilation import literal_kernel
from crossmargin.margin.grid_columns import INVERSE, LINEAR, OPTION, SPOT, GridColumns
from crossmargin.margin.grid_kernels import EQUITY, INITIAL, add_more_rows, credit_of, margin_book
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
    cash[grid.settle[row]] += _paid(grid.kind[row], grid.mark[row], size, price)
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
def _paid(kind: int, mark: float, size: float, price: float) -> float:
    """Return the settlement coins that a fill of `size` brings at once."""
    if kind == LINEAR:
        return size * (mark - price)
    if kind == INVERSE:
        return size * (1.0 / price - 1.0 / mark)
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
    exposures = np.empty(grid.index_price.size + 2)
    return deficit_and_exposures(grid, rows, quantities, cash, trusted, orders, sizes, prices, exposures)


@literal_kernel
def deficit_and_exposures(
    grid: GridColumns,
    rows: IntArray,
    quantities: FloatArray,
    cash: FloatArray,
    trusted: BoolArray,
    orders: IntArray,
    sizes: FloatArray,
    prices: FloatArray,
    exposures: FloatArray,
) -> float:
    """Return the same, and write the gross delta per coin that fills can reach, in USD, to `exposures`.

    After them stand the sum of all amounts in the bound, against which its rounding is to be judged, and the bound.
    """
    exposures[:] = 0.0
    coin, kind, settle, pnl, delta = grid.coin, grid.kind, grid.settle, grid.pnl, grid.delta
    contract_size, mark, unit_value, add_on = grid.contract_size, grid.mark, grid.unit_value, grid.add_on
    index_price, is_dollar, asset_row = grid.index_price, grid.is_dollar, grid.asset_row
    tier_first, haircut, up_to = grid.tier_first, grid.haircut, grid.up_to
    concerned = np.zeros(index_price.size, dtype=np.bool_)
    vector, expiries = np.empty(pnl.shape[1]), np.empty(grid.n_expiries)
    at_once, coins = np.empty(orders.size), np.empty(orders.size)
    total, value, gross = 0.0, 0.0, 0.0
    for k in range(rows.size):
        row = rows[k]
        concerned[coin[row]] = True
        total += abs(quantities[k]) * add_on[row]
        value += quantities[k] * unit_value[row]
        gross += abs(quantities[k] * unit_value[row])
    for o in range(orders.size):
        row = orders[o]
        concerned[coin[row]] = True
        size, price = contract_size[row] * sizes[o], index_price[settle[row]]
        coins[o] = _paid(kind[row], mark[row], size, prices[o])
        at_once[o] = coins[o] * price + sizes[o] * unit_value[row]
        total += abs(sizes[o]) * add_on[row]
        # what a fill pays or earns may count for less, or for nothing, once it is another coin
        total += (
            abs(coins[o]) * price if kind[row] != SPOT else abs(size) * (prices[o] * price + index_price[coin[row]])
        )
    for c in range(index_price.size):
        has_coins = cash[c] != 0.0 and not is_dollar[c]
        if trusted[c] or cash[c] < 0.0:
            credit = cash[c] * index_price[c]
            if c != grid.numeraire:
                credit = credit_of(credit, tier_first[c], tier_first[c + 1], haircut, up_to)
            value += credit
            gross += abs(credit)
        if not concerned[c] and not has_coins:
            continue
        vector[:] = 0.0
        if has_coins:
            _add_losses(vector, 0.0, cash[c], pnl, asset_row[c])
        short, exposure = _positions_of(
            rows, quantities, coin, kind, contract_size, pnl, delta, grid.expiry, c, vector, expiries
        )
        lost = 0.0
        for o in range(orders.size):
            row = orders[o]
            if coin[row] != c:
                continue
            lost -= min(at_once[o], 0.0)
            exposure += abs(sizes[o] * delta[row])
            if kind[row] == OPTION and sizes[o] < 0.0:
                short -= sizes[o] * contract_size[row]
            if is_dollar[settle[row]]:
                _add_losses(vector, at_once[o], sizes[o], pnl, row)
            else:
                _add_both_losses(vector, at_once[o], sizes[o], row, coins[o], asset_row[settle[row]], pnl)
        total += max(max(-least(vector), 0.0), grid.rates[1] * index_price[c] * short + lost)
        total += _add_on_bound(grid.liquidity[c], grid.rates, exposure)
        exposures[c] = exposure
    exposures[index_price.size] = gross + total
    exposures[index_price.size + 1] = total - value + _ROOM * (gross + total)
    return float(total - value + _ROOM * (gross + total))


@literal_kernel
def _positions_of(
    rows: IntArray,
    quantities: FloatArray,
    coin: IntArray,
    kind: IntArray,
    contract_size: FloatArray,
    pnl: FloatArray,
    delta: FloatArray,
    expiry: IntArray,
    c: int,
    vector: FloatArray,
    expiries: FloatArray,
) -> tuple[float, float]:
    """Add a coin's positions to `vector`; return the coins in short options and the gross delta over expiries."""
    short, gross, count = 0.0, 0.0, 0
    expiries[:] = 0.0
    own, held = np.empty(rows.size, dtype=np.int64), np.empty(rows.size)
    for k in range(rows.size):
        row, quantity = rows[k], quantities[k]
        if coin[row] != c:
            continue
        own[count], held[count] = row, quantity
        count += 1
        expiries[expiry[row]] += quantity * delta[row]
        if kind[row] == OPTION and quantity < 0.0:
            short -= quantity * contract_size[row]
    add_more_rows(own, held, count, pnl, vector)
    for e in range(expiries.size):
        gross += abs(expiries[e])
    return short, gross


@literal_kernel
def _add_losses(vector: FloatArray, at_once: float, quantity: float, pnl: FloatArray, row: int) -> None:
    """Add what a fill loses in each scenario, if it does."""
    for s in range(vector.size):
        profit = at_once + quantity * pnl[row, s]
        vector[s] += profit if profit < 0.0 else 0.0


@literal_kernel
def _add_both_losses(
    vector: FloatArray, at_once: float, quantity: float, row: int, coins: float, asset: int, pnl: FloatArray
) -> None:
    """Add what a fill loses in each scenario where it pays in a coin that moves."""
    for s in range(vector.size):
        profit = at_once + quantity * pnl[row, s] + coins * pnl[asset, s]
        vector[s] += profit if profit < 0.0 else 0.0


@literal_kernel
def _add_on_bound(rule: FloatArray, rates: FloatArray, exposure: float) -> float:
    bound = rates[2] * exposure
    if rule[0] > 0.0:
        bound += exposure * (rule[2] + rule[3] * rule[1] * np.sqrt(exposure / rule[0]))
        bound += rates[4] * max(exposure - rates[3] * rule[0], 0.0)
    return float(bound)
