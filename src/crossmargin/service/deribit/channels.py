"""Deribit's channels by name: what each follows, and what it says when something has changed.

A channel that states a condition (ticker, quote, book, portfolio) says it anew when it has changed since it was last
said, so that a slow reader skips what is out of date. A channel that tells events (trades, orders) keeps its place in
the stream of events and leaves none out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from crossmargin.engine import events as happened
from crossmargin.engine.engine import Engine
from crossmargin.errors import CrossMarginError
from crossmargin.instruments.contracts import Contract
from crossmargin.service.deribit.account import Standing, standing, summary
from crossmargin.service.deribit.call import Call
from crossmargin.service.deribit.errors import DeribitError, Record
from crossmargin.service.deribit.history import TradeHistory
from crossmargin.service.deribit.instruments import KINDS, contract_named, kind_of, name_of, of_currency
from crossmargin.service.deribit.market import index_record, ticker_record
from crossmargin.service.deribit.order_state import order_record, trade_record
from crossmargin.service.deribit.positions import margined, one_held, position_record
from crossmargin.service.writer import Published

INTERVALS = ("raw", "100ms", "agg2")
STATES = ("ticker", "quote", "book", "user.portfolio", "deribit_price_index")
EVENTS = ("trades", "user.orders", "user.trades", "user.changes")
DEPTHS = ("1", "10", "20")


@dataclass(slots=True, kw_only=True)
class Channel:
    """One subscription of one connection: what it follows, and how far it has told it.

    `contract` None follows every contract of `kind` and `currency`.
    """

    name: str
    topic: str
    contract: Contract | None = None
    kind: str = "any"
    currency: str = "any"
    interval: str = "raw"
    depth: int | None = None
    said: Any = None
    """What was said last, for channels of conditions."""
    place: int = 0
    """Sequence of the last event told."""
    levels: tuple[dict[float, float], dict[float, float]] = field(default_factory=lambda: ({}, {}))
    change_id: int | None = None

    @property
    def is_private(self) -> bool:
        """Whether only its account may hear it."""
        return self.topic.startswith("user.")

    def follows(self, contract: Contract) -> bool:
        """Whether it tells of a contract."""
        if self.contract is not None:
            return contract == self.contract
        return of_currency(contract, self.currency) and self.kind in ("any", kind_of(contract))


def parse_channel(engine: Engine, name: str) -> Channel | None:
    """Return the channel of a name; None where there is no such channel.

    A contract is named, or a kind and a currency: ``trades.BTC-PERPETUAL.raw``, ``trades.option.BTC.100ms``.
    """
    parts = name.split(".")
    size = 2 if parts[0] == "user" else 1
    topic, rest = ".".join(parts[:size]), parts[size:]
    try:
        match topic, rest:
            case "deribit_price_index", [index]:
                base, _, quote = index.upper().partition("_")
                return Channel(name=name, topic=topic, kind=base, currency=quote)
            case "user.portfolio", [currency]:
                known = currency.upper() in engine.state.assets
                return Channel(name=name, topic=topic, currency=currency.upper()) if known else None
            case "quote", [instrument]:
                return Channel(name=name, topic=topic, contract=contract_named(engine, instrument))
            case (("ticker" | "book"), [instrument, interval]) if interval in INTERVALS:
                return Channel(name=name, topic=topic, contract=contract_named(engine, instrument), interval=interval)
            case "book", [instrument, "none", depth, interval] if interval in INTERVALS and depth in DEPTHS:
                contract = contract_named(engine, instrument)
                return Channel(name=name, topic=topic, contract=contract, interval=interval, depth=int(depth))
            case _, [instrument, interval] if topic in EVENTS and interval in INTERVALS:
                contract = contract_named(engine, instrument)
                return Channel(name=name, topic=topic, contract=contract, interval=interval)
            case _, [kind, currency, interval] if topic in EVENTS and interval in INTERVALS and kind in ("any", *KINDS):
                return Channel(name=name, topic=topic, kind=kind, currency=currency, interval=interval)
            case _:
                return None
    except DeribitError:
        return None


def news(call: Call, engine: Engine, channel: Channel) -> Iterator[object]:
    """Yield what a channel has to say now; the writer's lock is held."""
    if channel.topic in STATES:
        said = _condition(call, engine, channel)
        if said is None or (channel.topic != "book" and said == channel.said):
            return
        if channel.topic != "book":  # a book keeps its own account of what was said
            channel.said = said
        yield said
        return
    new = _since(call, channel)
    if new:
        channel.place = new[-1].sequence
        yield from _told(call, engine, channel, new)


def _condition(call: Call, engine: Engine, channel: Channel) -> Record | None:
    match channel.topic:
        case "deribit_price_index":
            return index_record(engine, channel.kind, channel.currency)
        case "user.portfolio":
            return _portfolio(call, engine, channel)
        case "book":
            return _grouped(call, engine, channel) if channel.depth else _changed_book(call, engine, channel)
        case _:
            if channel.contract is None:
                return None
            full = ticker_record(engine, call.history, channel.contract, call.now_ms)
            names = (
                "instrument_name",
                "timestamp",
                "best_bid_price",
                "best_bid_amount",
                "best_ask_price",
                "best_ask_amount",
            )
            return {name: full[name] for name in names} if channel.topic == "quote" else full


def _portfolio(call: Call, engine: Engine, channel: Channel) -> Record | None:
    try:
        seen: Standing = standing(engine, call.history.settled, call.caller(engine))
        return summary(seen, channel.currency)
    except CrossMarginError:
        return None  # a price is missing; it is said once there is one


