"""Open orders: the worst that could become of them.

Nobody knows which orders will fill, so a book needs enough margin for the worst subset. Up to twelve orders every
subset is tried. Beyond that a bound is used that no subset can exceed: in each scenario, exactly those fills happen
that lose.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Future, Perpetual
from crossmargin.margin.method import Component
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Balance, Order, Portfolio, Position
from crossmargin.pricing.valuation import unit_value, unrealised_profit
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import FloatArray

ENUMERATED = 12
"""Orders up to which every subset is tried: 4,096 of them."""


def with_fills(portfolio: Portfolio, orders: Iterable[Order], isolated_group: str | None = None) -> Portfolio:
    """Return `portfolio` after complete fills of `orders` at their prices, without any open orders.

    A future or perpetual enters at the order's price; an option or spot pair is paid for. A reduce-only order fills no
    further than to close what is held. What fills joins `isolated_group`, or the cross-margined part.
    """
    positions, balances = list(portfolio.positions), list(portfolio.balances)
    held: dict[str, float] = {}
    for position in positions:
        held[position.instrument.id] = held.get(position.instrument.id, 0.0) + position.quantity
    for order in orders:
        contract, quantity = order.instrument, order.signed_quantity
        before = held.get(contract.id, 0.0)
        if order.reduce_only:
            quantity = _reducing(quantity, before)
        if quantity == 0.0:
            continue
        held[contract.id] = before + quantity
        if isinstance(contract, Perpetual | Future):
            positions.append(
                Position(instrument=contract, quantity=quantity, entry_price=order.price, isolated_group=isolated_group)
            )
        else:
            positions.append(Position(instrument=contract, quantity=quantity, isolated_group=isolated_group))
            paid = quantity * contract.contract_size_float * order.price
            balances.append(Balance(currency=contract.settle, amount=-paid))
    return replace(portfolio, positions=tuple(positions), balances=tuple(balances), orders=())


def worst_subset(portfolio: Portfolio, deficit: Callable[[Portfolio], float]) -> tuple[float, tuple[Order, ...]]:
    """Return the largest ``deficit`` over every subset of fills, and that subset in the order of its fills.

    `deficit` is requirement less equity of a portfolio without open orders. The empty subset counts too. What a
    reduce-only order may close depends on what filled before it, so such orders are tried before and after the others.
    """
    best = deficit(with_fills(portfolio, ()))
    chosen: tuple[Order, ...] = ()
    for count in range(1, len(portfolio.orders) + 1):
        for subset in itertools.combinations(portfolio.orders, count):
            for sequence in fill_sequences(subset):
                found = deficit(with_fills(portfolio, sequence))
                if found > best:
                    best, chosen = found, sequence
    return best, chosen


def fill_sequences(orders: Iterable[Order]) -> list[tuple[Order, ...]]:
    """Return the orders in which fills are tried: reduce-only ones last, then first, each from either end of prices."""
    plain: list[Order] = []
    reducing: list[Order] = []
    for order in orders:
        (reducing if order.reduce_only else plain).append(order)
    if not reducing:
        return [tuple(plain)]
    rising = sorted(reducing, key=lambda order: order.price)
    closings = (rising,) if len(reducing) == 1 else (rising, rising[::-1])
    sequences = [(*plain, *closing) for closing in closings]
    return sequences + [(*closing, *plain) for closing in closings] if plain else sequences


def immediate_profits(portfolio: Portfolio, market: MarketSnapshot) -> FloatArray:
    """Return the change of mark-to-market wealth that each order's complete fill brings at once, USD, per order.

    Buying above the mark loses; a reduce-only order counts at its full size, which other fills may let it close.
    """
    profits = np.zeros(len(portfolio.orders))
    for place, order in enumerate(portfolio.orders):
        coins = _cash_flow(order, order.signed_quantity, market)
        value = order.signed_quantity * unit_value(order.instrument, market)
        profits[place] = coins * market.index_price(order.instrument.settle) + value
    return profits


def fill_profits(portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray) -> FloatArray:
    """Return what each order's complete fill would add to the book's profit in each scenario, USD.

    It is what the fill brings at once plus the profit of the new holding in the scenario.

    Returns
    -------
    array of shape (n_orders, n_scenarios)
    """
    rows = np.zeros((len(portfolio.orders), risk.scenarios.size))
    for place, (order, at_once) in enumerate(zip(portfolio.orders, immediate_profits(portfolio, market), strict=True)):
        contract, quantity = order.instrument, order.signed_quantity
        coins = _cash_flow(order, quantity, market)
        rows[place] = at_once + quantity * risk.row(contract.id) + coins * risk.row(contract.settle)
    return rows


def worst_fills_by_scenario(portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray) -> FloatArray:
    """Return the most that fills can lose in each scenario, as a profit (never above 0), shape (n_scenarios,).

    Adding it to the book's profits bounds every subset: each subset's profit lies above it in every scenario, and a
    measure that is monotone scenario by scenario (worst loss, expected shortfall) can only be larger. For the worst
    loss the bound is attained, since the maximum over subsets and the maximum over scenarios may change places.
    """
    return np.asarray(np.minimum(fill_profits(portfolio, market, risk), 0.0).sum(axis=0))


def _cash_flow(order: Order, quantity: float, market: MarketSnapshot) -> float:
    """Settlement coins that a fill moves: profit against the mark of a future, the price of an option or spot."""
    contract = order.instrument
    if isinstance(contract, Perpetual | Future):
        return unrealised_profit(Position(instrument=contract, quantity=quantity, entry_price=order.price), market)
    return -quantity * contract.contract_size_float * order.price


def _reducing(quantity: float, held: float) -> float:
    """The part of a fill of `quantity` that closes a holding of `held`."""
    if quantity * held >= 0.0:
        return 0.0
    return float(np.sign(quantity)) * min(abs(quantity), abs(held))


def subset_charge(portfolio: Portfolio, deficit: Callable[[Portfolio], float], method: str) -> Component:
    """Return what the worst subset of fills adds to `deficit`, at least 0, as a component of the initial requirement.

    Raises
    ------
    InputError
        Naming `method`, if there are more orders than every subset of which is tried.
    """
    if len(portfolio.orders) > ENUMERATED:
        raise InputError(f"{method} tries every subset of up to {ENUMERATED} orders, was given {len(portfolio.orders)}")
    added = 0.0
    if portfolio.orders:
        added = max(worst_subset(portfolio, deficit)[0] - deficit(replace(portfolio, orders=())), 0.0)
    return Component(name="open orders", amount=added, reason="the worst subset of fills")
