"""What can be asked of the engine. Quantities and amounts are exact decimals; only `AdvanceTime` moves the clock."""

from decimal import Decimal
from typing import Any, Literal, TypeAlias

import msgspec

from crossmargin.engine.parameters import EngineParameters


class _Command(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True, omit_defaults=True, gc=False
):
    """What every command carries.

    `id` names it once and for all: the same id with the same content is applied once. `sent_ns`, which is no part of the
    content, lets the engine refuse what has waited too long, and forget the id once it would.
    """

    id: str
    sent_ns: int | None = None


class AdvanceTime(_Command, frozen=True, kw_only=True):
    """Move the clock; deadlines, slices and auctions that are due happen now."""

    time_ns: int


class ListAsset(_Command, frozen=True, kw_only=True):
    """Take an asset on: its quantum, how much of it may be borrowed, and how much may be deposited in all."""

    asset: str
    quantum: Decimal
    borrow_limit: Decimal = Decimal(0)
    """Per account, for loans that the account asks for; losses may exceed it."""
    deposit_cap: Decimal | None = None


class ListInstrument(_Command, frozen=True, kw_only=True):
    """Take a contract on, by its canonical id."""

    instrument: str
    lot_size: Decimal
    contract_size: Decimal | None = None
    position_limit: Decimal | None = None
    """Contracts per owner, over all of the owner's accounts."""
    open_interest_limit: Decimal | None = None
    """Contracts, over everybody."""
    open_interest_rate: float = 0.0
    """Extra initial margin per USD of notional once open interest is at its limit; it grows in proportion."""
    depth: Decimal | None = None
    """Contracts that the market takes in one slice."""
    hedges_underlying: bool = False
    """Whether liquidation may hedge with it."""


class SetParameters(_Command, frozen=True, kw_only=True):
    """Replace the engine's parameters."""

    parameters: EngineParameters


class SetMarginParameters(_Command, frozen=True, kw_only=True):
    """Bring a method's parameters into force at `effective_ns`; maintenance follows after a grace period, on a ramp."""

    method: str
    parameters: dict[str, Any]
    effective_ns: int = 0
    grace_ns: int = 0
    ramp_ns: int = 0


class OpenAccount(_Command, frozen=True, kw_only=True):
    """Open an account; with a `parent` it is an isolated sub-account of the same owner, its collateral ring-fenced."""

    account: str
    method: str = "scenario_grid"
    parent: str | None = None


class CloseAccount(_Command, frozen=True, kw_only=True):
    """Close an empty account."""

    account: str


class Deposit(_Command, frozen=True, kw_only=True):
    """Credit money that has arrived for good."""

    account: str
    asset: str
    amount: Decimal


class ReverseDeposit(_Command, frozen=True, kw_only=True):
    """Take back a credit whose chain has forgotten it; the account is examined at once."""

    account: str
    asset: str
    amount: Decimal


class Withdraw(_Command, frozen=True, kw_only=True):
    """Pay money out."""

    account: str
    asset: str
    amount: Decimal


class TransferFunds(_Command, frozen=True, kw_only=True):
    """Move money between two accounts of one owner."""

    debit: str
    credit: str
    asset: str
    amount: Decimal


class SetCreditLine(_Command, frozen=True, kw_only=True):
    """Let an account's requirement be met in part by a promise, in USD."""

    account: str
    limit: Decimal


class Quote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A source's price; `confidence` is the half-width that the source gives, in the price's unit."""

    source: str
    price: Decimal
    time_ns: int | None = None
    confidence: Decimal = Decimal(0)


class SmileQuote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Vols of one expiry by strike, and its forward in USD."""

    expiry_ns: int
    forward: float
    strikes: tuple[float, ...]
    vols: tuple[float, ...]


class UpdateMarket(_Command, frozen=True, kw_only=True):
    """Tell what was observed; what is not named stays."""

    index: dict[str, tuple[Quote, ...]] = {}
    marks: dict[str, Decimal] = {}
    smiles: dict[str, tuple[SmileQuote, ...]] = {}


class PlaceOrder(_Command, frozen=True, kw_only=True):
    """Reserve margin for an order that the market may fill from now on."""

    account: str
    order: str
    instrument: str
    side: Literal["buy", "sell"]
    quantity: Decimal
    price: Decimal
    reduce_only: bool = False


