"""Liquidation: orders go first, then slices chosen by margin released per expected cost, then takeover.

Equity is compared with maintenance again in every command that closes anything. A slice never flips a position, never
leaves `maintenance_ratio` lower, and there are at most `max_slices` of them; what they do not cure is auctioned or
taken over by a backstop provider, and what nobody takes is closed against other accounts in `defaults`.
"""

import math
from dataclasses import dataclass
from decimal import Decimal

from crossmargin.clearing.auction import share_on_offer
from crossmargin.clearing.liquidation_size import fewest_lots, shortfall_per_notional, slice_lots
from crossmargin.engine import defaults
from crossmargin.engine import events as happened
from crossmargin.engine.book import Book, Health
from crossmargin.engine.breakers import watch_flows
from crossmargin.engine.commands import BidAuction, FillLiquidation
from crossmargin.engine.house import House, No
from crossmargin.engine.orders import apply_fill, can_carry, is_reducing, whole_lots
from crossmargin.engine.refusals import Refusal
from crossmargin.engine.state import HEALTHY, LIQUIDATING, Liquidation, LiquidationOrder
from crossmargin.errors import known
from crossmargin.instruments.contracts import Option, Spot
from crossmargin.ledger.account import FEES


def start(house: House, name: str) -> None:
    """Put an account below maintenance into liquidation: cancel its orders, look again, then act."""
    health = house.health(name)
    house.change_state(name, LIQUIDATING)
    house.state.accounts[name].call = None
    now = house.state.time_ns
    house.state.liquidations[name] = Liquidation(started_ns=now, next_ns=now)
    house.emit(happened.LiquidationStarted(account=name, equity=health.equity, maintenance=health.maintenance))
    house.cancel_orders(name, "liquidation")
    house.exposures.account_changed(name)
    advance(house, name)


def end_if_healthy(house: House, name: str) -> bool:
    """Release an account that is above maintenance again."""
    health = house.health(name)
    if health.needs_liquidation:
        return False
    del house.state.liquidations[name]
    house.change_state(name, HEALTHY)
    house.emit(happened.LiquidationEnded(account=name, outcome="healthy"))
    house.touch(name)  # it may still owe a margin call
    return True


def advance(house: House, name: str) -> None:
    """Take the next step of a liquidation that is due."""
    if house.state.halt is not None or end_if_healthy(house, name):
        return
    now, found = house.state.time_ns, house.state.liquidations[name]
    health = house.health(name)
    if health.worth <= 0.0 or not house.positions(name):
        defaults.close_out(house, name)
    elif found.auction_from_ns is not None:
        if now >= found.auction_from_ns + house.parameters.auction_duration_ns:
            _take_over(house, name)
    elif health.ratio < house.parameters.takeover_ratio:
        _hand_over(house, name)
    elif now >= found.next_ns:
        # only slices are paced: what is worse does not wait
        if found.slices >= house.parameters.max_slices:
            _hand_over(house, name)
        else:
            _order_slice(house, name, found)


def advance_all(house: House) -> None:
    """Take every step that is due, in alphabetical order."""
    for name in sorted(house.state.liquidations):  # a step ends no liquidation but its own
        advance(house, name)


def fill(house: House, command: FillLiquidation) -> No | None:
    """Book what the market answered to a slice, if the account still needs it and is not worse off by it."""
    found = house.state.liquidations.get(command.account)
    if found is None or found.order is None:
        return No(Refusal.UNKNOWN_LIQUIDATION, command.account)
    order = found.order
    lots = whole_lots(house, order.instrument, command.quantity) * (1 if order.lots > 0 else -1)
    no = _fill_allowed(house, command, order, lots)
    if no is not None:
        return no
    fee = _fee(house, command.account, order.instrument, lots, command.price)
    worse = _worse_off(house, command.account, (order.instrument, lots, command.price), fee)
    if worse is not None:
        return worse
    buyer, seller = (command.account, command.counterparty) if lots > 0 else (command.counterparty, command.account)
    house.trade(buyer, seller, order.instrument, abs(lots), command.price, "liquidation")
    terms = house.view.terms(order.instrument)
    house.pay("liquidation fee", terms.settle, command.account, FEES, fee)
    house.emit(
        happened.Liquidated(
            account=command.account,
            counterparty=command.counterparty,
            instrument=order.instrument,
            quantity=abs(lots) * terms.lot_size,
            price=command.price,
            fee=house.amount(terms.settle, fee),
        )
    )
    order.lots -= lots
    if order.lots == 0:
        found.order = None
    note_liquidated(house, order.instrument, lots)
    return None


