"""One account's book as calculations see it: balances, positions and open orders."""

import enum
import math
from dataclasses import dataclass

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Contract, Future, Perpetual, Spot
from crossmargin.units import SMALLEST_PRICE, AccountId, Currency, Venue


class Side(enum.Enum):
    """Direction of an order."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 to buy, -1 to sell."""
        return 1 if self is Side.BUY else -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """An amount of one currency; negative is borrowed."""

    currency: Currency
    amount: float
    venue: Venue | None = None
    chain: str | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.amount):
            raise InputError(f"a balance must be finite, was {self.amount} {self.currency}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A signed number of contracts; long > 0, short < 0.

    `entry_price` is in the quote currency (options: settlement currency). Without it the position is taken as entered
    at its mark, so that it has no unrealised profit. Positions with the same `isolated_group` share ring-fenced
    collateral.
    """

    instrument: Contract
    quantity: float
    entry_price: float | None = None
    isolated_group: str | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.quantity):
            raise InputError(f"a quantity must be finite, was {self.quantity} of {self.instrument.id}")
        price = self.entry_price
        if price is not None and not (math.isfinite(price) and price >= 0.0):
            raise InputError(f"an entry price must be finite and not negative, was {price} for {self.instrument.id}")
        if price is not None and price < SMALLEST_PRICE and isinstance(self.instrument, Perpetual | Future | Spot):
            raise InputError(f"an entry price must be positive, was {price:g} for {self.instrument.id}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An open order; `quantity` is a positive number of contracts."""

    instrument: Contract
    side: Side
    quantity: float
    price: float
    reduce_only: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.quantity) and self.quantity > 0.0):
            raise InputError(f"an order's quantity must be positive, was {self.quantity} of {self.instrument.id}")
        if not (math.isfinite(self.price) and self.price >= SMALLEST_PRICE):
            raise InputError(f"an order's price must be positive, was {self.price} for {self.instrument.id}")

    @property
    def signed_quantity(self) -> float:
        """Contracts that a complete fill adds to the position."""
        return self.side.sign * self.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """The balances, positions and open orders of one account, in one canonical order.

    However a book lists its lots, sums over them run in the same order and come out the same to the last bit.
    """

    account: AccountId
    balances: tuple[Balance, ...] = ()
    positions: tuple[Position, ...] = ()
    orders: tuple[Order, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "balances", tuple(sorted(self.balances, key=_balance_order)))
        object.__setattr__(self, "positions", tuple(sorted(self.positions, key=_position_order)))
        object.__setattr__(self, "orders", tuple(sorted(self.orders, key=_order_order)))


def _balance_order(balance: Balance) -> tuple[str, str, str, float]:
    return balance.currency, balance.venue or "", balance.chain or "", balance.amount


def _position_order(position: Position) -> tuple[str, str, float, float]:
    entry = -1.0 if position.entry_price is None else position.entry_price
    return position.instrument.id, position.isolated_group or "", position.quantity, entry


def _order_order(order: Order) -> tuple[str, str, float, float, bool]:
    return order.instrument.id, order.side.value, order.price, order.quantity, order.reduce_only
