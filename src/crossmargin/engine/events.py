"""What has happened. Amounts are exact decimals; a number that moves money travels with its reason."""

from decimal import Decimal
from typing import TypeAlias

import msgspec

from crossmargin.engine.refusals import Refusal


class _Event(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True, omit_defaults=True, gc=False
):
    pass


class Refused(_Event, frozen=True, kw_only=True):
    """The command changed nothing."""

    command: str
    reason: str
    """The name of a `Refusal`."""
    detail: str = ""

    @property
    def refusal(self) -> Refusal:
        """The reason as a member of the enumeration."""
        return Refusal[self.reason]


class Repeated(_Event, frozen=True, kw_only=True):
    """The command had been applied before and was not applied again."""

    command: str


class Accepted(_Event, frozen=True, kw_only=True):
    """The command was applied, and nothing more needs saying."""

    command: str


class BalanceChanged(_Event, frozen=True, kw_only=True):
    """Money came, went or moved."""

    account: str
    asset: str
    change: Decimal
    reason: str


class MarketUpdated(_Event, frozen=True, kw_only=True):
    """Prices that changed, with the quality of each."""

    index: dict[str, tuple[Decimal, str]]
    marks: dict[str, tuple[Decimal, str]]
    rejected: tuple[str, ...] = ()


class MarginUpdated(_Event, frozen=True, kw_only=True):
    """Figures of all accounts that a change of prices touched, as columns in USD."""

    accounts: tuple[str, ...]
    initial: tuple[float, ...]
    maintenance: tuple[float, ...]
    equity: tuple[float, ...]


class AccountStateChanged(_Event, frozen=True, kw_only=True):
    """An account went from one state to another."""

    account: str
    before: str
    after: str


class OrderAccepted(_Event, frozen=True, kw_only=True):
    """Margin is reserved for the order."""

    order: str
    initial: float
    """Requirement in the worst subset of fills, USD."""


class OrderCancelled(_Event, frozen=True, kw_only=True):
    """The order is gone and its reservation released."""

    order: str
    reason: str


class OrderFilled(_Event, frozen=True, kw_only=True):
    """So many contracts of an order were filled."""

    order: str
    quantity: Decimal
    remaining: Decimal


class Traded(_Event, frozen=True, kw_only=True):
    """Contracts changed hands."""

    buyer: str
    seller: str
    instrument: str
    quantity: Decimal
    price: Decimal
    reason: str


class MarginCalled(_Event, frozen=True, kw_only=True):
    """An account must bring money by a deadline; what was known is in the record."""

    account: str
    deficit: float
    level: int
    deadline_ns: int
    equity: float
    initial: float


class MarginCallMet(_Event, frozen=True, kw_only=True):
    """Equity is back above initial margin."""

    account: str


class LiquidationStarted(_Event, frozen=True, kw_only=True):
    """Equity fell below maintenance."""

    account: str
    equity: float
    maintenance: float


class LiquidationOrdered(_Event, frozen=True, kw_only=True):
    """The market is asked to close (or hedge) so many contracts at no worse than `limit`."""

    account: str
    instrument: str
    side: str
    quantity: Decimal
    limit: Decimal
    reason: str


class Liquidated(_Event, frozen=True, kw_only=True):
    """A slice was filled."""

    account: str
    counterparty: str
    instrument: str
    quantity: Decimal
    price: Decimal
    fee: Decimal


class LiquidationEnded(_Event, frozen=True, kw_only=True):
    """The account is out of liquidation, and how."""

    account: str
    outcome: str


class AuctionStarted(_Event, frozen=True, kw_only=True):
    """The account is offered to whoever takes it for the smallest share of its equity."""

    account: str
    ends_ns: int


class TakenOver(_Event, frozen=True, kw_only=True):
    """Another account took over positions, and was paid for it out of the account's equity."""

    account: str
    taker: str
    paid: Decimal


class Defaulted(_Event, frozen=True, kw_only=True):
    """A bankrupt account's positions are closed and it owes `shortfall`."""

    account: str
    asset: str
    shortfall: Decimal
    market: str


class Drawn(_Event, frozen=True, kw_only=True):
    """A layer of the waterfall paid."""

    account: str
    layer: str
    payer: str
    amount: Decimal


class Deleveraged(_Event, frozen=True, kw_only=True):
    """A winner's position was reduced at the mark to close a loser's, and this was taken off its profit."""

    account: str
    winner: str
    instrument: str
    quantity: Decimal
    price: Decimal
    haircut: Decimal


class BackstopCapReached(_Event, frozen=True, kw_only=True):
    """A backstop provider lost as much as it may; its positions are closed against winners."""

    account: str
    loss: Decimal


class ParametersChanged(_Event, frozen=True, kw_only=True):
    """Parameters are in force, or will be."""

    what: str
    effective_ns: int


class VariationSettled(_Event, frozen=True, kw_only=True):
    """Profits since entry were paid."""

    instrument: str
    mark: Decimal
    paid: dict[str, Decimal]


class FundingApplied(_Event, frozen=True, kw_only=True):
    """Longs paid shorts."""

    instrument: str
    rate: Decimal
    paid: dict[str, Decimal]


class InterestAccrued(_Event, frozen=True, kw_only=True):
    """Borrowers paid lenders."""

    asset: str
    utilisation: float
    annual_rate: float
    paid: dict[str, Decimal]


class Expired(_Event, frozen=True, kw_only=True):
    """A contract settled at an averaged price and is gone."""

    instrument: str
    settlement_price: Decimal
    paid: dict[str, Decimal]


class Halted(_Event, frozen=True, kw_only=True):
    """Only risk reduction, deposits and cancels pass from here on."""

    breaker: str
    finding: str


class Resumed(_Event, frozen=True, kw_only=True):
    """The engine is open again."""

    reason: str


class Audited(_Event, frozen=True, kw_only=True):
    """Every invariant was checked; what was violated."""

    violations: tuple[str, ...]


class Reconciled(_Event, frozen=True, kw_only=True):
    """A statement was compared with the ledger."""

    breaks: tuple[str, ...]


Event: TypeAlias = (
    Refused
    | Repeated
    | Accepted
    | BalanceChanged
    | MarketUpdated
    | MarginUpdated
    | AccountStateChanged
    | OrderAccepted
    | OrderCancelled
    | OrderFilled
    | Traded
    | MarginCalled
    | MarginCallMet
    | LiquidationStarted
    | LiquidationOrdered
    | Liquidated
    | LiquidationEnded
    | AuctionStarted
    | TakenOver
    | Defaulted
    | Drawn
    | Deleveraged
    | BackstopCapReached
    | ParametersChanged
    | VariationSettled
    | FundingApplied
    | InterestAccrued
    | Expired
    | Halted
    | Resumed
    | Audited
    | Reconciled
)
