"""Funding, variation, settlement samples and expiry."""

from decimal import Decimal

from crossmargin.clearing.interest import borrow_rate, interest_charge, utilisation
from crossmargin.engine import events as happened
from crossmargin.engine.commands import AccrueInterest, ApplyFunding, Expire, RecordSettlementSample, SettleVariation
from crossmargin.engine.house import House, No
from crossmargin.engine.refusals import Refusal
from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Future, Option, Perpetual
from crossmargin.ledger.account import LENDING, is_house
from crossmargin.ledger.ledger import Entry
from crossmargin.ledger.rounding import share_out
from crossmargin.ledger.settlement import average_price, close_out, expiry_entry, funding_entry, settle_variation


def apply_funding(house: House, command: ApplyFunding) -> No | None:
    """Let longs pay shorts."""
    no = _marked(house, command.instrument)
    if no is not None:
        return no
    if not isinstance(house.view.contract(command.instrument), Perpetual):
        raise InputError(f"funding is paid on perpetuals, {command.instrument} is none")
    if not command.rate.is_finite() or abs(command.rate) > 1:
        raise InputError(f"a funding rate must be inside [-1, 1], was {command.rate}")
    terms = house.view.terms(command.instrument)
    entry = funding_entry(house.state.ledger, terms, house.mark(command.instrument), command.rate)
    house.book(entry)
    paid = _users(house, entry)
    house.emit(happened.FundingApplied(instrument=command.instrument, rate=command.rate, paid=paid))
    return None


def settle(house: House, command: SettleVariation) -> No | None:
    """Pay everybody's profit and loss at the mark."""
    no = _marked(house, command.instrument)
    if no is not None:
        return no
    if house.state.halt is not None:
        return No(Refusal.HALTED_RISK_REDUCTION_ONLY, house.state.halt.breaker)
    if not house.view.is_good(command.instrument):
        return No(Refusal.PRICE_NOT_GOOD, command.instrument)
    _settle(house, command.instrument, house.mark(command.instrument))
    return None


def accrue_interest(house: House, command: AccrueInterest) -> No | None:
    """Charge borrowers for the time since the last accrual, and pay lenders in proportion to what they lend."""
    terms = house.state.assets.get(command.asset)
    if terms is None:
        return No(Refusal.UNKNOWN_ASSET, command.asset)
    elapsed, terms.accrued_ns = house.state.time_ns - terms.accrued_ns, house.state.time_ns
    balances = {name: house.balance(name, command.asset) for name in sorted(house.state.accounts)}
    borrowed = sum(-amount for amount in balances.values() if amount < 0)
    lent = sum(amount for amount in balances.values() if amount > 0)
    used = min(utilisation(float(lent), float(borrowed)), 1.0) if lent else float(borrowed > 0)
    # the shortest text of a float is the same everywhere: from here on the rate is exact
    rate = Decimal(repr(borrow_rate(house.parameters.interest, used)))
    paid = {name: -interest_charge(-amount, rate, elapsed) for name, amount in balances.items() if amount < 0}
    lenders = [name for name, amount in balances.items() if amount > 0]
    shares = share_out(-sum(paid.values()), [balances[name] for name in lenders])
    for name, charge in paid.items():
        house.pay("interest", command.asset, name, LENDING, -charge)
    for name, share in zip(lenders, shares, strict=True):
        house.pay("interest", command.asset, LENDING, name, share)
    amounts = {
        name: house.amount(command.asset, amount)
        for name, amount in {**paid, **dict(zip(lenders, shares, strict=True))}.items()
    }
    house.emit(
        happened.InterestAccrued(
            asset=command.asset,
            utilisation=used,
            annual_rate=float(rate),
            paid=amounts,
        )
    )
    return None


def record_sample(house: House, command: RecordSettlementSample) -> No | None:
    """Add one price to the settlement average."""
    average_price([command.price])  # refuses nonsense
    listing = house.state.listings.get(command.instrument)
    if listing is None:
        return No(Refusal.UNKNOWN_INSTRUMENT, command.instrument)
    if listing.expired:
        return No(Refusal.INSTRUMENT_EXPIRED, command.instrument)
    listing.samples.append(command.price)
    return None


def expire(house: House, command: Expire) -> No | None:
    """Settle a contract at the average of its samples and forget it."""
    listing = house.state.listings.get(command.instrument)
    if listing is None:
        return No(Refusal.UNKNOWN_INSTRUMENT, command.instrument)
    if listing.expired:
        return No(Refusal.INSTRUMENT_EXPIRED, command.instrument)
    contract = house.view.contract(command.instrument)
    if not isinstance(contract, Future | Option):
        raise InputError(f"only dated contracts expire, {command.instrument} is none")
    if house.state.time_ns < contract.expiry_ns:
        return No(Refusal.NOT_EXPIRED, command.instrument)
    if not listing.samples:
        return No(Refusal.NO_PRICE, "no settlement sample")
    price = average_price(listing.samples)
    for name in sorted(house.state.orders):
        if house.state.orders[name].instrument == command.instrument:
            house.resting.remove(name)
            house.emit(happened.OrderCancelled(order=name, reason="expiry"))
    _pay_at_expiry(house, command.instrument, price)
    listing.expired = True
    listing.samples = []
    house.state.market.marks.pop(command.instrument, None)
    house.exposures.listing_changed(command.instrument)
    house.touch_all()
    return None


def _pay_at_expiry(house: House, instrument_id: str, price: Decimal) -> None:
    terms = house.view.terms(instrument_id)
    if terms.is_paid_up:
        entry = expiry_entry(house.state.ledger, terms, price)
        house.book(entry)
        paid = _users(house, entry)
    else:
        paid = _settle(house, instrument_id, price)
    for account in house.state.ledger.holders(instrument_id):
        house.touch(account)
    close_out(house.state.ledger, terms)
    house.emit(happened.Expired(instrument=instrument_id, settlement_price=price, paid=paid))


def _settle(house: House, instrument_id: str, price: Decimal) -> dict[str, Decimal]:
    terms = house.view.terms(instrument_id)
    quanta = settle_variation(house.state.ledger, terms, price)
    paid = {account: house.amount(terms.settle, amount) for account, amount in quanta.items()}
    for account in house.state.ledger.holders(instrument_id):
        house.touch(account)
    house.emit(happened.VariationSettled(instrument=instrument_id, mark=price, paid=paid))
    return paid


def _marked(house: House, instrument_id: str) -> No | None:
    listing = house.state.listings.get(instrument_id)
    if listing is None:
        return No(Refusal.UNKNOWN_INSTRUMENT, instrument_id)
    if listing.expired:
        return No(Refusal.INSTRUMENT_EXPIRED, instrument_id)
    return None if house.view.mark(instrument_id) is not None else No(Refusal.NO_PRICE, instrument_id)


def _users(house: House, entry: Entry) -> dict[str, Decimal]:
    return {
        posting.account: house.amount(posting.asset, posting.amount)
        for posting in entry.postings
        if not is_house(posting.account)
    }