def _grouped(call: Call, engine: Engine, channel: Channel) -> Record | None:
    """Return the best levels, whole each time, where they have changed."""
    if channel.contract is None:
        return None
    bids, asks = call.history.quotes(engine).book(channel.contract)
    sides = {
        "bids": [list(each) for each in bids[: channel.depth]],
        "asks": [list(each) for each in asks[: channel.depth]],
    }
    if channel.change_id is not None and channel.said == sides:
        return None
    channel.change_id, channel.said = engine.state.sequence, sides
    return {**_book_head(engine, channel.contract), "change_id": engine.state.sequence, **sides}


def _changed_book(call: Call, engine: Engine, channel: Channel) -> Record | None:
    """Return the whole book first, then what has changed in it, with the number of the state before."""
    if channel.contract is None:
        return None
    bids, asks = call.history.quotes(engine).book(channel.contract)
    now = dict(bids), dict(asks)
    first, before = channel.change_id is None, channel.change_id
    changes = [_changes(old, new) for old, new in zip(channel.levels, now, strict=True)]
    if not first and not any(changes):
        return None
    channel.levels, channel.change_id = now, engine.state.sequence
    found = {
        **_book_head(engine, channel.contract),
        "type": "snapshot" if first else "change",
        "change_id": channel.change_id,
    }
    if not first:
        found["prev_change_id"] = before
    return {**found, "bids": changes[0], "asks": changes[1]}


def _book_head(engine: Engine, contract: Contract) -> Record:
    return {"instrument_name": name_of(contract), "timestamp": engine.state.time_ns // 1_000_000}


def _changes(before: dict[float, float], now: dict[float, float]) -> list[list[Any]]:
    """Return levels that are new, changed or gone.

    Examples
    --------
    >>> _changes({10.0: 1.0, 11.0: 1.0}, {10.0: 2.0, 12.0: 1.0})
    [['change', 10.0, 2.0], ['new', 12.0, 1.0], ['delete', 11.0, 0.0]]
    """
    found: list[list[Any]] = [
        ["change" if price in before else "new", price, amount]
        for price, amount in now.items()
        if before.get(price) != amount
    ]
    return found + [["delete", price, 0.0] for price in before if price not in now]


def _since(call: Call, channel: Channel) -> list[Published]:
    """Return the events after the channel's place, the oldest first."""
    found: list[Published] = []
    for item in reversed(call.writer.published):
        if item.sequence <= channel.place:
            break
        found.append(item)
    return found[::-1]


def _told(call: Call, engine: Engine, channel: Channel, new: list[Published]) -> Iterator[object]:
    trades = [trade for trade in _trades(call, new) if channel.follows(engine.terms(trade.instrument).contract)]
    match channel.topic:
        case "trades":
            records = [_public(trade_record(engine, trade, _aggressor(trade))) for trade in trades]
            if records:
                yield records
        case "user.trades":
            records = _own_trades(call, engine, trades)
            if records:
                yield records
        case "user.orders":
            orders = _own_orders(call, engine, channel, new)
            if channel.interval == "raw":
                yield from orders
            elif orders:
                yield orders
        case _:
            yield from _own_changes(call, engine, channel, new, trades)


def _trades(call: Call, new: list[Published]) -> list[TradeHistory]:
    found: list[TradeHistory] = []
    for trade in reversed(call.history.trades):
        if trade.sequence < new[0].sequence:
            break
        if trade.instrument.startswith("deribit:"):
            found.append(trade)
    return found[::-1]


def _aggressor(trade: TradeHistory) -> str:
    return trade.seller if trade.taker == "seller" else trade.buyer


def _public(record: Record) -> Record:
    private = ("order_id", "order_type", "self_trade", "liquidity", "state")
    return {name: value for name, value in record.items() if name not in private}


def _own_trades(call: Call, engine: Engine, trades: list[TradeHistory]) -> list[Record]:
    account = call.caller(engine)
    return [trade_record(engine, trade, account) for trade in trades if account in (trade.buyer, trade.seller)]


def _own_orders(call: Call, engine: Engine, channel: Channel, new: list[Published]) -> list[Record]:
    """Return the caller's orders that something happened to, each once, as they are now."""
    account, names = call.caller(engine), dict[str, None]()
    for item in new:
        if isinstance(item.event, happened.OrderAccepted | happened.OrderCancelled | happened.OrderFilled):
            names[item.event.order] = None
    found = (call.history.order(engine, name) for name in names)
    return [
        order_record(engine, order)
        for order in found
        if order is not None
        and order.account == account
        and order.instrument.startswith("deribit:")
        and channel.follows(engine.terms(order.instrument).contract)
    ]


def _own_changes(
    call: Call, engine: Engine, channel: Channel, new: list[Published], trades: list[TradeHistory]
) -> Iterator[Record]:
    """Yield orders, trades and positions by contract, where any of them changed."""
    account = call.caller(engine)
    by_name: dict[str, Record] = {}

    def of(name: str) -> Record:
        return by_name.setdefault(name, {"instrument_name": name, "trades": [], "positions": [], "orders": []})

    for record in _own_trades(call, engine, trades):
        of(record["instrument_name"])["trades"].append(record)
    for record in _own_orders(call, engine, channel, new):
        of(record["instrument_name"])["orders"].append(record)
    seen = margined(engine, account) if by_name else None
    for name, found in by_name.items():
        if found["trades"]:
            contract = contract_named(engine, name)
            row = one_held(engine, call.history.settled, account, contract.id)
            found["positions"].append(position_record(row, seen))
        yield found
