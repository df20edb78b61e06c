"""Orders and trades: the pre-trade check on the worst subset of fills, reservations, limits, self-trade prevention.

An order is accepted only if the account could carry every subset of its open orders being filled. Its reservation is
simply that it stands in that check until it is cancelled or filled; a fill of an accepted order is not asked again.
"""

import functools
import itertools
from collections.abc import Iterable
from decimal import Decimal

from crossmargin.engine import events as happened
from crossmargin.engine.book import Book
from crossmargin.engine.commands import CancelAllOrders, CancelOrder, PlaceOrder, RecordTrade
from crossmargin.engine.house import House, No
from crossmargin.engine.market_view import Quoted
from crossmargin.engine.refusals import Refusal
from crossmargin.engine.state import BANKRUPT, CLOSED, HEALTHY, LIQUIDATING, REDUCE_ONLY, OpenOrder
from crossmargin.errors import InputError, MarketDataError
from crossmargin.instruments.contracts import Option, Payoff, Spot
from crossmargin.ledger.ledger import payment
from crossmargin.ledger.rounding import to_quanta

SMALL_ENOUGH_TO_ENUMERATE = 6
"""All subsets of so many orders are margined; more are grouped by instrument and side."""

Fill = tuple[str, int, Decimal]
"""Instrument, signed lots, price."""


def place_order(house: House, command: PlaceOrder) -> No | None:
    """Reserve margin for an order."""
    lots = signed_lots(house, command.instrument, command.quantity, command.side)
    if isinstance(lots, No):
        return lots
    owner = house.state.accounts.get(command.account)
    if owner is None or owner.state == CLOSED:
        return No(Refusal.UNKNOWN_ACCOUNT, command.account)
    if command.order in house.state.orders:
        return No(Refusal.ALREADY_EXISTS, command.order)
    account, instrument_id, price = command.account, command.instrument, command.price
    fill = (instrument_id, lots, price)
    reducing = is_reducing(house, account, instrument_id, lots)
    no = _allowed(house, account, fill, reducing=reducing, reduce_only=command.reduce_only)
    if no is not None:
        return no
    numerator, denominator = house.view.quoted(instrument_id).lot
    terms = (instrument_id, lots * numerator / denominator, float(price))
    if not reducing:
        no = _can_place(house, account, fill, terms)
        if no is not None:
            return no
    order = OpenOrder(
        account=account, instrument=instrument_id, lots=lots, price=price, reduce_only=command.reduce_only
    )
    house.resting.add(command.order, order, terms)
    house.exposures.order_placed(account, terms)
    house.events.append(happened.OrderAccepted(order=command.order, initial=house.exposures.health(account).initial))
    return None


def _can_place(house: House, account: str, fill: Fill, terms: tuple[str, float, float]) -> No | None:
    """Refuse unless the account could carry one more order, `terms` in floats."""
    instrument_id, lots, _ = fill
    if not house.view.quoted(instrument_id).listing.open_interest_rate:
        return can_carry(house, account, None, [fill], [terms])
    house.exposures.expect_open_interest(instrument_id, abs(lots))
    try:
        return can_carry(house, account, None, [fill], [terms])
    finally:
        house.exposures.expect_open_interest(instrument_id, 0)


def cancel_order(house: House, command: CancelOrder) -> No | None:
    """Release an order."""
    if command.order not in house.state.orders:
        return No(Refusal.UNKNOWN_ORDER, command.order)
    house.resting.remove(command.order)
    house.events.append(happened.OrderCancelled(order=command.order, reason="asked for"))
    return None


def cancel_all_orders(house: House, command: CancelAllOrders) -> No | None:
    """Release all orders of an account."""
    if house.account(command.account) is None:
        return No(Refusal.UNKNOWN_ACCOUNT, command.account)
    house.cancel_orders(command.account, "asked for")
    return None