def bid(house: House, command: BidAuction) -> No | None:
    """Hand an auctioned account to the bidder for the share of equity on offer at this moment."""
    found = house.state.liquidations.get(command.account)
    if found is None or found.auction_from_ns is None:
        return No(Refusal.UNKNOWN_LIQUIDATION, command.account)
    if house.account(command.bidder) is None:
        return No(Refusal.UNKNOWN_ACCOUNT, command.bidder)
    if house.state.halt is not None:
        return No(Refusal.HALTED_RISK_REDUCTION_ONLY, house.state.halt.breaker)
    if house.state.accounts[command.bidder].owner == house.state.accounts[command.account].owner:
        return No(Refusal.SELF_TRADE, command.bidder)
    if house.state.accounts[command.bidder].state != HEALTHY:
        return No(Refusal.ACCOUNT_STATE, command.bidder)
    if not house.health(command.account).needs_liquidation:
        return No(Refusal.NOT_LIQUIDATABLE, command.account)
    share = _share_on_offer(house, found)
    no = _can_take(house, command.account, command.bidder, share)
    if no is None:
        defaults.take_over(house, command.account, command.bidder, share)
    return no


def check_backstop(house: House, name: str) -> None:
    """Close what a backstop provider took over once it has cost as much as it may, in the same command."""
    backstop = house.state.accounts[name].backstop
    if backstop is None or backstop.loss_cap is None or not backstop.taken or house.state.halt is not None:
        return
    loss = -backstop.paid
    for instrument_id, (lots, value) in sorted(backstop.taken.items()):
        if house.state.listings[instrument_id].expired:
            continue
        terms = house.view.terms(instrument_id)
        loss += house.usd(terms.settle, value - terms.value(lots, house.mark(instrument_id)))
    if loss <= backstop.loss_cap:
        return
    house.emit(happened.BackstopCapReached(account=name, loss=loss))
    taken, backstop.taken = backstop.taken, {}
    for instrument_id, (lots, _) in sorted(taken.items()):
        held = house.lots(name, instrument_id)
        if held * lots > 0:
            defaults.close_against_others(house, name, instrument_id, min(abs(lots), abs(held)))


def note_liquidated(house: House, instrument_id: str, lots: int) -> None:
    """Count what was liquidated in the window of the breakers."""
    house.state.liquidated.append((house.state.time_ns, house.notional(instrument_id, lots)))
    watch_flows(house)


@dataclass(frozen=True, slots=True)
class _Slice:
    """A candidate: what to trade, and what it brings per cost."""

    instrument: str
    lots: int
    is_hedge: bool
    released_per_cost: float


def _order_slice(house: House, name: str, found: Liquidation) -> None:
    """Ask the market for the best slice; without any that helps, hand the account over."""
    found.slices += 1
    found.next_ns = house.state.time_ns + house.parameters.slice_interval_ns
    best = _best_slice(house, name)
    if best is None:
        _hand_over(house, name)
        return
    terms = house.view.terms(best.instrument)
    slip = Decimal(repr(house.parameters.slice_slippage))
    limit = house.mark(best.instrument) * (1 + slip if best.lots > 0 else 1 - slip)
    found.order = LiquidationOrder(instrument=best.instrument, lots=best.lots, limit=limit, is_hedge=best.is_hedge)
    house.emit(
        happened.LiquidationOrdered(
            account=name,
            instrument=best.instrument,
            side="buy" if best.lots > 0 else "sell",
            quantity=abs(best.lots) * terms.lot_size,
            limit=limit,
            reason=("hedges the delta" if best.is_hedge else "releases margin")
            + f", {best.released_per_cost:.4g} USD of maintenance per USD of expected cost",
        )
    )


def _best_slice(house: House, name: str) -> _Slice | None:
    """Return the candidate that releases most maintenance per expected cost; a hedge that helps goes first."""
    book, health = house.definition.book(name), house.health(name)
    candidates = []
    for instrument_id, lots, is_hedge in [*_closings(house, name), *_hedges(house, name, book)]:
        found = _largest_that_helps(house, name, book, health, (instrument_id, lots), is_hedge=is_hedge)
        if found is not None:
            candidates.append(found)
    return max(candidates, key=lambda item: (item.is_hedge, item.released_per_cost), default=None)


