"""Open orders by account, derived from the state: names in alphabetical order, and columns for the pre-trade check."""

from collections.abc import Iterator

import numpy as np

from crossmargin.engine.state import OpenOrder, State
from crossmargin.units import FloatArray, IntArray


class AccountOrders:
    """One account's open orders; columns stand in the order of names, so that sums come out the same after a restart."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, float, float]] = {}
        """Instrument, signed contracts and limit of every order."""
        self.reducing: set[str] = set()
        """Those that may only reduce a position."""
        self._sides: dict[str, list[int]] = {}

    @property
    def names(self) -> list[str]:
        """The orders in alphabetical order."""
        return sorted(self._open)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._open)

    def add(self, name: str, order: OpenOrder, terms: tuple[str, float, float]) -> None:
        """Take on an order: `terms` is what its columns say of it."""
        self._open[name] = terms
        if order.reduce_only:
            self.reducing.add(name)
        sides = self._sides.get(order.instrument)
        if sides is None:
            sides = self._sides[order.instrument] = [0, 0]
        sides[order.lots > 0] += order.lots

    def remove(self, name: str, order: OpenOrder) -> None:
        """Forget an order."""
        del self._open[name]
        if order.reduce_only:
            self.reducing.discard(name)
        self._sides[order.instrument][order.lots > 0] -= order.lots

    def resize(self, name: str, order: OpenOrder, change: int, size: float) -> None:
        """Note that an order's lots changed by `change` to `size` signed contracts."""
        instrument_id, _, price = self._open[name]
        self._open[name] = instrument_id, size, price
        self._sides[instrument_id][order.lots > 0] += change

    def same_side(self, instrument_id: str, lots: int) -> int:
        """Return the lots of a contract in orders on the side of `lots`."""
        sides = self._sides.get(instrument_id)
        return 0 if sides is None else sides[lots > 0]

    def columns(
        self, rows: dict[str, int], more: list[tuple[str, float, float]]
    ) -> tuple[IntArray, FloatArray, FloatArray]:
        """Return rows, signed contracts and limits, `more` at the end."""
        terms = [*(self._open[name] for name in sorted(self._open)), *more]
        instruments, sizes, prices = zip(*terms, strict=True) if terms else ((), (), ())
        return np.array([rows[name] for name in instruments], dtype=np.int64), np.array(sizes), np.array(prices)


class Resting:
    """The index of `State.orders`; every change of that goes through here."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._accounts: dict[str, AccountOrders] = {}
        for name, order in sorted(state.orders.items()):
            self.of(order.account).add(name, order, (order.instrument, self._size(order), float(order.price)))

    def of(self, account: str) -> AccountOrders:
        """Return the open orders of an account."""
        found = self._accounts.get(account)
        if found is None:
            found = self._accounts[account] = AccountOrders()
        return found

    def add(self, name: str, order: OpenOrder, terms: tuple[str, float, float]) -> None:
        """Open an order of `terms`: instrument, signed contracts and limit."""
        self._state.orders[name] = order
        self.of(order.account).add(name, order, terms)

    def remove(self, name: str) -> None:
        """Close an order."""
        order = self._state.orders.pop(name)
        self.of(order.account).remove(name, order)

    def fill(self, name: str, lots: int) -> None:
        """Fill `lots` (signed) of an order; one of which nothing is left is closed."""
        order = self._state.orders[name]
        if order.lots == lots:
            self.remove(name)
            return
        order.lots -= lots
        self.of(order.account).resize(name, order, -lots, self._size(order))

    def _size(self, order: OpenOrder) -> float:
        return float(order.lots * self._state.listings[order.instrument].lot_size)

    def violations(self, account: str) -> Iterator[str]:
        """Yield where the index of an account contradicts the state."""
        names, orders = self.of(account).names, self._state.orders
        total = sum(each.count for each in self._accounts.values())
        if total != len(orders):
            yield f"the index has {total} open orders, the state {len(orders)}"
        elif all(name in orders and orders[name].account == account for name in names):
            return  # with as many in all, none is missing here unless another account has one too many
        true = sorted(name for name, order in orders.items() if order.account == account)
        if true != names:
            yield f"open orders of {account} are {names} in the index and {true}"