def record_trade(house: House, command: RecordTrade) -> No | None:
    """Let contracts, or coins of a spot pair, change hands."""
    lots = signed_lots(house, command.instrument, command.quantity, "buy")
    if isinstance(lots, No):
        return lots
    sides = ((command.buyer, lots, command.buy_order), (command.seller, -lots, command.sell_order))
    no = _two_owners(house, command.buyer, command.seller)
    if not house.state.listings[command.instrument].open_interest_rate:
        no = no or _sides_allowed(house, command, sides)
    else:
        house.exposures.expect_open_interest(command.instrument, _open_interest_growth(house, command, lots))
        try:
            no = no or _sides_allowed(house, command, sides)
        finally:
            house.exposures.expect_open_interest(command.instrument, 0)
    no = no or _open_interest_allowed(house, command, lots)
    if no is not None:
        return no
    if isinstance(house.view.contract(command.instrument), Spot):
        no = _exchange_coins(house, command, lots)
        if no is not None:
            return no
    else:
        house.trade(command.buyer, command.seller, command.instrument, lots, command.price, "trade")
    for _, change, order in sides:
        if order is not None:
            _fill_order(house, order, change)
    for account, change, _ in sides:
        _keep_reducing_orders_true(house, account, command.instrument)
        _charge_taker(house, command, account, change)
    return None


def signed_lots(house: House, instrument_id: str, quantity: Decimal, side: str) -> int | No:
    """Return a quantity as signed lots, or why not."""
    if instrument_id not in house.state.listings:
        return No(Refusal.UNKNOWN_INSTRUMENT, instrument_id)
    lots = whole_lots(house, instrument_id, quantity)
    return lots if side == "buy" else -lots


def whole_lots(house: House, instrument_id: str, quantity: Decimal) -> int:
    """Return a quantity of a listed contract in lots; `InputError` if it is not positive and whole."""
    if not quantity.is_finite() or quantity <= 0:
        raise InputError(f"a quantity must be positive, was {quantity} of {instrument_id}")
    a, b = quantity.as_integer_ratio()
    c, d = house.view.quoted(instrument_id).lot
    lots, rest = divmod(a * d, b * c)
    return to_quanta(quantity, house.state.listings[instrument_id].lot_size) if rest else lots


def is_reducing(house: House, account: str, instrument_id: str, lots: int) -> bool:
    """Whether `lots`, with the account's other orders on that side, only bring its position nearer to zero."""
    held = house.state.ledger.lots(account, instrument_id)
    if held * lots >= 0:
        return False
    return abs(lots + house.resting.of(account).same_side(instrument_id, lots)) <= abs(held)


def can_carry(
    house: House,
    account: str,
    book: Book | None,
    more: list[Fill],
    floats: list[tuple[str, float, float]] | None = None,
) -> No | None:
    """Refuse unless equity covers initial margin in every subset of fills of the open orders and `more`.

    `book` None is the account's own; `floats` is `more` in contracts, if that is known already.
    """
    credit = house.state.accounts[account].credit_line
    enough = float(credit) if credit else 0.0
    if floats is None:
        sizes = house.state.listings
        floats = [(name, float(lots * sizes[name].lot_size), float(price)) for name, lots, price in more]
    deficit = house.exposures.deficit_for_new_risk(account, book, house.resting.of(account), floats, enough)
    if deficit is None:
        try:
            return _can_carry_by_definition(house, account, book or house.definition.book(account), more)
        except MarketDataError as error:
            return No(Refusal.NO_PRICE, str(error))
        except InputError as error:  # the account's method does not know the contract or the coin
            return No(Refusal.MALFORMED, str(error))
    return None if deficit <= enough else No(Refusal.INSUFFICIENT_MARGIN, f"short of {deficit - enough:.2f} USD")


def _can_carry_by_definition(house: House, account: str, book: Book, more: list[Fill]) -> No | None:
    """Margin subset by subset with the account's own method."""
    open_orders = [house.state.orders[name] for name in house.orders_of(account)]
    fills = [(order.instrument, order.lots, order.price) for order in open_orders] + more
    groups = [[fill] for fill in fills]
    if len(fills) > SMALL_ENOUGH_TO_ENUMERATE:
        sides = sorted({(name, lots > 0) for name, lots, _ in fills})
        groups = [[fill for fill in fills if (fill[0], fill[1] > 0) == side] for side in sides]
        if len(groups) > SMALL_ENOUGH_TO_ENUMERATE:
            return No(Refusal.TOO_MANY_ORDERS, f"{len(groups)} groups of instrument and side")
    worst = float("inf")
    for size in range(len(groups) + 1):
        for chosen in itertools.combinations(groups, size):
            trial = book.copy()
            for fill in itertools.chain.from_iterable(chosen):
                apply_fill(house, trial, fill)
            worst = min(worst, house.definition.excess_for_new_risk(account, trial))
            if worst < 0.0:
                return No(Refusal.INSUFFICIENT_MARGIN, f"short of {-worst:.2f} USD")
    return None


