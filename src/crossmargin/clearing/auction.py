"""A Dutch auction of a whole account: what share of it is for sale, and what a bidder pays or is paid.

Signs are the auction's own: `maintenance_margin` is net (mark-to-market value minus requirement), so an account below
zero is sold; `mark_to_market` is what the account is worth. Rule: Derive v2, `DutchAuction` (derivexyz/v2-core,
commit 7736900d, read 2026-11); our page docs/methods/derive_auction.md.
"""

from dataclasses import dataclass
from decimal import Decimal

from crossmargin.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class AuctionTerms:
    """Terms of an auction; fractions and seconds, `cutoff` in USD of mark-to-market value."""

    start: float
    """Share of the mark-to-market value that the first bidder pays."""
    fast_cutoff: float
    """Share at which the fast phase ends."""
    fast_seconds: float
    slow_seconds: float
    insolvent_seconds: float
    buffer: float
    """Share of (mark-to-market - maintenance margin) that a bid must restore beyond maintenance."""
    fee: float = 0.0
    """Taken at the start, on the share that is for sale."""
    cutoff: float = 0.0
    """Accounts worth less are sold whole."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.fast_cutoff <= self.start <= 1.0:
            raise InputError(f"a discount must fall from start to cutoff, was {self.start} to {self.fast_cutoff}")
        if min(self.fast_seconds, self.slow_seconds, self.insolvent_seconds) < 0.0:
            raise InputError("an auction's phases must not be negative")
        if not (self.buffer >= 0.0 and 0.0 <= self.fee <= 1.0):
            raise InputError(f"buffer and fee must be fractions, were {self.buffer} and {self.fee}")


def discount(terms: AuctionTerms, elapsed_seconds: float) -> float:
    """Return the share of the mark-to-market value asked at a moment; 0 once both phases are over.

    Examples
    --------
    >>> terms = AuctionTerms(start=1.0, fast_cutoff=0.8, fast_seconds=600, slow_seconds=7200,
    ...                      insolvent_seconds=600, buffer=0.1)
    >>> discount(terms, 300), discount(terms, 960)
    (0.9, 0.76)
    """
    if elapsed_seconds < terms.fast_seconds:
        return terms.start - (terms.start - terms.fast_cutoff) * elapsed_seconds / terms.fast_seconds
    slow = elapsed_seconds - terms.fast_seconds
    if slow >= terms.slow_seconds:
        return 0.0
    return terms.fast_cutoff * (1.0 - slow / terms.slow_seconds)


def buffer_margin(terms: AuctionTerms, maintenance_margin: float, mark_to_market: float) -> float:
    """Return the margin that an auction restores: it ends when this is no longer negative."""
    return maintenance_margin - terms.buffer * (mark_to_market - maintenance_margin)


def maximum_proportion(
    terms: AuctionTerms, maintenance_margin: float, mark_to_market: float, reserved: float, share: float
) -> float:
    """Return how much of the account may be sold at `share` of its value: enough to restore the buffer, at most all.

    ``f = B / (B - V d - R (1 - d))`` with ``B = min(buffer margin, 0)``; `reserved` is cash from earlier bids, which is
    not sold.

    Examples
    --------
    >>> terms = AuctionTerms(start=1.0, fast_cutoff=0.8, fast_seconds=600, slow_seconds=7200,
    ...                      insolvent_seconds=600, buffer=0.1)
    >>> round(maximum_proportion(terms, -100.0, 300.0, 0.0, 0.9), 6)
    0.341463
    """
    if mark_to_market < terms.cutoff:
        return 1.0
    needed = min(buffer_margin(terms, maintenance_margin, mark_to_market), 0.0)
    if needed == 0.0:
        return 0.0
    restored = needed - mark_to_market * share - reserved * (1.0 - share)
    return min(1.0, needed / restored) if restored < 0.0 else 1.0


def start_fee(terms: AuctionTerms, maintenance_margin: float, mark_to_market: float) -> float:
    """Return the fee taken when the auction starts: on the share that would be sold at full value."""
    share = maximum_proportion(terms, maintenance_margin, mark_to_market, 0.0, 1.0)
    return share * abs(mark_to_market) * terms.fee


def solvent_bid(mark_to_market: float, reserved: float, share: float) -> float:
    """Return what the whole account costs a bidder at `share` of its value."""
    return (mark_to_market - reserved) * share


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    """What a bid does: the share sold, what is paid, and the account's cash and reserved cash after it."""

    proportion: float
    payment: float
    cash: float
    reserved: float


def bid(terms: AuctionTerms, account: "Auctioned", *, wanted: float, elapsed_seconds: float) -> Bid:
    """Return the outcome of a bid for the share `wanted` of a solvent account; more than allowed is cut.

    Raises
    ------
    InputError
        If `wanted` is not in (0, 1].
    """
    if not 0.0 < wanted <= 1.0:
        raise InputError(f"a bid must want a share in (0, 1], wanted {wanted}")
    share = discount(terms, elapsed_seconds)
    allowed = maximum_proportion(terms, account.maintenance_margin, account.mark_to_market, account.reserved, share)
    proportion = min(wanted, allowed)
    payment = solvent_bid(account.mark_to_market, account.reserved, share) * proportion
    return Bid(
        proportion=proportion,
        payment=payment,
        cash=(account.cash - account.reserved) * (1.0 - proportion) + account.reserved + payment,
        reserved=account.reserved + payment,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Auctioned:
    """An account on sale as a bidder finds it."""

    maintenance_margin: float
    mark_to_market: float
    cash: float
    reserved: float = 0.0


def insolvent_bid(
    terms: AuctionTerms, maintenance_margin: float, mark_to_market: float, elapsed_seconds: float
) -> float:
    """Return the (negative) price of a whole insolvent account: what the security module pays whoever takes it.

    It falls linearly from ``min(value, 0)`` to the maintenance margin, and stays there.
    """
    if maintenance_margin >= 0.0:
        return 0.0
    if elapsed_seconds >= terms.insolvent_seconds:
        return maintenance_margin
    first = min(mark_to_market, 0.0)
    return first + (maintenance_margin - first) * elapsed_seconds / terms.insolvent_seconds


def share_on_offer(elapsed_ns: int, duration_ns: int, most: Decimal) -> Decimal:
    """Return the share of an account's equity that a bidder gets, beyond what covers the positions.

    It grows evenly from nothing to all of it, and stops at `most`, the reserve; an auction without a duration is over.

    Examples
    --------
    >>> share_on_offer(30, 120, Decimal(1)), share_on_offer(30, 120, Decimal("0.2")), share_on_offer(0, 0, Decimal(1))
    (Decimal('0.25'), Decimal('0.2'), Decimal('1'))
    """
    share = min(Decimal(elapsed_ns) / Decimal(duration_ns), Decimal(1)) if duration_ns else Decimal(1)
    return min(share, most)