class CancelOrder(_Command, frozen=True, kw_only=True):
    """Release an order."""

    order: str


class CancelAllOrders(_Command, frozen=True, kw_only=True):
    """Release all orders of an account."""

    account: str


class RecordTrade(_Command, frozen=True, kw_only=True):
    """Record that the market matched two accounts, filling the orders named."""

    buyer: str
    seller: str
    instrument: str
    quantity: Decimal
    price: Decimal
    buy_order: str | None = None
    sell_order: str | None = None
    taker: Literal["buyer", "seller"] | None = None


class ApplyFunding(_Command, frozen=True, kw_only=True):
    """Let longs pay shorts this fraction of notional at the mark."""

    instrument: str
    rate: Decimal


class SettleVariation(_Command, frozen=True, kw_only=True):
    """Pay everybody's profit and loss since entry at the mark."""

    instrument: str


class AccrueInterest(_Command, frozen=True, kw_only=True):
    """Charge borrowers of an asset for the time since the last accrual."""

    asset: str


class RecordSettlementSample(_Command, frozen=True, kw_only=True):
    """Record one price of an underlying for the average at which contracts settle."""

    instrument: str
    price: Decimal


class Expire(_Command, frozen=True, kw_only=True):
    """Settle an expired contract at the average of its samples."""

    instrument: str


class ChargeFee(_Command, frozen=True, kw_only=True):
    """Charge an account a fee."""

    account: str
    asset: str
    amount: Decimal
    reason: str


class FundLayer(_Command, frozen=True, kw_only=True):
    """Pay money into a layer of the waterfall: the house's capital, the insurance fund, or a member's contribution."""

    layer: Literal["house", "insurance", "default fund"]
    amount: Decimal
    member: str | None = None


class RegisterBackstop(_Command, frozen=True, kw_only=True):
    """Let an account take over positions of others, up to a notional in USD, and lose at most `loss_cap` by it."""

    account: str
    capacity: Decimal
    loss_cap: Decimal | None = None


class FillLiquidation(_Command, frozen=True, kw_only=True):
    """Record what the market answered to a liquidation order."""

    account: str
    counterparty: str
    quantity: Decimal
    price: Decimal


class BidAuction(_Command, frozen=True, kw_only=True):
    """Take over an account that is being auctioned, for the share of its equity that is on offer now."""

    account: str
    bidder: str


class Halt(_Command, frozen=True, kw_only=True):
    """Let an operator allow nothing but risk reduction, deposits and cancels."""

    reason: str


class Resume(_Command, frozen=True, kw_only=True):
    """Let an operator reopen the engine after a halt, a failed audit or a poisoned command."""

    reason: str


class RunAudit(_Command, frozen=True, kw_only=True):
    """Check every invariant now."""


class Reconcile(_Command, frozen=True, kw_only=True):
    """Compare what custodians say they hold with what we owe; never changes a balance."""

    statement: dict[str, Decimal]


class Upgrade(_Command, frozen=True, kw_only=True):
    """Mark that from here on another version of the code decides."""

    version: str


Command: TypeAlias = (
    AdvanceTime
    | ListAsset
    | ListInstrument
    | SetParameters
    | SetMarginParameters
    | OpenAccount
    | CloseAccount
    | Deposit
    | ReverseDeposit
    | Withdraw
    | TransferFunds
    | SetCreditLine
    | UpdateMarket
    | PlaceOrder
    | CancelOrder
    | CancelAllOrders
    | RecordTrade
    | ApplyFunding
    | SettleVariation
    | AccrueInterest
    | RecordSettlementSample
    | Expire
    | ChargeFee
    | FundLayer
    | RegisterBackstop
    | FillLiquidation
    | BidAuction
    | Halt
    | Resume
    | RunAudit
    | Reconcile
    | Upgrade
)

_ENCODER = msgspec.json.Encoder(order="deterministic")


def encoded(command: Command) -> bytes:
    """Return the canonical text of a command, whose digest is its content.

    Examples
    --------
    >>> encoded(CancelOrder(id="c1", order="o1"))
    b'{"type":"CancelOrder","id":"c1","order":"o1"}'
    """
    return _ENCODER.encode(command)