def apply_fill(house: House, book: Book, fill: Fill) -> None:
    """Change a book as a fill would."""
    instrument_id, lots, price = fill
    terms = house.view.terms(instrument_id)
    contract = terms.contract
    quantity, paid = float(lots * terms.lot_size), float(price)
    size = contract.contract_size_float * quantity
    if isinstance(contract, Spot):
        book.add_cash(contract.base, size)
        book.add_cash(contract.quote, -size * paid)
        return
    book.add_position(instrument_id, quantity)
    if isinstance(contract, Option):
        book.add_cash(contract.settle, -size * paid)
        return
    mark = float(house.mark(instrument_id))
    inverse = contract.payoff is Payoff.INVERSE
    book.add_cash(contract.settle, size * (1.0 / paid - 1.0 / mark) if inverse else size * (mark - paid))


def _allowed(house: House, account: str, fill: Fill, *, reducing: bool, reduce_only: bool) -> No | None:
    """Run the checks of one side of an order or trade that need no margin, in the order of `Refusal`."""
    instrument_id, lots, price = fill
    standing = house.state.accounts[account].state
    if standing != HEALTHY:
        if standing in (LIQUIDATING, BANKRUPT):
            return No(Refusal.ACCOUNT_STATE, standing)
        if standing == REDUCE_ONLY and not reducing:
            return No(Refusal.ACCOUNT_STATE, standing)
    halt = house.state.halt
    if halt is not None and not reducing:
        return No(Refusal.HALTED_RISK_REDUCTION_ONLY, halt.breaker)
    quoted = house.view.quoted(instrument_id)
    no = _price_allowed(house, instrument_id, price, quoted, reducing=reducing)
    if no is not None:
        return no
    if reduce_only and not reducing:
        return No(Refusal.NOT_REDUCING, instrument_id)
    if reducing or quoted.listing.position_limit is None:
        return None
    return _within_position_limit(house, account, instrument_id, lots)


def _price_allowed(house: House, instrument_id: str, price: Decimal, quoted: Quoted, *, reducing: bool) -> No | None:
    if not price.is_finite() or price <= 0:
        raise InputError(f"a price must be finite and positive, was {price} for {instrument_id}")
    if quoted.listing.expired:
        return No(Refusal.INSTRUMENT_EXPIRED, instrument_id)
    if not quoted.is_priced:
        return No(Refusal.NO_PRICE, instrument_id)
    if not reducing and not quoted.is_good:
        return No(Refusal.PRICE_NOT_GOOD, instrument_id)
    if quoted.is_option:
        return None
    mark = house.mark(instrument_id)
    if abs(price - mark) > _band(house.state.parameters.order_band) * mark:
        return No(Refusal.PRICE_OUTSIDE_BAND, f"{price} against a mark of {mark}")
    return None


@functools.lru_cache
def _band(share: float) -> Decimal:
    return Decimal(repr(share))


def _within_position_limit(house: House, account: str, instrument_id: str, lots: int) -> No | None:
    limit = house.state.listings[instrument_id].position_limit
    if limit is None:
        return None
    owner = house.state.accounts[account].owner
    mine = [name for name, item in house.state.accounts.items() if item.owner == owner]
    held = sum(house.lots(name, instrument_id) for name in mine)
    resting = sum(house.resting.of(name).same_side(instrument_id, lots) for name in mine)
    if abs(held + resting + lots) > limit:
        return No(Refusal.POSITION_LIMIT, f"{owner} would have {held + resting + lots} lots, limit {limit}")
    return None


def _open_interest_allowed(house: House, command: RecordTrade, lots: int) -> No | None:
    limit = house.state.listings[command.instrument].open_interest_limit
    if limit is None:
        return None
    growth = _open_interest_growth(house, command, lots)
    if growth <= 0:
        return None
    grown = house.definition.open_interest(command.instrument) + growth
    return No(Refusal.OPEN_INTEREST_LIMIT, f"{grown} lots, limit {limit}") if grown > limit else None


def _open_interest_growth(house: House, command: RecordTrade, lots: int) -> int:
    """Return the lots by which a trade changes what is long over everybody."""
    growth = 0
    for account, change in ((command.buyer, lots), (command.seller, -lots)):
        held = house.lots(account, command.instrument)
        growth += max(held + change, 0) - max(held, 0)
    return growth


