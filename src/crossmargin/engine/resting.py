"""Open orders by account, derived from the state: names in alphabetical order, and columns for the pre-trade check."""

from bisect import bisect_left
from collections.abc import Iterator

import numpy as np

from crossmargin.compilation import literal_kernel
from crossmargin.engine.state import OpenOrder, State
from crossmargin.units import FloatArray, IntArray


class AccountOrders:
    """One account's open orders; columns stand in the order of names, so that sums come out the same after a restart."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._instruments: list[str] = []
        self.reducing: set[str] = set()
        """Those that may only reduce a position."""
        self._sides: dict[str, list[int]] = {}
        self._sizes, self._prices = np.empty(8), np.empty(8)
        self._rows = np.empty(8, dtype=np.int64)
        self._numbers: dict[str, int] = {}
        self._shape: object = None
        """What `_numbers`, the rows of instruments, were taken from."""

    def add(self, name: str, order: OpenOrder, size: float) -> None:
        """Take on an order of `size` signed contracts."""
        place, count = bisect_left(self.names, name), len(self.names)
        self._make_room(count + 2)  # one for the order, one for a candidate
        row = self._numbers.get(order.instrument)
        if row is None:
            row, self._shape = 0, None
        _insert(self._rows, self._sizes, self._prices, count, place, row, size, float(order.price))
        self.names.insert(place, name)
        self._instruments.insert(place, order.instrument)
        if order.reduce_only:
            self.reducing.add(name)
        self._count(order, order.lots)

    def remove(self, name: str, order: OpenOrder) -> None:
        """Forget an order."""
        place, count = bisect_left(self.names, name), len(self.names)
        del self.names[place], self._instruments[place]
        _drop(self._rows, self._sizes, self._prices, count, place)
        self.reducing.discard(name)
        self._count(order, -order.lots)

    def resize(self, name: str, order: OpenOrder, change: int, size: float) -> None:
        """Note that an order's lots changed by `change` to `size` signed contracts."""
        self._sizes[bisect_left(self.names, name)] = size
        self._count(order, change)

    def same_side(self, instrument_id: str, lots: int) -> int:
        """Return the lots of a contract in orders on the side of `lots`."""
        sides = self._sides.get(instrument_id)
        return 0 if sides is None else sides[lots > 0]

    def columns(
        self, rows: dict[str, int], shape: object, more: list[tuple[str, float, float]]
    ) -> tuple[IntArray, FloatArray, FloatArray]:
        """Return rows, signed contracts and limits, `more` at the end.

        `shape` is the same object as long as `rows` are the same.
        """
        count = len(self.names)
        self._make_room(count + len(more))
        if self._shape is not shape:
            self._rows[:count] = [rows[name] for name in self._instruments]
            self._shape, self._numbers = shape, rows
        for place, (name, size, price) in enumerate(more, start=count):
            self._rows[place], self._sizes[place], self._prices[place] = rows[name], size, price
        count += len(more)
        return self._rows[:count], self._sizes[:count], self._prices[:count]

    def _count(self, order: OpenOrder, change: int) -> None:
        self._sides.setdefault(order.instrument, [0, 0])[order.lots > 0] += change

    def _make_room(self, wanted: int) -> None:
        if wanted > self._rows.size:
            self._rows = np.resize(self._rows, 2 * wanted)
            self._sizes, self._prices = np.resize(self._sizes, 2 * wanted), np.resize(self._prices, 2 * wanted)


@literal_kernel
def _insert(
    rows: IntArray, sizes: FloatArray, prices: FloatArray, count: int, place: int, row: int, size: float, price: float
) -> None:
    for k in range(count, place, -1):
        rows[k], sizes[k], prices[k] = rows[k - 1], sizes[k - 1], prices[k - 1]
    rows[place], sizes[place], prices[place] = row, size, price


@literal_kernel
def _drop(rows: IntArray, sizes: FloatArray, prices: FloatArray, count: int, place: int) -> None:
    for k in range(place, count - 1):
        rows[k], sizes[k], prices[k] = rows[k + 1], sizes[k + 1], prices[k + 1]


class Resting:
    """The index of `State.orders`; every change of that goes through here."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._accounts: dict[str, AccountOrders] = {}
        for name, order in sorted(state.orders.items()):
            self.of(order.account).add(name, order, self._size(order))

    def of(self, account: str) -> AccountOrders:
        """Return the open orders of an account."""
        found = self._accounts.get(account)
        if found is None:
            found = self._accounts[account] = AccountOrders()
        return found

    def add(self, name: str, order: OpenOrder, size: float) -> None:
        """Open an order of `size` signed contracts."""
        self._state.orders[name] = order
        self.of(order.account).add(name, order, size)

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
        true = sorted(name for name, order in self._state.orders.items() if order.account == account)
        if true != self.of(account).names:
            yield f"open orders of {account} are {self.of(account).names} in the index and {true}"
        total = sum(len(each.names) for each in self._accounts.values())
        if total != len(self._state.orders):
            yield f"the index has {total} open orders, the state {len(self._state.orders)}"
