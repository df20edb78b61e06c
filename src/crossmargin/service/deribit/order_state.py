"""What has become of the caller's orders and trades, in Deribit's form."""

import itertools
from collections.abc import Callable, Iterable

from crossmargin.engine.engine import Engine
from crossmargin.instruments.contracts import Contract
from crossmargin.service.deribit.call import Call
from crossmargin.service.deribit.errors import DeribitError, Record, order_not_found
from crossmargin.service.deribit.history import OrderHistory, TradeHistory
from crossmargin.service.deribit.instruments import amount_of, kind_of, name_of, of_currency

MOST_COUNT = 1000


def get_order_state(call: Call) -> Record:
    """Return one of the caller's orders."""
    order_id = call.params.text("order_id")

    def look(engine: Engine) -> Record:
        owned(call, engine, order_id, must_be_open=False)
        return known(call, engine, order_id)

    return call.look(look)


def get_open_orders(call: Call) -> list[Record]:
    """Return the caller's open orders of a kind."""
    return _open_orders(call, lambda _engine, _contract: True)


def get_open_orders_by_currency(call: Call) -> list[Record]:
    """Return the caller's open orders in a currency and of a kind."""
    return _open_orders(call, lambda engine, contract: of_currency(contract, call.currency(engine)))


def get_open_orders_by_instrument(call: Call) -> list[Record]:
    """Return the caller's open orders in one contract."""
    return _open_orders(call, lambda engine, contract: contract == call.contract(engine))


def _open_orders(call: Call, chosen: Callable[[Engine, Contract], bool]) -> list[Record]:
    kind = call.params.kind()

    def look(engine: Engine) -> list[Record]:
        return [
            order_record(engine, order)
            for order, contract in open_of_caller(call, engine)
            if kind in (None, kind_of(contract)) and chosen(engine, contract)
        ]

    return call.look(look)


def get_order_history_by_currency(call: Call) -> list[Record]:
    """Return the caller's orders that have ended, the newest first."""
    return _ended(call, lambda engine, contract: of_currency(contract, call.currency(engine)))


def get_order_history_by_instrument(call: Call) -> list[Record]:
    """Return the caller's orders in one contract that have ended, the newest first."""
    return _ended(call, lambda engine, contract: contract == call.contract(engine))


def _ended(call: Call, chosen: Callable[[Engine, Contract], bool]) -> list[Record]:
    count = call.params.whole("count", 20, MOST_COUNT)

    def look(engine: Engine) -> list[Record]:
        account = call.caller(engine)
        found = (
            order
            for order in reversed(call.history.orders.values())
            if order.account == account
            and order.state != "open"
            and order.instrument.startswith("deribit:")
            and chosen(engine, engine.terms(order.instrument).contract)
        )
        return [order_record(engine, order) for order in itertools.islice(found, count)]

    return call.look(look)


def get_user_trades_by_currency(call: Call) -> Record:
    """Return the caller's trades in a currency."""
    return _trades(call, lambda engine, contract: of_currency(contract, call.currency(engine)))


def get_user_trades_by_instrument(call: Call) -> Record:
    """Return the caller's trades in one contract."""
    return _trades(call, lambda engine, contract: contract == call.contract(engine))


def get_user_trades_by_order(call: Call) -> list[Record]:
    """Return the fills of one of the caller's orders."""
    order_id = call.params.text("order_id")

    def look(engine: Engine) -> list[Record]:
        owned(call, engine, order_id, must_be_open=False)
        account = call.caller(engine)
        found = (trade for trade in call.history.trades if trade.orders.get(account) == order_id)
        return [trade_record(engine, trade, account) for trade in found]

    return call.look(look)