def _two_owners(house: House, buyer: str, seller: str) -> No | None:
    for name in (buyer, seller):
        if house.account(name) is None:
            return No(Refusal.UNKNOWN_ACCOUNT, name)
    if house.state.accounts[buyer].owner == house.state.accounts[seller].owner:
        return No(Refusal.SELF_TRADE, f"{buyer} and {seller}")
    return None


def _sides_allowed(house: House, command: RecordTrade, sides: Iterable[tuple[str, int, str | None]]) -> No | None:
    for account, change, order in sides:
        no = _side_allowed(house, account, order, (command.instrument, change, command.price))
        if no is not None:
            return no
    return None


def _side_allowed(house: House, account: str, order_id: str | None, fill: Fill) -> No | None:
    """Check one side of a trade: against its order, or, without one, as an order would be."""
    instrument_id, lots, price = fill
    if order_id is None:
        reducing = is_reducing(house, account, instrument_id, lots)
        no = _allowed(house, account, fill, reducing=reducing, reduce_only=False)
        if no is not None or reducing:
            return no
        return can_carry(house, account, None, [fill])
    order = house.state.orders.get(order_id)
    if order is None or order.account != account or order.instrument != instrument_id:
        return No(Refusal.UNKNOWN_ORDER, order_id)
    if order.lots * lots <= 0 or abs(lots) > abs(order.lots):
        return No(Refusal.OUTSIDE_LIMIT, f"{order_id} has {order.lots} lots left, the fill {lots}")
    worse = price > order.price if lots > 0 else price < order.price
    if worse:
        return No(Refusal.OUTSIDE_LIMIT, f"{order_id} is limited at {order.price}, the fill at {price}")
    return None


def _fill_order(house: House, order_id: str, lots: int) -> None:
    order = house.state.orders[order_id]
    size, left = house.state.listings[order.instrument].lot_size, order.lots - lots
    house.resting.fill(order_id, lots)
    house.emit(happened.OrderFilled(order=order_id, quantity=abs(lots) * size, remaining=abs(left) * size))


def _keep_reducing_orders_true(house: House, account: str, instrument_id: str) -> None:
    """Cancel reduce-only orders that a changed position has left nothing to reduce."""
    reducing = house.resting.of(account).reducing
    if not reducing:
        return
    held = house.lots(account, instrument_id)
    for name in sorted(reducing):
        order = house.state.orders[name]
        if order.instrument == instrument_id and (held * order.lots >= 0 or abs(order.lots) > abs(held)):
            house.resting.remove(name)
            house.emit(happened.OrderCancelled(order=name, reason="nothing left to reduce"))


def _charge_taker(house: House, command: RecordTrade, account: str, lots: int) -> None:
    fee = house.parameters.taker_fee
    if not fee or command.taker != ("buyer" if lots > 0 else "seller"):
        return
    terms = house.view.terms(command.instrument)
    price = house.mark(command.instrument) if terms.is_paid_up else command.price
    numerator, denominator = fee.as_integer_ratio()
    house.charge(account, terms.settle, abs(terms.value(lots, price)) * numerator, denominator, "taker fee")


def _exchange_coins(house: House, command: RecordTrade, lots: int) -> No | None:
    """Move base against quote; neither side may borrow more than it may."""
    terms = house.view.terms(command.instrument)
    base, quote = terms.contract.base, terms.contract.quote
    coins = house.quanta(base, lots * terms.lot_size * terms.contract.contract_size)
    value = terms.value(lots, command.price)
    for account, asset, amount in ((command.seller, base, coins), (command.buyer, quote, value)):
        left = house.balance(account, asset) - amount
        if left < -house.quanta(asset, house.state.assets[asset].borrow_limit):
            return No(Refusal.BORROW_LIMIT, f"{account} would owe {house.amount(asset, -left)} {asset}")
    house.book(payment("spot", base, command.seller, command.buyer, coins))
    if value:
        house.book(payment("spot", quote, command.buyer, command.seller, value))
    house.emit(
        happened.Traded(
            buyer=command.buyer,
            seller=command.seller,
            instrument=command.instrument,
            quantity=command.quantity,
            price=command.price,
            reason="spot",
        )
    )
    return None
