"""What the engine does not keep: orders with their times, labels and fills, and trades, told by its events.

It is built from the events that the writer has published since the process started, before they are passed by newer
ones. An order that is older stands in the engine; its label and its times are not known any more.
"""

from collections import deque
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from crossmargin.engine import commands as ask
from crossmargin.engine import events as happened
from crossmargin.engine.engine import Engine
from crossmargin.service.deribit.quotes import Quotes, quotes
from crossmargin.service.writer import Published, Writer

FOLLOWED_EVERY = 200
"""Events after which they are taken in though nobody asks: a millisecond's work, while the writer keeps far more of them."""
MOST_ORDERS = 100_000
MOST_TRADES = 100_000
MOST_TRADES_IN_ONE = 10_000
DAY_MS = 86_400_000


class OrderHistory(msgspec.Struct, kw_only=True, gc=False):
    """An order from its acceptance to its end; amounts are contracts."""

    order_id: str
    account: str
    instrument: str
    side: str
    quantity: Decimal
    price: Decimal
    reduce_only: bool
    created_ms: int
    updated_ms: int
    label: str = ""
    post_only: bool = False
    state: str = "open"
    filled: Decimal = Decimal(0)
    paid: Decimal = Decimal(0)
    """Sum of quantity times price over the fills."""

    @property
    def average_price(self) -> float:
        """Mean price of the fills; 0 without any."""
        return float(self.paid / self.filled) if self.filled else 0.0


class TradeHistory(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A trade between two accounts."""

    sequence: int
    time_ms: int
    buyer: str
    seller: str
    instrument: str
    quantity: Decimal
    price: Decimal
    taker: str | None
    orders: dict[str, str]
    """Account to order id."""


class History:
    """Orders and trades by what was published; `follow` brings it up to date."""

    def __init__(self) -> None:
        self.orders: dict[str, OrderHistory] = {}
        self.trades: deque[TradeHistory] = deque(maxlen=MOST_TRADES)
        self.trades_in: dict[str, deque[TradeHistory]] = {}
        """The same by instrument."""
        self.funding: dict[str, float] = {}
        """Rate that was applied last, by instrument."""
        self.settled: dict[str, float] = {}
        """Mark at which variation was settled last, by instrument."""
        self.notes: dict[str, tuple[str, bool]] = {}
        """Label and whether it may only make, by order id; told before the order is."""
        self._seen = -1
        self._quotes: Quotes | None = None

    def follow(self, published: deque[Published]) -> list[Published]:
        """Take in what is new, and return it; the writer's lock must be held."""
        new: list[Published] = []
        for item in reversed(published):
            if item.sequence <= self._seen:
                break
            new.append(item)
        new.reverse()
        for item in new:
            self._take(item)
            self._seen = item.sequence
        return new

    def keep_up(self, writer: Writer) -> None:
        """Take in what would else be passed by newer events; to be called after every batch."""
        if writer.sequence - self._seen >= FOLLOWED_EVERY:
            with writer.lock:
                self.follow(writer.published)

    def begin(self, engine: Engine) -> None:
        """Note the orders that are open already, so that their end is told of too."""
        for order_id in engine.state.orders:
            found = self.order(engine, order_id)
            if found is not None:
                self.orders.setdefault(order_id, found)

    def order(self, engine: Engine, order_id: str) -> OrderHistory | None:
        """Return an order, also one that is older than this process."""
        known = self.orders.get(order_id)
        open_order = engine.state.orders.get(order_id)
        if known is not None or open_order is None:
            return known
        lot = engine.state.listings[open_order.instrument].lot_size
        return OrderHistory(
            order_id=order_id,
            account=open_order.account,
            instrument=open_order.instrument,
            side="buy" if open_order.lots > 0 else "sell",
            quantity=abs(open_order.lots) * lot,
            price=open_order.price,
            reduce_only=open_order.reduce_only,
            created_ms=0,
            updated_ms=0,
        )

    def open_orders(self, engine: Engine, account: str) -> Iterator[OrderHistory]:
        """Yield the open orders of an account."""
        for order_id, order in sorted(engine.state.orders.items()):
            if order.account == account:
                found = self.order(engine, order_id)
                if found is not None:
                    yield found

    def quotes(self, engine: Engine) -> Quotes:
        """Return books and open interest as they are now; they are computed once per change of the engine."""
        if self._quotes is None or self._quotes.sequence != engine.state.sequence:
            self._quotes = quotes(engine)
        return self._quotes

    def last_price(self, instrument: str) -> float | None:
        """Return the price of the last trade; None without any."""
        trades = self.trades_in.get(instrument)
        return float(trades[-1].price) if trades else None

    def day_of_trades(self, instrument: str, now_ms: int) -> list[TradeHistory]:
        """Return the trades of the last 24 hours, the oldest first."""
        found: list[TradeHistory] = []
        for trade in reversed(self.trades_in.get(instrument, ())):
            if trade.time_ms < now_ms - DAY_MS:
                break
            found.append(trade)
        return found[::-1]

    def _take(self, item: Published) -> None:
        match item.event:
            case happened.OrderAccepted():
                self._accepted(item)
            case happened.OrderCancelled():
                self._ended(item.event.order, item.time_ns // 1_000_000, "cancelled")
            case happened.OrderFilled():
                self._filled(item, item.event)
            case happened.Traded():
                self._traded(item, item.event)
            case happened.FundingApplied():
                self.funding[item.event.instrument] = float(item.event.rate)
            case happened.VariationSettled():
                self.settled[item.event.instrument] = float(item.event.mark)
            case _:
                pass

    def _accepted(self, item: Published) -> None:
        command = item.command
        if not isinstance(command, ask.PlaceOrder):
            return
        label, post_only = self.notes.pop(command.order, ("", False))
        while len(self.orders) >= MOST_ORDERS:
            del self.orders[next(iter(self.orders))]
        self.orders[command.order] = OrderHistory(
            order_id=command.order,
            account=command.account,
            instrument=command.instrument,
            side=command.side,
            quantity=command.quantity,
            price=command.price,
            reduce_only=command.reduce_only,
            created_ms=item.time_ns // 1_000_000,
            updated_ms=item.time_ns // 1_000_000,
            label=label,
            post_only=post_only,
        )

    def _filled(self, item: Published, event: happened.OrderFilled) -> None:
        known = self.orders.get(event.order)
        if known is None:
            return
        known.filled += event.quantity
        if isinstance(item.command, ask.RecordTrade):
            known.paid += event.quantity * item.command.price
        known.updated_ms = item.time_ns // 1_000_000
        if not event.remaining:
            known.state = "filled"

    def _ended(self, order_id: str, time_ms: int, state: str) -> None:
        known = self.orders.get(order_id)
        if known is not None:
            known.state, known.updated_ms = state, time_ms

    def _traded(self, item: Published, event: happened.Traded) -> None:
        command, orders, taker = item.command, {}, None
        if isinstance(command, ask.RecordTrade):
            sides = ((command.buyer, command.buy_order), (command.seller, command.sell_order))
            orders = {account: order for account, order in sides if order is not None}
            taker = command.taker
        found = TradeHistory(
            sequence=item.sequence,
            time_ms=item.time_ns // 1_000_000,
            buyer=event.buyer,
            seller=event.seller,
            instrument=event.instrument,
            quantity=event.quantity,
            price=event.price,
            taker=taker,
            orders=orders,
        )
        self.trades.append(found)
        self.trades_in.setdefault(event.instrument, deque(maxlen=MOST_TRADES_IN_ONE)).append(found)