def _trades(call: Call, chosen: Callable[[Engine, Contract], bool]) -> Record:
    """Return trades in Deribit's page: newest first, unless a start in time is given."""
    count = call.params.whole("count", 10, MOST_COUNT)
    since, until = call.params.decimal("start_timestamp"), call.params.decimal("end_timestamp")

    def look(engine: Engine) -> Record:
        account = call.caller(engine)
        trades: Iterable[TradeHistory] = call.history.trades if since is not None else reversed(call.history.trades)
        found = [
            trade
            for trade in trades
            if account in (trade.buyer, trade.seller)
            and trade.instrument.startswith("deribit:")
            and chosen(engine, engine.terms(trade.instrument).contract)
            and (since is None or trade.time_ms >= since)
            and (until is None or trade.time_ms <= until)
        ]
        records = [trade_record(engine, trade, account) for trade in found[:count]]
        return {"trades": records, "has_more": len(found) > count}

    return call.look(look)


def open_of_caller(call: Call, engine: Engine) -> list[tuple[OrderHistory, Contract]]:
    """Return the caller's open orders with their contracts."""
    return [
        (order, engine.terms(order.instrument).contract)
        for order in call.history.open_orders(engine, call.caller(engine))
        if order.instrument.startswith("deribit:")
    ]


def owned(call: Call, engine: Engine, order_id: str, *, must_be_open: bool) -> OrderHistory:
    """Return an order of the caller; somebody else's is as unknown as one that never was."""
    found = call.history.order(engine, order_id)
    if found is None or found.account != call.caller(engine) or not found.instrument.startswith("deribit:"):
        raise order_not_found(order_id)
    if must_be_open and order_id not in engine.state.orders:
        raise DeribitError(11044, "not_open_order", {"reason": f"order {order_id} is {found.state}"})
    return found


def known(call: Call, engine: Engine, order_id: str) -> Record:
    """Return the record of an order that is known to be the caller's."""
    found = call.history.order(engine, order_id)
    if found is None:
        raise order_not_found(order_id)
    return order_record(engine, found)


def order_record(engine: Engine, order: OrderHistory) -> Record:
    """Return an order in Deribit's form."""
    contract = engine.terms(order.instrument).contract
    amount = amount_of(contract, order.quantity)
    return {
        "order_id": order.order_id,
        "instrument_name": name_of(contract),
        "direction": order.side,
        "order_type": "limit",
        "order_state": order.state,
        "time_in_force": "good_til_cancelled",
        "price": float(order.price),
        "amount": amount,
        "contracts": float(order.quantity),
        "max_show": amount,
        "filled_amount": amount_of(contract, order.filled),
        "average_price": order.average_price,
        "reduce_only": order.reduce_only,
        "post_only": order.post_only,
        "reject_post_only": order.post_only,
        "label": order.label,
        "creation_timestamp": order.created_ms,
        "last_update_timestamp": order.updated_ms,
        "is_liquidation": False,
        "replaced": False,
        "mmp": False,
        "risk_reducing": order.reduce_only,
        "api": True,
        "web": False,
    }


def trade_record(engine: Engine, trade: TradeHistory, account: str) -> Record:
    """Return one side of a trade in Deribit's form."""
    contract = engine.terms(trade.instrument).contract
    bought = trade.buyer == account
    order_id = trade.orders.get(account)
    takes = trade.taker is not None and trade.taker == ("buyer" if bought else "seller")
    return {
        "trade_id": f"{contract.settle}-{trade.sequence}",
        "trade_seq": trade.sequence,
        "order_id": order_id,
        "instrument_name": name_of(contract),
        "direction": "buy" if bought else "sell",
        "price": float(trade.price),
        "amount": amount_of(contract, trade.quantity),
        "contracts": float(trade.quantity),
        "timestamp": trade.time_ms,
        "tick_direction": 0,
        "state": "filled",
        "liquidity": "T" if takes else "M",
        "order_type": "limit",
        "self_trade": False,
        "mark_price": _mark(engine, contract),
        "index_price": _index(engine, contract),
    }


def _mark(engine: Engine, contract: Contract) -> float | None:
    mark = engine.mark(contract.id)
    return None if mark is None else float(mark)


def _index(engine: Engine, contract: Contract) -> float | None:
    seen = engine.state.market.index.get(contract.base)
    return None if seen is None else float(seen.price)
