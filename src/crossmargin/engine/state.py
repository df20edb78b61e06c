"""Everything that the engine remembers, as plain records: a snapshot is their encoding, the state hash its digest.

Nothing here is a derived float: margins, risk arrays and mirrors are computed anew from this.
"""

from decimal import Decimal
from typing import Any, Final

import msgspec

from crossmargin.engine.parameters import EngineParameters
from crossmargin.errors import invariant
from crossmargin.ledger.ledger import Ledger

HEALTHY: Final = "HEALTHY"
MARGIN_CALL: Final = "MARGIN_CALL"
REDUCE_ONLY: Final = "REDUCE_ONLY"
LIQUIDATING: Final = "LIQUIDATING"
BANKRUPT: Final = "BANKRUPT"
CLOSED: Final = "CLOSED"

ALLOWED: Final = {
    HEALTHY: {MARGIN_CALL, LIQUIDATING, CLOSED},
    MARGIN_CALL: {HEALTHY, REDUCE_ONLY, LIQUIDATING},
    REDUCE_ONLY: {HEALTHY, LIQUIDATING},
    LIQUIDATING: {HEALTHY, BANKRUPT},
    BANKRUPT: {HEALTHY, CLOSED},
    CLOSED: set(),
}
"""From which state an account may go to which; a bankrupt account may start again from nothing."""


class AssetTerms(msgspec.Struct):
    """An asset that is taken on."""

    quantum: Decimal
    borrow_limit: Decimal
    deposit_cap: Decimal | None
    accrued_ns: int
    """Until when interest on loans has been charged."""


class Listing(msgspec.Struct):
    """A contract that is taken on."""

    lot_size: Decimal
    contract_size: Decimal
    position_limit: int | None
    open_interest_limit: int | None
    open_interest_rate: float
    depth: int | None
    hedges_underlying: bool
    samples: list[Decimal] = msgspec.field(default_factory=list)
    expired: bool = False


class MarginCall(msgspec.Struct, gc=False):
    """What an account was asked for."""

    deadline_ns: int
    level: int
    deficit: Decimal


class Backstop(msgspec.Struct):
    """An account's promise to take over positions."""

    capacity: Decimal
    loss_cap: Decimal | None
    used: Decimal = Decimal(0)
    paid: Decimal = Decimal(0)
    """What it was paid for taking over, in USD."""
    taken: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    """Lots taken over, and the quanta for which, per contract."""


class Account(msgspec.Struct):
    """A user's account; its balances and positions are in the ledger."""

    owner: str
    method: str
    state: str = HEALTHY
    credit_line: Decimal = Decimal(0)
    call: MarginCall | None = None
    backstop: Backstop | None = None

    def move(self, name: str, after: str) -> None:
        """Change the state, if the table allows it."""
        invariant(after in ALLOWED[self.state], f"{name} may not go from {self.state} to {after}")
        self.state = after


class OpenOrder(msgspec.Struct, gc=False):
    """What remains of an order."""

    account: str
    instrument: str
    lots: int
    """Signed: a buy is positive."""
    price: Decimal
    reduce_only: bool


class LiquidationOrder(msgspec.Struct, gc=False):
    """What the market was asked to do for an account in liquidation."""

    instrument: str
    lots: int
    """Signed: a buy is positive."""
    limit: Decimal
    is_hedge: bool


class Liquidation(msgspec.Struct):
    """An account being liquidated."""

    started_ns: int
    next_ns: int
    slices: int = 0
    order: LiquidationOrder | None = None
    auction_from_ns: int | None = None


class Observed(msgspec.Struct, gc=False):
    """A price with its quality (GOOD, STALE or BOUND) and when it was seen."""

    price: Decimal
    quality: str
    time_ns: int


class SmileState(msgspec.Struct):
    """Vols of one expiry, as observed."""

    expiry_ns: int
    forward: float
    strikes: tuple[float, ...]
    vols: tuple[float, ...]


class Market(msgspec.Struct):
    """What was observed last."""

    time_ns: int = 0
    index: dict[str, Observed] = msgspec.field(default_factory=dict)
    marks: dict[str, Observed] = msgspec.field(default_factory=dict)
    smiles: dict[str, tuple[SmileState, ...]] = msgspec.field(default_factory=dict)


class MarginVersion(msgspec.Struct):
    """A method's parameters and when they bind."""

    parameters: dict[str, Any]
    effective_ns: int
    grace_ns: int
    ramp_ns: int


class HaltState(msgspec.Struct):
    """Why the engine lets only risk reduction pass, and since when nothing has been wrong."""

    breaker: str
    finding: str
    quiet_since_ns: int


class State(msgspec.Struct):
    """All of it."""

    sequence: int = 0
    time_ns: int = 0
    version: str = "1"
    history: str = ""
    """Digest of all applied commands, in order."""
    ledger: Ledger = msgspec.field(default_factory=Ledger)
    assets: dict[str, AssetTerms] = msgspec.field(default_factory=dict)
    listings: dict[str, Listing] = msgspec.field(default_factory=dict)
    accounts: dict[str, Account] = msgspec.field(default_factory=dict)
    orders: dict[str, OpenOrder] = msgspec.field(default_factory=dict)
    liquidations: dict[str, Liquidation] = msgspec.field(default_factory=dict)
    market: Market = msgspec.field(default_factory=Market)
    parameters: EngineParameters = msgspec.field(default_factory=EngineParameters)
    margin: dict[str, list[MarginVersion]] = msgspec.field(default_factory=dict)
    halt: HaltState | None = None
    members: list[str] = msgspec.field(default_factory=list)
    """Members of the default fund."""
    withdrawn: list[tuple[int, Decimal]] = msgspec.field(default_factory=list)
    liquidated: list[tuple[int, Decimal]] = msgspec.field(default_factory=list)
    insured: list[tuple[int, Decimal]] = msgspec.field(default_factory=list)
    insured_by_market: dict[str, Decimal] = msgspec.field(default_factory=dict)


class Snapshot(msgspec.Struct):
    """The state and the ids that have been used: enough to go on from."""

    state: State
    applied: dict[str, str]
    sent: dict[str, int] = msgspec.field(default_factory=dict)
    """When those of them were sent that say so, in nanoseconds."""


_ENCODER = msgspec.json.Encoder(order="deterministic")


def encode_state(state: State) -> bytes:
    """Return the canonical text of a state."""
    return _ENCODER.encode(state)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Return the canonical text of a snapshot."""
    return _ENCODER.encode(snapshot)