def _largest_that_helps(
    house: House, name: str, book: Book, health: Health, most: tuple[str, int], *, is_hedge: bool
) -> _Slice | None:
    """Return the slice of at most `most` that helps: a hedged leg may release margin in part and need more in full."""
    instrument_id, lots = most
    while lots:
        size = _smallest_that_cures(house, name, book, instrument_id, lots)
        found = _judge(house, name, book, health, instrument_id, size, is_hedge=is_hedge)
        if found is not None:
            return found
        lots = int(math.copysign(abs(lots) // 2, lots))
    return None


def _closings(house: House, name: str) -> list[tuple[str, int, bool]]:
    """Return for every position the largest slice that brings it nearer to zero."""
    result = []
    for instrument_id, held in house.positions(name).items():
        listing = house.state.listings[instrument_id]
        if house.view.is_good(instrument_id):
            result.append((instrument_id, slice_lots(held, house.parameters.slice_share, listing.depth), False))
    return result


def _hedges(house: House, name: str, book: Book) -> list[tuple[str, int, bool]]:
    """Return what would neutralise the delta of each underlying in which the account has options."""
    contracts = {name: house.view.contract(name) for name in book.positions}
    result = []
    for underlying in sorted({item.base for item in contracts.values() if isinstance(item, Option)}):
        delta = sum(
            book.positions[key] * house.definition.delta(name, key)
            for key, item in sorted(contracts.items())
            if item.base == underlying
        )
        for hedge, listing in sorted(house.state.listings.items()):
            contract = house.view.contract(hedge)
            usable = listing.hedges_underlying and not listing.expired and house.view.is_priced(hedge)
            if not usable or contract.base != underlying or isinstance(contract, Option | Spot):
                continue
            per_lot = house.definition.delta(name, hedge) * float(listing.lot_size)
            lots = -math.trunc(delta / per_lot)
            held = house.lots(name, hedge)
            if held * lots < 0:
                lots = max(-abs(held), min(abs(held), lots))
            if listing.depth is not None:
                lots = max(-listing.depth, min(listing.depth, lots))
            if lots and house.view.is_good(hedge):
                result.append((hedge, lots, True))
    return result


def _smallest_that_cures(house: House, name: str, book: Book, instrument_id: str, lots: int) -> int:
    """Return the fewest lots that reach the release ratio, or all of `lots` if they do not."""
    target = house.parameters.release_ratio
    return fewest_lots(lots, lambda size: _after(house, name, book, instrument_id, size).ratio >= target)


def _after(house: House, name: str, book: Book, instrument_id: str, lots: int) -> Health:
    """Return where the account would stand after a slice at its expected price, fee paid."""
    trial = book.copy()
    mark, cost = house.mark(instrument_id), _relative_cost(house, instrument_id, lots)
    price = mark * Decimal(repr(1.0 + cost if lots > 0 else 1.0 - cost))
    apply_fill(house, trial, (instrument_id, lots, price))
    terms = house.view.terms(instrument_id)
    fee = _fee(house, name, instrument_id, lots, price)
    trial.add_cash(terms.settle, -float(house.amount(terms.settle, fee)))
    return house.exposures.examine(name, trial)


def _judge(
    house: House, name: str, book: Book, health: Health, instrument_id: str, lots: int, *, is_hedge: bool
) -> _Slice | None:
    after = _after(house, name, book, instrument_id, lots)
    released = health.maintenance - after.maintenance
    if released <= 0.0 or after.ratio < health.ratio:
        return None
    traded = float(house.notional(instrument_id, lots))
    cost = traded * (_relative_cost(house, instrument_id, lots) + float(house.parameters.liquidation_fee))
    return _Slice(instrument_id, lots, is_hedge, released / max(cost, 1e-9))


def _relative_cost(house: House, instrument_id: str, lots: int) -> float:
    """Return the implementation shortfall: half the spread, plus impact with the square root of size over depth."""
    return shortfall_per_notional(
        lots,
        house.state.listings[instrument_id].depth,
        half_spread=house.parameters.half_spread,
        impact=house.parameters.impact,
        most=house.parameters.slice_slippage,
    )


def _fee(house: House, name: str, instrument_id: str, lots: int, price: Decimal) -> int:
    """Return the liquidation fee in quanta: a fraction of the notional, never more than the account is worth."""
    terms = house.view.terms(instrument_id)
    reference = house.mark(instrument_id) if price <= 0 else price
    numerator, denominator = house.parameters.liquidation_fee.as_integer_ratio()
    fee = abs(terms.value(lots, reference)) * numerator // denominator
    index = known(house.view.index(terms.settle), "price of", terms.settle)  # what is margined has one
    worth = Decimal(repr(max(house.health(name).worth, 0.0)))
    return min(fee, int(worth / index / terms.settle_quantum))


def _fill_allowed(house: House, command: FillLiquidation, order: LiquidationOrder, lots: int) -> No | None:
    if house.account(command.counterparty) is None:
        return No(Refusal.UNKNOWN_ACCOUNT, command.counterparty)
    if house.state.accounts[command.counterparty].state != HEALTHY and not is_reducing(
        house, command.counterparty, order.instrument, -lots
    ):
        return No(Refusal.ACCOUNT_STATE, command.counterparty)
    if house.state.halt is not None:
        return No(Refusal.HALTED_RISK_REDUCTION_ONLY, house.state.halt.breaker)
    if house.state.accounts[command.counterparty].owner == house.state.accounts[command.account].owner:
        return No(Refusal.SELF_TRADE, command.counterparty)
    if not is_reducing(house, command.counterparty, order.instrument, -lots):
        book = house.definition.book(command.counterparty)
        no = can_carry(house, command.counterparty, book, [(order.instrument, -lots, command.price)])
        if no is not None:
            return no
    if not house.health(command.account).needs_liquidation:
        return No(Refusal.NOT_LIQUIDATABLE, command.account)
    beyond = command.price > order.limit if lots > 0 else command.price < order.limit
    flips = not order.is_hedge and abs(lots) > abs(house.lots(command.account, order.instrument))
    if abs(lots) > abs(order.lots) or beyond or flips or command.price <= 0:
        return No(Refusal.OUTSIDE_LIMIT, f"{order.lots} lots at {order.limit} were ordered")
    return None


def _worse_off(house: House, name: str, fill: tuple[str, int, Decimal], fee: int) -> No | None:
    book, before = house.definition.book(name), house.health(name)
    apply_fill(house, book, fill)
    settle = house.view.terms(fill[0]).settle
    book.add_cash(settle, -float(house.amount(settle, fee)))
    after = house.exposures.examine(name, book)
    if after.ratio >= before.ratio or (not book.positions and after.equity >= 0.0):
        return None
    return No(Refusal.WORSENS_HEALTH, f"{before.ratio:.6g} to {after.ratio:.6g}")


def _hand_over(house: House, name: str) -> None:
    """Start an auction, or go straight to the backstop."""
    found = house.state.liquidations[name]
    found.order = None
    if house.parameters.auction_duration_ns and found.auction_from_ns is None:
        found.auction_from_ns = house.state.time_ns
        found.next_ns = house.state.time_ns
        ends = house.state.time_ns + house.parameters.auction_duration_ns
        house.emit(happened.AuctionStarted(account=name, ends_ns=ends))
        return
    _take_over(house, name)


def _take_over(house: House, name: str) -> None:
    """Give everything to the first backstop provider that can carry it, at the bankruptcy price: all of the equity."""
    for provider in defaults.providers(house, name):
        if _can_take(house, name, provider, Decimal(1)) is None:
            defaults.take_over(house, name, provider, Decimal(1))
            return
    defaults.close_out(house, name)


def _share_on_offer(house: House, found: Liquidation) -> Decimal:
    """Share of equity that a bidder gets: 0 at the start, growing to all of it at the end, up to the reserve."""
    begun_ns = known(found.auction_from_ns, "begin of an auction")
    # auctions may have been turned off since this one began: it is over
    return share_on_offer(
        house.state.time_ns - begun_ns,
        house.parameters.auction_duration_ns,
        house.parameters.auction_largest_share,
    )


def _can_take(house: House, name: str, taker: str, share: Decimal) -> No | None:
    """Refuse unless the taker carries the positions, with the share of equity that comes with them."""
    merged = house.definition.book(taker)
    taken = house.definition.book(name)
    for instrument_id, quantity in taken.positions.items():
        merged.add_position(instrument_id, quantity)
    merged.add_cash(house.parameters.money, float(share) * max(house.health(name).worth, 0.0))
    return can_carry(house, taker, merged, [])
