"""Deribit's order methods: buy, sell and cancel.

The engine clears; it does not match. An order rests with its margin reserved until the market records a trade against
it, so an order that asks to be executed at once cannot be promised anything and is refused: market orders, stops,
fill-or-kill and immediate-or-cancel. `post_only` is checked against the orders that rest here.
"""

import itertools
import time
from collections.abc import Callable
from decimal import Decimal

from crossmargin.engine import commands as ask
from crossmargin.engine.engine import Engine
from crossmargin.engine.events import Event, OrderCancelled, Refused
from crossmargin.instruments.contracts import Contract
from crossmargin.service.deribit.call import Call
from crossmargin.service.deribit.errors import (
    DeribitError,
    Record,
    invalid_params,
    not_implemented,
    refused,
)
from crossmargin.service.deribit.instruments import (
    kind_of,
    of_currency,
    quantity_of,
    tick,
)
from crossmargin.service.deribit.order_state import known, open_of_caller, owned

LONGEST_LABEL = 64
WAIT_SECONDS = 30.0
_numbers = itertools.count(time.time_ns())


def buy(call: Call) -> Record:
    """Place an order to buy."""
    return _placed(call, "buy")


def sell(call: Call) -> Record:
    """Place an order to sell."""
    return _placed(call, "sell")


def _placed(call: Call, side: str) -> Record:
    label = call.params.text("label", "")
    if len(label) > LONGEST_LABEL:
        raise invalid_params("label", f"must have at most {LONGEST_LABEL} characters")
    _check_form(call)
    command, post_only = call.look(lambda engine: _command(call, engine, side))
    call.history.notes[command.order] = (label, post_only)
    try:
        _submitted(call, command)
    except DeribitError:
        call.history.notes.pop(command.order, None)
        raise
    return call.look(lambda engine: {"order": known(call, engine, command.order), "trades": []})


def _check_form(call: Call) -> None:
    form = call.params.text("type", "limit")
    if form != "limit":
        raise not_implemented(f"orders rest until the market fills them, so their type must be limit, was {form}")
    lasting = call.params.text("time_in_force", "good_til_cancelled")
    if lasting != "good_til_cancelled":
        raise not_implemented(f"time_in_force must be good_til_cancelled, was {lasting}")
    for name in (
        "trigger",
        "trigger_price",
        "advanced",
        "max_show",
        "display_amount",
        "valid_until",
        "linked_order_type",
    ):
        if name in call.params.given:
            raise not_implemented(f"orders have no {name} here")


def _command(call: Call, engine: Engine, side: str) -> tuple[ask.PlaceOrder, bool]:
    account, contract = call.caller(engine), call.contract(engine)
    quantity = _quantity(call, engine, contract)
    price = call.params.decimal("price")
    if price is None or price <= 0:
        raise DeribitError(10023, "invalid_price", {"reason": "a limit order needs a price above 0"})
    if price % tick(contract):
        raise DeribitError(
            10043, "price_wrong_tick", {"reason": f"must be a multiple of {tick(contract)}, was {price}"}
        )
    post_only = call.params.flag("post_only")
    if post_only:
        _check_making(call, engine, contract, side, float(price))
    order_id = f"{contract.settle}-{next(_numbers)}"
    command = ask.PlaceOrder(
        id=f"deribit-{order_id}",
        account=account,
        order=order_id,
        instrument=contract.id,
        side="buy" if side == "buy" else "sell",
        quantity=quantity,
        price=price,
        reduce_only=call.params.flag("reduce_only"),
    )
    return command, post_only


def _quantity(call: Call, engine: Engine, contract: Contract) -> Decimal:
    """Contracts of the order, stated as Deribit's amount or, under their own name, as contracts."""
    amount, contracts = call.params.decimal("amount"), call.params.decimal("contracts")
    if amount is None and contracts is None:
        raise invalid_params("amount", "is required")
    if amount is None and contracts is not None:
        amount = contracts * contract.contract_size
    if contracts is not None and amount != contracts * contract.contract_size:
        raise invalid_params("contracts", "must be the same as the amount")
    try:
        return quantity_of(engine, contract, amount or Decimal(0))
    except DeribitError as error:
        raise DeribitError(10021, "invalid_amount", error.data) from error


def _check_making(call: Call, engine: Engine, contract: Contract, side: str, price: float) -> None:
    bids, asks = call.history.quotes(engine).book(contract)
    crosses = bool(asks) and price >= asks[0][0] if side == "buy" else bool(bids) and price <= bids[0][0]
    if crosses:
        raise DeribitError(11054, "post_only_reject", {"reason": "the order would meet one that rests"})


def _submitted(call: Call, command: ask.Command) -> tuple[Event, ...]:
    """Have a command journaled and applied; a refusal becomes Deribit's error."""
    events = call.writer.submit(command).result(timeout=WAIT_SECONDS)
    for event in events:
        if isinstance(event, Refused):
            raise refused(event)
    return events


def cancel(call: Call) -> Record:
    """Cancel one of the caller's orders."""
    order_id = call.params.text("order_id")
    call.look(lambda engine: owned(call, engine, order_id, must_be_open=True))
    _submitted(call, ask.CancelOrder(id=f"deribit-cancel-{next(_numbers)}", order=order_id))
    return call.look(lambda engine: known(call, engine, order_id))


def cancel_all(call: Call) -> int:
    """Cancel all of the caller's orders; return how many there were."""
    account = call.look(call.caller)
    events = _submitted(call, ask.CancelAllOrders(id=f"deribit-cancel-{next(_numbers)}", account=account))
    return sum(isinstance(event, OrderCancelled) for event in events)


def cancel_all_by_currency(call: Call) -> int:
    """Cancel the caller's orders in a currency and of a kind."""
    kind = call.params.kind()
    return _cancelled(
        call,
        lambda engine: [
            order.order_id
            for order, contract in open_of_caller(call, engine)
            if of_currency(contract, call.currency(engine)) and kind in (None, kind_of(contract))
        ],
    )


def cancel_all_by_instrument(call: Call) -> int:
    """Cancel the caller's orders in one contract."""
    return _cancelled(
        call,
        lambda engine: [
            order.order_id for order, contract in open_of_caller(call, engine) if contract == call.contract(engine)
        ],
    )


def cancel_by_label(call: Call) -> int:
    """Cancel the caller's orders that carry a label."""
    label = call.params.text("label")
    return _cancelled(
        call, lambda engine: [order.order_id for order, _ in open_of_caller(call, engine) if order.label == label]
    )


def _cancelled(call: Call, chosen: Callable[[Engine], list[str]]) -> int:
    """Cancel the orders chosen; one that is gone by then is not counted."""
    names = call.look(chosen)
    waiting = [call.writer.submit(ask.CancelOrder(id=f"deribit-cancel-{next(_numbers)}", order=name)) for name in names]
    events = itertools.chain.from_iterable(each.result(timeout=WAIT_SECONDS) for each in waiting)
    return sum(isinstance(event, OrderCancelled) for event in events)
